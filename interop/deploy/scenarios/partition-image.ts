/** A partition image on a UEFI machine: the agent lays out the disk, fills the EFI system partition, lists the loader. */
import { makePartitionImage } from '../partition-image.ts'
import type { Scenario } from '../scenario.ts'

export default {
  name: 'partition-image',
  title: 'direct, partition image with swap and config drive, UEFI: systemd-boot copied from the image',
  packages: [],
  async run(world) {
    const image = await makePartitionImage(world, 'systemd-boot')
    await world.makeAvailable()
    await world.deploy({ ...image, root_gb: 1, swap_mb: 64 }, { hostname: 'partition-uefi' })
  },
} satisfies Scenario
