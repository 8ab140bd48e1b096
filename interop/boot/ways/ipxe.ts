import type { Way } from '../way.ts'

export default {
  name: 'ipxe',
  firmware: {
    BIOS: { title: "iPXE of the card's own, HTTP" },
    UEFI: { title: 'PXE of the firmware, snponly.efi by TFTP, HTTP', machine: { nicRom: 'none' } },
  },
} satisfies Way
