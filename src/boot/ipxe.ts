/** The boot interface `ipxe`: the firmware's own iPXE, or one loaded over TFTP or HTTP, fetches all else over HTTP. */
import { networkBoot } from './network-boot.ts'
import { ipxeScripts } from './scripts.ts'

export default networkBoot({ name: 'ipxe', root: 'http', loader: () => ipxeScripts, devices: ['pxe'] })
