/** A mirror of two disks on a BIOS machine: the image's own GRUB is installed on both, and either starts the system. */
import { makePartitionImage } from '../partition-image.ts'
import type { Scenario } from '../scenario.ts'
import { buildMirror, startWithOneDisk } from '../software-raid.ts'

export default {
  name: 'software-raid-bios',
  title: 'direct, partition image with GRUB on a mirror of two disks, BIOS; started again with one of them',
  packages: [],
  machine: {
    firmware: 'bios',
    config: { agent: { enable_bios_bootloader_install: 'true' } },
    machine: {
      disks: [
        { bus: 'sata', sizeGib: 6 },
        { bus: 'sata', sizeGib: 6 },
      ],
    },
  },
  async run(world) {
    const image = await makePartitionImage(world, 'grub-bios', { onRaid: true })
    await buildMirror(world, 'bios')
    await world.deploy({ ...image, root_gb: 2 }, { hostname: 'raid-bios' })
    await startWithOneDisk(world, { hostname: 'raid-bios', isMoved: true })
  },
} satisfies Scenario
