import type { Way } from '../way.ts'

export default {
  name: 'http-ipxe',
  // IPMI has no boot device for it.
  bmcs: ['redfish'],
  firmware: { UEFI: { title: 'snponly.efi by the firmware over HTTP, HTTP', machine: { nicRom: 'none' } } },
} satisfies Way
