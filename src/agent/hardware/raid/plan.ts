/**
 * Reads a software RAID configuration and plans it on the disks there are: which partitions on which disk, which volume of
 * which of them. Pure, and everything that is wrong is named at once. What mdadm then does with the plan is in create.ts.
 *
 * Source: openstack/ironic-python-agent `hardware.py`, `raid_utils.py` (rules, sizes).
 */
import { messageOf } from '#lib/fault.ts'
import type { AgentNode } from '#protocol/agent.ts'
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

const leastDisks: Record<string, number> = { '0': 2, '1': 2, '10': 2, '5': 3, '6': 4 }

/** Whether this configuration asks for RAID by the operating system at all. */
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
  const disks = logicalDisks(config)
  const wrong: string[] = []
  if (disks.length !== 1 && disks.length !== 2) wrong.push(`${disks.length} logical disks, expected one or two`)
  const mustHaveNames = readSkipList(node).volumes.length > 0
  const volumes = disks.map((disk, index): Volume => {
    const say = (text: string) => wrong.push(`logical disk ${index + 1}: ${text}`)
    const { controller, raid_level, size_gb, volume_name, is_root_volume, physical_disks } = disk
    if (controller !== 'software') say(`controller ${JSON.stringify(controller)}, expected "software" for all or none`)
    const level = raid_level === '1+0' ? '10' : String(raid_level)
    if (!Object.hasOwn(leastDisks, level)) say(`raid_level ${JSON.stringify(raid_level)}, expected 0, 1, 1+0, 5 or 6`)
    else if (index === 0 && level !== '1') say(`raid_level ${raid_level}, expected 1 for the first`)
    if (size_gb !== 'MAX' && !(Number.isInteger(size_gb) && Number(size_gb) > 0)) {
      say(`size_gb ${JSON.stringify(size_gb)}, expected a positive whole number or MAX`)
    }
    const isName = typeof volume_name === 'string' && /^[\w.-]{1,32}$/.test(volume_name)
    if (volume_name != null && !isName) {
      say(`volume_name ${JSON.stringify(volume_name)}, expected up to 32 letters, digits and . _ -`)
    }
    if (volume_name == null && mustHaveNames) say('no volume_name, which all need while skip_block_devices has one')
    if (is_root_volume != null && typeof is_root_volume !== 'boolean') say('is_root_volume is neither true nor false')
    return {
      name: isName ? volume_name : null,
      level,
      sizeGib: size_gb === 'MAX' ? 'MAX' : Number(size_gb),
      hints: readPhysicalDisks(physical_disks, say),
      isRoot: typeof is_root_volume === 'boolean' ? is_root_volume : null,
    }
  })
  const names = volumes.flatMap(({ name }) => name ?? [])
  if (new Set(names).size < names.length) wrong.push(`two logical disks have the volume_name ${names[0]}`)
  if (names.includes('esp')) wrong.push('the volume_name esp is taken by the EFI system partition')
  if (volumes.filter(({ isRoot }) => isRoot).length > 1) wrong.push('two logical disks have is_root_volume')
  if (volumes.filter(({ sizeGib }) => sizeGib === 'MAX').length > 1) wrong.push('two logical disks have size_gb MAX')
  if (wrong.length > 0) throw notPossible(wrong.join('; '))
  return volumes
}

/**
 * @param devices that may be used
 * @throws AgentFault SoftwareRAIDError when there are not enough of them, or not those that are asked for
 */
export function planVolumes(volumes: readonly Volume[], devices: readonly BlockDevice[]): Plan {
  const planned = volumes.map(volume => {
    const disks = volume.hints === null ? devices.map(({ name }) => name) : pick(volume.hints, devices)
    const least = leastDisks[volume.level] ?? 2
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
  const list = typeof config === 'object' && config !== null && 'logical_disks' in config ? config.logical_disks : []
  if (Array.isArray(list) && list.every(one => typeof one === 'object' && one !== null)) return list
  throw notPossible(`logical_disks is ${JSON.stringify(list)}, expected a list of objects`)
}

function readPhysicalDisks(value: unknown, say: (text: string) => void): Record<string, unknown>[] | null {
  if (value == null) return null
  const isObject = (one: unknown) => typeof one === 'object' && one !== null && !Array.isArray(one)
  if (Array.isArray(value) && value.length >= 2 && value.every(isObject)) return value
  say('physical_disks is not a list of at least two objects with root device hints')
  return null
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
