import { unsupported } from './unsupported.ts'

export default unsupported('bios', 'BIOS configuration')
