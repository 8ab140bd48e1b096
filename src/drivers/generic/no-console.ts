import { unsupported } from './unsupported.ts'

export default unsupported('console', 'A console')
