/**
 * Guards for whoever destroys what is on a disk: is the device free, may it be written, what hangs on it. The kernel
 * decides: an exclusive open fails while anything is mounted from the disk or built upon it.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'
import { isMapped, mappedPartitions, remapPartitions, unmapPartitions } from './multipath.ts'
import { readOrNull, settle, trimmed } from './sys-files.ts'

/** How long a device may be busy for reasons that pass: udev probing it, an array being stopped. */
const BUSY_ATTEMPTS = 20
const BUSY_PAUSE_MS = 250

/**
 * Opens a block device for reading and writing, alone. Partitions that are mapped on it go. Close it before asking the kernel to read its partition table.
 * @throws AgentFault ProtectedDeviceError when it is read-only or stays in use, naming by what
 */
export async function openExclusively(device: string): Promise<FileHandle> {
  if (await isReadOnly(device)) {
    throw new AgentFault('ProtectedDeviceError', `Cannot write to ${device}: the device is read-only`)
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await open(device, constants.O_RDWR | constants.O_EXCL)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : ''
      if (code !== 'EBUSY') {
        throw new AgentFault('BlockDeviceError', `Cannot open ${device}: ${code || String(error)}`, { cause: error })
      }
      const users = await usersOf(device)
      if (users.length === 0 && isMapped(device)) await unmapPartitions(device)
      if (users.length > 0 || attempt === BUSY_ATTEMPTS) {
        const by = users.length > 0 ? users.join(', ') : 'something that cannot be found'
        throw new AgentFault('ProtectedDeviceError', `Cannot write to ${device}: it is in use by ${by}`)
      }
    }
    await sleep(BUSY_PAUSE_MS)
  }
}

/** Bytes. The kernel counts in units of 512 whatever the sector size. */
export async function deviceSize(device: string): Promise<number> {
  const sectors = Number(trimmed(await readOrNull(`/sys/class/block/${basename(device)}/size`)) ?? Number.NaN)
  if (Number.isNaN(sectors)) throw new AgentFault('DeviceNotFound', `Cannot find the size of ${device}: no such device`)
  return sectors * 512
}

export async function isReadOnly(device: string): Promise<boolean> {
  return trimmed(await readOrNull(`/sys/class/block/${basename(device)}/ro`)) === '1'
}

/** A disk that is a drive for virtual media: reads as empty or as our own boot image; never ours to erase. */
export async function isVirtualMedia(device: string): Promise<boolean> {
  return /virtual media/i.test((await readOrNull(`/sys/class/block/${basename(device)}/device/model`)) ?? '')
}

/** Partitions of a disk as the kernel knows them now, in the order of their numbers: `/dev/sda1`, ... */
export async function partitionsOf(disk: string): Promise<string[]> {
  if (isMapped(disk)) return await mappedPartitions(disk)
  const sys = `/sys/class/block/${basename(disk)}`
  const found: { name: string; number: number }[] = []
  for (const name of await readdir(sys)) {
    const number = Number(trimmed(await readOrNull(join(sys, name, 'partition'))) ?? Number.NaN)
    if (!Number.isNaN(number)) found.push({ name, number })
  }
  return found.sort((a, b) => a.number - b.number).map(({ name }) => `/dev/${name}`)
}

/** Active RAID arrays, logical volumes and the like that are built on a disk or on one of its partitions. */
export async function holdersOf(disk: string): Promise<string[]> {
  const partitions = await partitionsOf(disk)
  const lists = await Promise.all(
    [disk, ...partitions].map(device => readdir(`/sys/class/block/${basename(device)}/holders`).catch(() => [])),
  )
  const holders = [...new Set(lists.flat())].map(name => `/dev/${name}`)
  return holders.filter(holder => !partitions.includes(holder))
}

/** Makes the kernel forget the old partitions and find the new ones; their nodes exist afterwards. */
export async function rereadPartitions(disk: string): Promise<void> {
  await settle()
  if (isMapped(disk)) return await remapPartitions(disk)
  await run('blockdev', ['--rereadpt', disk]).catch(() => {})
  // Adds and removes single partitions: for when one is being looked at by udev, or the kernel does not know the table.
  await run('partx', ['--update', disk]).catch(() => {})
  await settle()
}

async function usersOf(disk: string): Promise<string[]> {
  const numbers = new Set<string>()
  for (const device of [disk, ...(await partitionsOf(disk))]) {
    const number = trimmed(await readOrNull(`/sys/class/block/${basename(device)}/dev`))
    if (number !== null) numbers.add(number)
  }
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  const mounted = mounts
    .map(line => line.split(' '))
    .filter(([, , number]) => numbers.has(number ?? ''))
    .map(([, , , , path]) => `a mount at ${path}`)
  return [...mounted, ...(await holdersOf(disk))]
}
