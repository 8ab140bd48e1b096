/**
 * Disks that are reached by several paths, which the kernel's device mapper makes one device of. Its partitions are mapped
 * by kpartx, for the kernel maps none on such a device. Where the ramdisk cannot do it, each path stays a disk.
 *
 * Source: multipath(8), kpartx(8), multipath.conf(5); the prefixes of `dm/uuid` in /sys are those of their sources.
 */
import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { AgentContext } from '../context.ts'
import { readOrNull, settle } from './sys-files.ts'

/** They wait for paths that do not answer, and the machine must not wait with them for ever. */
const limitMs = 120_000

/** Whether a device is one that the device mapper made. */
export const isMapped = (device: string): boolean => /^dm-\d+$/.test(basename(device))

/** The single disks below a mapped device, such as `/dev/sda`; of any other device itself. */
export async function pathsTo(device: string): Promise<string[]> {
  const names = isMapped(device) ? await readdir(`/sys/class/block/${basename(device)}/slaves`).catch(() => []) : []
  return names.length === 0 ? [device] : names.sort().map(name => `/dev/${name}`)
}

/**
 * Puts paths to the same disk together, and has a daemon watch them.
 * @param wwns of the disks that are seen one by one; null where a disk has none
 * @returns whether that may have changed which disks there are
 */
export async function joinPaths(wwns: readonly (string | null)[], { settings, log }: AgentContext): Promise<boolean> {
  const isTwice = wwns.some((wwn, at) => wwn !== null && wwns.indexOf(wwn) < at)
  if (!isTwice || !settings.ownsMachine) return false
  try {
    await run('modprobe', ['dm_multipath'])
    await run('multipath', ['-v1'], { signal: AbortSignal.timeout(limitMs) })
  } catch (error) {
    log.warn(`Disks that look like paths to one are taken for several: ${messageOf(error)}`)
    return false
  }
  // It fails where it runs already. Without it a path that comes back is not used again, and nothing is lost.
  await run('multipathd', [], { signal: AbortSignal.timeout(limitMs) }).catch(() => {})
  await settle()
  return true
}

/** Partitions that are mapped on a mapped disk, in the order of their numbers. */
export async function mappedPartitions(disk: string): Promise<string[]> {
  const holders = await readdir(`/sys/class/block/${basename(disk)}/holders`).catch(() => [])
  const found = await Promise.all(
    holders.map(async name => {
      const uuid = (await readOrNull(`/sys/class/block/${name}/dm/uuid`)) ?? ''
      return { name, number: Number(/^part(\d+)-/.exec(uuid)?.[1] ?? Number.NaN) }
    }),
  )
  return found
    .filter(({ number }) => !Number.isNaN(number))
    .sort((a, b) => a.number - b.number)
    .map(({ name }) => `/dev/${name}`)
}

/** Makes the mapped partitions those of the table. */
export async function remapPartitions(disk: string): Promise<void> {
  await run('kpartx', ['-u', '-s', disk]).catch(() => {})
  await settle()
}

/** Takes the mapped partitions away, for they keep the disk itself in use. One that is in use stays. */
export async function unmapPartitions(disk: string): Promise<void> {
  await run('kpartx', ['-d', '-s', disk]).catch(() => {})
  await settle()
}

/**
 * Does something while the kernel knows the partitions of one path, for programs that know no mapped devices. Else it
 * knows them by the mapped device alone, lest the same file system be found several times.
 */
export async function withPartitionsOfPath<T>(path: string, work: () => Promise<T>): Promise<T> {
  // What was read of the path before the mapped device was written is remembered.
  await run('blockdev', ['--flushbufs', path])
  await run('partx', ['--update', path])
  await settle()
  try {
    return await work()
  } finally {
    await run('partx', ['--delete', path]).catch(() => {})
    await settle()
  }
}
