/**
 * Which volumes a controller is to make of which drives, for the logical disks that an operator wants. Pure: drives and
 * wishes go in, requests come out.
 *
 * Source: cleaning facts, "RAID" (ironic/drivers/modules/redfish/raid.py restated): levels and their least drives, sizes in
 * GiB, MAX only with physical_disks, a controller is found where none is named.
 */
import { InvalidInput } from '#lib/fault.ts'

export interface RaidDrive {
  path: string
  id: string
  controller: string
  sizeBytes: number
  /** `hdd` or `ssd`; null: not told. */
  kind: string | null
  /** `sas`, `sata`, `nvme`; null: not told. */
  protocol: string | null
  /** Bytes that no volume uses. */
  freeBytes: number
}

/** A logical disk of `target_raid_config`, as protocol/raid.ts has it. */
export interface LogicalDisk {
  raid_level: string
  size_gb: number | 'MAX'
  volume_name?: string
  is_root_volume?: boolean
  share_physical_disks?: boolean
  disk_type?: string
  interface_type?: string
  number_of_physical_disks?: number
  controller?: string
  physical_disks?: readonly unknown[]
}

export interface PlannedVolume {
  controller: string
  name: string
  raidType: string
  sizeBytes: number
  drives: readonly string[]
  /** As it was asked for. */
  disk: LogicalDisk
}

interface Level {
  raidType: string
  least: number
  /** Drives' worth of data that `n` drives hold. */
  data: (n: number) => number
  /** The number of drives must be divisible by it. */
  multiple: number
}

const levels: Readonly<Record<string, Level>> = {
  '0': { raidType: 'RAID0', least: 1, data: n => n, multiple: 1 },
  '1': { raidType: 'RAID1', least: 2, data: () => 1, multiple: 1 },
  '5': { raidType: 'RAID5', least: 3, data: n => n - 1, multiple: 1 },
  '6': { raidType: 'RAID6', least: 4, data: n => n - 2, multiple: 1 },
  '1+0': { raidType: 'RAID10', least: 4, data: n => n / 2, multiple: 2 },
  '5+0': { raidType: 'RAID50', least: 6, data: n => n - 2, multiple: 2 },
  '6+0': { raidType: 'RAID60', least: 8, data: n => n - 4, multiple: 2 },
}

const gib = 1024 ** 3
/** What a controller keeps for itself on each drive, in its stripes. */
const stripeBytes = 64 * 1024

/** Checks wishes as far as that is possible without the drives. @throws InvalidInput naming every disk that is wrong */
export function checkLogicalDisks(disks: readonly LogicalDisk[]): void {
  const problems = disks.flatMap((disk, index) => {
    const at = `logical_disks[${index}]`
    if (!Object.hasOwn(levels, disk.raid_level)) {
      return [`${at} has raid_level ${disk.raid_level}, expected one of ${Object.keys(levels).join(', ')}`]
    }
    if (disk.size_gb === 'MAX' && !disk.physical_disks) return [`${at} has size_gb MAX, which needs physical_disks`]
    if (disk.interface_type === 'scsi') return [`${at} has interface_type scsi, expected sas or sata`]
    if (disk.controller === 'software')
      return [`${at} is for software RAID, which the agent makes: raid_interface agent`]
    const named = disk.physical_disks?.find(one => typeof one !== 'string')
    return named === undefined ? [] : [`${at} has hints in physical_disks, expected IDs of drives`]
  })
  if (problems.length > 0) throw new InvalidInput(`Cannot make this RAID by Redfish: ${problems.join('; ')}`)
}

/** @throws InvalidInput naming the disk that no drives are left for, and what there was */
export function planVolumes(disks: readonly LogicalDisk[], drives: readonly RaidDrive[]): PlannedVolume[] {
  checkLogicalDisks(disks)
  const left = new Map(drives.map(drive => [drive.path, { ...drive, isTaken: drive.freeBytes < drive.sizeBytes }]))
  // Those that name their drives choose first, the largest of the others next.
  const order = [...disks.entries()].sort(([, a], [, b]) => rank(b) - rank(a))
  const planned: [number, PlannedVolume][] = []
  for (const [index, disk] of order) {
    const level = levels[disk.raid_level] as Level // checkLogicalDisks has found it
    const chosen = choose(disk, level, [...left.values()])
    if (!chosen) {
      const had = [...left.values()].map(
        one => `${one.id} (${one.controller}, ${one.kind}, ${Math.floor(one.freeBytes / gib)} GiB free)`,
      )
      throw new InvalidInput(
        `Cannot make logical_disks[${index}] (level ${disk.raid_level}, ${disk.size_gb} GiB): no drives fit; found ${had.join(', ') || 'none'}`,
      )
    }
    const { group, sizeBytes } = chosen
    for (const drive of group) {
      drive.freeBytes -= Math.ceil(sizeBytes / level.data(group.length))
      if (!disk.share_physical_disks) drive.isTaken = true
    }
    const [first] = group
    const name = disk.volume_name ?? `ferrite-${index}`
    const paths = group.map(drive => drive.path)
    planned.push([
      index,
      { controller: first?.controller ?? '', name, raidType: level.raidType, sizeBytes, drives: paths, disk },
    ])
  }
  return planned.sort(([a], [b]) => a - b).map(([, volume]) => volume)
}

type Candidate = RaidDrive & { isTaken: boolean }

/** The smallest drives of one controller that hold it, the fewest of them. */
function choose(
  disk: LogicalDisk,
  level: Level,
  all: readonly Candidate[],
): { group: Candidate[]; sizeBytes: number } | undefined {
  const fitting = all.filter(
    drive =>
      (!disk.controller || drive.controller === disk.controller) &&
      (!disk.disk_type || drive.kind === disk.disk_type) &&
      (!disk.interface_type || drive.protocol === disk.interface_type) &&
      (disk.share_physical_disks || !drive.isTaken),
  )
  for (const controller of new Set(fitting.map(drive => drive.controller))) {
    const own = fitting.filter(drive => drive.controller === controller)
    const named = disk.physical_disks?.map(id => own.find(drive => drive.id === id))
    if (named?.some(drive => drive === undefined)) continue
    const pool = named ? named.filter(drive => drive !== undefined) : own.sort((a, b) => a.freeBytes - b.freeBytes)
    const counts = named ? [pool.length] : countsOf(disk, level, pool.length)
    for (const count of counts) {
      if (count < level.least || count % level.multiple !== 0 || count > pool.length) continue
      for (let from = 0; from + count <= pool.length; from += 1) {
        const group = pool.slice(from, from + count)
        const roomBytes = roomOf(group, level)
        const sizeBytes = disk.size_gb === 'MAX' ? roomBytes : disk.size_gb * gib
        if (sizeBytes > 0 && sizeBytes <= roomBytes) return { group, sizeBytes }
      }
    }
  }
  return undefined
}

function countsOf({ number_of_physical_disks: asked }: LogicalDisk, { least }: Level, most: number): number[] {
  if (asked !== undefined) return [asked]
  return Array.from({ length: Math.max(0, most - least + 1) }, (_, index) => least + index)
}

/** Whole stripes of the smallest drive. */
function roomOf(group: readonly Candidate[], level: Level): number {
  const least = Math.min(...group.map(drive => drive.freeBytes))
  return Math.floor(least / stripeBytes) * stripeBytes * level.data(group.length)
}

function rank({ physical_disks, size_gb }: LogicalDisk): number {
  return (physical_disks ? 2 ** 40 : 0) + (size_gb === 'MAX' ? 0 : size_gb)
}
