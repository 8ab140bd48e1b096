import { unsupported } from './unsupported.ts'

export default unsupported('rescue', 'Rescue')
