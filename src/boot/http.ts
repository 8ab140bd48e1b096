/** The boot interface `http`: UEFI firmware fetches shim and GRUB over HTTP, and GRUB all else. There is no TFTP in it. */
import { grub } from './grub.ts'
import { networkBoot } from './network-boot.ts'

export default networkBoot({
  name: 'http',
  root: 'http',
  loader: mode => (mode === 'uefi' ? grub : undefined),
  devices: ['uefihttp', 'pxe'],
})
