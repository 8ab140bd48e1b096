import type { Way } from '../way.ts'

export default {
  name: 'pxe',
  firmware: {
    BIOS: { title: 'pxelinux, all by TFTP' },
    UEFI: { title: 'shim and GRUB, all by TFTP', machine: { nicRom: 'none' } },
    'UEFI, secure boot': {
      title: 'signed shim, signed GRUB and signed kernel, all by TFTP',
      machine: { nicRom: 'none' },
    },
  },
} satisfies Way
