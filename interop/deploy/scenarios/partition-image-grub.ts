/** A partition image on a UEFI machine that has nothing to copy: its own GRUB installer fills the EFI system partition. */
import { makePartitionImage } from '../partition-image.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'partition-image-grub',
  title: 'direct, partition image, UEFI: GRUB installed by the image, its boot entry made by the agent',
  packages: [],
  machine: { config: { agent: { enable_bios_bootloader_install: 'true' } } },
  async run(world) {
    const image = await makePartitionImage(world, 'grub-efi')
    await world.makeAvailable()
    await world.deploy({ ...image, root_gb: 1 }, { hostname: 'partition-grub' })
  },
} satisfies Scenario
