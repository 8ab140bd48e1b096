/** A mirror of two disks on a UEFI machine: its EFI system partitions are a mirror, too, and either disk starts the system. */
import { makePartitionImage } from '../partition-image.ts'
import type { Scenario } from '../scenario.ts'
import { buildMirror, startWithOneDisk } from '../software-raid.ts'

export default {
  name: 'software-raid',
  title: 'direct, partition image with systemd-boot on a mirror of two disks, UEFI; started again with one of them',
  packages: [],
  machine: {
    machine: {
      disks: [
        { bus: 'sata', sizeGib: 6 },
        { bus: 'sata', sizeGib: 6 },
      ],
    },
  },
  async run(world) {
    const image = await makePartitionImage(world, 'systemd-boot', { onRaid: true })
    await buildMirror(world, 'uefi')
    await world.deploy({ ...image, root_gb: 2 }, { hostname: 'raid-uefi' })
    await startWithOneDisk(world, { hostname: 'raid-uefi', isMoved: false })
  },
} satisfies Scenario
