/**
 * Arrays of the kernel's own RAID, as mdadm tells of them: names, members, which are there. Except for starting arrays
 * that lie on the disks it changes nothing; building and deleting are in create.ts and delete.ts.
 *
 * Source: mdadm(8), `--detail --scan`, `--detail --export`, `--examine --export`.
 */
import { realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { Settings } from '../../settings.ts'
import { readOrNull, settle } from '../sys-files.ts'

export interface MdArray {
  /** `/dev/md0` */
  device: string
  /** As it was given when the array was made; null without. */
  name: string | null
  /** As mdadm writes it: four groups of hexadecimal digits. */
  uuid: string | null
  /** Disks or partitions. */
  members: string[]
  /** Disks that these are on. */
  disks: string[]
}

/**
 * Starts every array whose parts are there, on a machine that is the agent's own. That some cannot be started, or none is
 * there, is no error.
 */
export async function assembleArrays({ ownsMachine }: Pick<Settings, 'ownsMachine'>): Promise<void> {
  if (!ownsMachine) return
  await run('mdadm', ['--assemble', '--scan']).catch(() => {})
  await settle()
}

/** Arrays the kernel knows, also those that it could not start. @throws CommandFailed without mdadm */
export async function listArrays(): Promise<MdArray[]> {
  const { stdout } = await run('mdadm', ['--detail', '--scan'])
  const devices = [...stdout.matchAll(/^(?:INACTIVE-)?ARRAY (\S+)/gm)].map(([, device = '']) => device)
  const real = await Promise.all(devices.map(device => realpath(device).catch(() => device)))
  return await Promise.all([...new Set(real)].map(describe))
}

/** The array that a device is, or null. A machine without mdadm has none. @throws CommandFailed when the device is one */
export async function arrayOf(device: string): Promise<MdArray | null> {
  try {
    return (await listArrays()).find(array => array.device === device) ?? null
  } catch (error) {
    if (/^\/dev\/md/.test(device)) throw error
    return null
  }
}

/** Whether the kernel runs any. A machine without mdadm has none. */
export async function hasArrays(): Promise<boolean> {
  return (await listArrays().catch(() => [])).length > 0
}

/** A device that no array has. */
export function freeArrayDevice(arrays: readonly MdArray[]): string {
  for (let number = 0; ; number++) {
    if (!arrays.some(({ device }) => device === `/dev/md${number}`)) return `/dev/md${number}`
  }
}

/** Volume name of a running array, without the host that made it; null for what is none or has no name. */
export async function arrayNameOf(device: string): Promise<string | null> {
  if (!/^\/dev\/md/.test(device)) return null
  const { stdout } = await run('mdadm', ['--detail', '--export', device])
  return nameIn(stdout)
}

/** Volume name of the array that a disk or partition belongs to by its own superblock, running or not. */
export async function memberArrayName(device: string): Promise<string | null> {
  const found = await examine(device)
  return found === null ? null : nameIn(found)
}

/** Whether a disk or partition has a RAID superblock. */
export async function isMember(device: string): Promise<boolean> {
  return (await examine(device)) !== null
}

/** The disk that a partition is on; a disk is on itself. */
export async function diskOf(device: string): Promise<string> {
  const sys = `/sys/class/block/${basename(device)}`
  if ((await readOrNull(`${sys}/partition`)) === null) return device
  return `/dev/${basename(dirname(await realpath(sys)))}`
}

async function describe(device: string): Promise<MdArray> {
  const { stdout } = await run('mdadm', ['--detail', '--export', device])
  const members = [...stdout.matchAll(/^MD_DEVICE_\S+_DEV=(.*)$/gm)].map(([, member = '']) => member)
  const disks = [...new Set(await Promise.all(members.map(diskOf)))]
  return { device, name: nameIn(stdout), uuid: /^MD_UUID=(.*)$/m.exec(stdout)?.[1] ?? null, members, disks }
}

/** Null without a superblock, which is what mdadm ends with 1 for; a mdadm that is missing is an error. */
async function examine(device: string): Promise<string | null> {
  try {
    const { stdout } = await run('mdadm', ['--examine', '--export', device])
    return /^MD_(UUID|LEVEL|NAME)=/m.test(stdout) ? stdout : null
  } catch (error) {
    if (/ ended with status 1\b/.test(messageOf(error))) return null
    throw error
  }
}

/** mdadm puts the host's name and a colon before a name it was given. */
function nameIn(exported: string): string | null {
  const name = /^MD_NAME=(.*)$/m.exec(exported)?.[1]?.trim() ?? ''
  return name.slice(name.indexOf(':') + 1) || null
}
