/** The boot interface `pxe`: all over TFTP, by pxelinux on BIOS machines and by GRUB, behind its signed shim, on UEFI. */
import { grub } from './grub.ts'
import { networkBoot } from './network-boot.ts'
import { pxelinux } from './pxelinux.ts'

export default networkBoot({
  name: 'pxe',
  root: 'tftp',
  loader: mode => (mode === 'uefi' ? grub : pxelinux),
  devices: ['pxe'],
})
