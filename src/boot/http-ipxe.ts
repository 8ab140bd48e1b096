/** The boot interface `http-ipxe`: UEFI firmware fetches iPXE over HTTP, and iPXE all else. There is no TFTP in it. */
import { networkBoot } from './network-boot.ts'
import { ipxeScripts } from './scripts.ts'

export default networkBoot({
  name: 'http-ipxe',
  root: 'http',
  loader: mode => (mode === 'uefi' ? ipxeScripts : undefined),
  devices: ['uefihttp', 'pxe'],
})
