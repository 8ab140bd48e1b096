import type { Way } from '../way.ts'

export default {
  name: 'redfish-virtual-media',
  bmcs: ['redfish'],
  firmware: {
    BIOS: { title: 'ISO in a CD drive that the BMC shows, isolinux' },
    UEFI: { title: 'ISO in a CD drive that the BMC shows, GRUB' },
  },
  config: {
    DEFAULT: { enabled_hardware_types: 'redfish' },
    redfish: { kernel_append_params: 'nofb vga=normal console=tty0 console=ttyS0,115200' },
  },
} satisfies Way
