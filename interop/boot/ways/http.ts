import type { Way } from '../way.ts'

export default {
  name: 'http',
  // IPMI has no boot device for it.
  bmcs: ['redfish'],
  firmware: {
    UEFI: { title: 'shim and GRUB, all over HTTP', machine: { nicRom: 'none' } },
    'UEFI, secure boot': {
      title: 'signed shim, signed GRUB and signed kernel, all over HTTP',
      machine: { nicRom: 'none' },
    },
  },
} satisfies Way
