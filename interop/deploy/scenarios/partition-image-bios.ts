/** A partition image on a BIOS machine: the agent lays out the disk and runs the GRUB installer of the image. */
import { makePartitionImage } from '../partition-image.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'partition-image-bios',
  title: 'direct, partition image with ephemeral partition and config drive, BIOS: GRUB installed by the image',
  packages: [],
  machine: { firmware: 'bios', config: { agent: { enable_bios_bootloader_install: 'true' } } },
  async run(world) {
    const image = await makePartitionImage(world, 'grub-bios')
    await world.makeAvailable()
    await world.deploy({ ...image, root_gb: 1, ephemeral_gb: 1 }, { hostname: 'partition-bios' })
  },
} satisfies Scenario
