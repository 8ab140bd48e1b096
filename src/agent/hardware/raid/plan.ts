/**
 * Reads a software RAID configuration and plans it on the disks there are: which partitions on which disk, which volume of
 * which of them. Pure, and everything that is wrong is named at once. What mdadm then does with the plan is in create.ts.
 *
 * Source: openstack/ironic-python-agent `hardware.py`, `raid_utils.py` (rules, sizes).
 */
import { messageOf } from '#lib/fault.ts'
import type { AgentNode } from '#protocol/agent.ts'
import {
  areHints,
  isVolumeName,
  leastDisksOf,
  logicalDisksOf,
  mdLevel,
  softwareRaidProblems,
} from '#protocol/software-raid.ts'
import { AgentFault } from '../../errors.ts'
import type { BlockDevice } from '../block-devices.ts'
import { matching } from '../root-device.ts'
import { readSkipList } from '../skip-list.ts'

export interface Volume {
  /** Null: to be called after its device. */
  name: string | null
  /** As mdadm has it: 0, 1, 10, 5, 6. */
  level: string
  sizeGib: number | 'MAX'
  /** Hints for each disk; null: all disks. */
  hints: Record<string, unknown>[] | null
  /** True: the system goes here; false: never; null: not said. */
  isRoot: boolean | null
}

export interface Plan {
  /** In the order in which their partitions lie on the disks. */
  volumes: (Volume & { disks: string[] })[]
  /** All disks that become members. */
  disks: string[]
}

/** Whether this configuration asks for RAID by the operating system at all. @throws AgentFault SoftwareRAIDError */
export function isSoftware(config: unknown): boolean {
  return logicalDisks(config).some(({ controller }) => controller === 'software')
}

/** The volumes of a configuration, leniently: for finding them again, not for making them. */
export function volumesOf(config: unknown): Pick<Volume, 'name' | 'isRoot'>[] {
  return logicalDisks(config)
    .filter(({ controller }) => controller === 'software')
    .map(({ volume_name: name, is_root_volume: isRoot }, index) => ({
      name: typeof name === 'string' ? name : `md${index}`,
      isRoot: typeof isRoot === 'boolean' ? isRoot : null,
    }))
}

/** @throws AgentFault SoftwareRAIDError naming all that is wrong */
export function readRaidConfig(config: unknown, node: AgentNode): Volume[] {
  const wrong = softwareRaidProblems(config, { mustHaveNames: readSkipList(node).volumes.length > 0 })
  if (wrong.length > 0) throw notPossible(wrong.join('; '))
  return logicalDisks(config).map(({ volume_name, raid_level, size_gb, physical_disks, is_root_volume }) => ({
    name: isVolumeName(volume_name) ? volume_name : null,
    level: mdLevel(raid_level),
    sizeGib: size_gb === 'MAX' ? 'MAX' : Number(size_gb),
    hints: areHints(physical_disks) ? physical_disks : null,
    isRoot: typeof is_root_volume === 'boolean' ? is_root_volume : null,
  }))
}

/**
 * @param devices that may be used
 * @throws AgentFault SoftwareRAIDError when there are not enough of them, or not those that are asked for
 */
export function planVolumes(volumes: readonly Volume[], devices: readonly BlockDevice[]): Plan {
  const planned = volumes.map(volume => {
    const disks = volume.hints === null ? devices.map(({ name }) => name) : pick(volume.hints, devices)
    const least = leastDisksOf[volume.level] ?? 2
    if (disks.length < least) {
      throw notPossible(`RAID level ${volume.level} needs ${least} disks, found ${disks.join(', ') || 'none'}`)
    }
    return { ...volume, disks }
  })
  // What takes all that is left lies behind the others.
  const ordered = [
    ...planned.filter(({ sizeGib }) => sizeGib !== 'MAX'),
    ...planned.filter(({ sizeGib }) => sizeGib === 'MAX'),
  ]
  return { volumes: ordered, disks: [...new Set(planned.flatMap(({ disks }) => disks))] }
}

export function notPossible(what: string): AgentFault {
  return new AgentFault('SoftwareRAIDError', `Cannot make this software RAID: ${what}; nothing was changed`)
}

function logicalDisks(config: unknown): Record<string, unknown>[] {
  const list = logicalDisksOf(config)
  if (list !== null) return list
  throw notPossible(`logical_disks of ${JSON.stringify(config)}, expected a list of objects`)
}

/** For each set of hints the first disk that matches and is not taken yet. */
function pick(hints: readonly Record<string, unknown>[], devices: readonly BlockDevice[]): string[] {
  const taken: string[] = []
  for (const wanted of hints) {
    let found: BlockDevice | undefined
    try {
      found = matching(devices, wanted).find(({ name }) => !taken.includes(name))
    } catch (error) {
      throw notPossible(messageOf(error))
    }
    if (found === undefined) {
      const present = devices.map(({ name }) => name).join(', ') || 'no disks'
      throw notPossible(
        `no disk left for ${JSON.stringify(wanted)} among ${present}, with ${taken.join(', ') || 'none'} taken`,
      )
    }
    taken.push(found.name)
  }
  return taken
}
