import { unsupported } from './unsupported.ts'

export default unsupported('raid', 'RAID configuration')
