import { unsupported } from './unsupported.ts'

export default unsupported('vendor', 'Vendor passthru')
