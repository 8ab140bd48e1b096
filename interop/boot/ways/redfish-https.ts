import type { Way } from '../way.ts'

export default {
  name: 'redfish-https',
  bmcs: ['redfish'],
  firmware: {
    UEFI: { title: 'ISO that the firmware fetches from a URL of the BMC, GRUB', machine: { nicRom: 'none' } },
  },
  config: {
    DEFAULT: { enabled_hardware_types: 'redfish' },
    redfish: { kernel_append_params: 'nofb vga=normal console=tty0 console=ttyS0,115200' },
  },
} satisfies Way
