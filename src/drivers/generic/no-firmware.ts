import { unsupported } from './unsupported.ts'

export default unsupported('firmware', 'Firmware handling')
