/**
 * Lists block devices with every identifier a root device hint can name. It reads lsblk, udev and /sys, and writes to no
 * disk. An agent that does not own its machine sees only the devices it was given.
 *
 * Source: openstack/ironic-python-agent `hardware.py` (which devices count, where values come from).
 */
import { readdir, realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { run } from '#lib/run.ts'
import type { Disk } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import { joinPaths, pathsTo } from './multipath.ts'
import { readOrNull, settle, trimmed } from './sys-files.ts'

export interface BlockDevice extends Disk {
  /** Every spelling of the value; a hint may name any of them. */
  serials: string[]
  wwns: string[]
}

const MaybeText = Type.Union([Type.String(), Type.Null()])
const LsblkDevice = Type.Object({
  kname: Type.String(),
  model: MaybeText,
  size: Type.Union([Type.Integer(), Type.Null()]),
  rota: Type.Boolean(),
  type: Type.String(),
  serial: MaybeText,
  wwn: MaybeText,
  'log-sec': Type.Union([Type.Integer(), Type.Null()]),
  'phy-sec': Type.Union([Type.Integer(), Type.Null()]),
  tran: MaybeText,
})
type LsblkDevice = Static<typeof LsblkDevice>
const LsblkAnswer = Type.Object({ blockdevices: Type.Array(LsblkDevice) })
const COLUMNS = 'KNAME,MODEL,SIZE,ROTA,TYPE,SERIAL,WWN,LOG-SEC,PHY-SEC,TRAN'

/**
 * Whole disks (also RAID arrays and multipath devices), without floppies, RAM disks and what has no medium.
 * @throws AgentFault BlockDeviceError when lsblk answers something else than it is known to
 */
export async function listBlockDevices(context: AgentContext): Promise<BlockDevice[]> {
  const { settings } = context
  await settle()
  let all = await askLsblk()
  let paths = await pathsByDevice(all)
  const single = all.filter(({ kname, type }) => type === 'disk' && ![...paths.values()].flat().includes(kname))
  if (
    await joinPaths(
      single.map(({ wwn }) => wwn),
      context,
    )
  ) {
    all = await askLsblk()
    paths = await pathsByDevice(all)
  }
  const seen = new Set([...paths.values()].flat())
  const kept = all.filter(device => {
    const wanted =
      settings.onlyDevices.length > 0 ? settings.onlyDevices.includes(`/dev/${device.kname}`) : isDisk(device)
    if (!wanted || (device.size ?? 0) === 0 || seen.has(device.kname)) return false
    seen.add(device.kname)
    return true
  })
  const byPath = await byPathLinks()
  return await Promise.all(
    kept.map(async device => {
      const [path] = paths.get(device.kname) ?? []
      const described = await describe(device, byPath)
      const one = all.find(({ kname }) => kname === path)
      return one === undefined ? described : asSeenBy(await describe(one, byPath), described)
    }),
  )
}

async function askLsblk(): Promise<LsblkDevice[]> {
  const { stdout } = await run('lsblk', ['-bia', '--json', `-o${COLUMNS}`])
  const answer: unknown = JSON.parse(stdout)
  if (Value.Check(LsblkAnswer, answer)) return answer.blockdevices
  const [first] = Value.Errors(LsblkAnswer, answer)
  throw new AgentFault('BlockDeviceError', `Cannot list disks: lsblk's ${first?.instancePath} ${first?.message}`)
}

/** Of each disk that is there as a whole, the single paths to it. */
async function pathsByDevice(devices: readonly LsblkDevice[]): Promise<Map<string, string[]>> {
  const whole = devices.filter(({ type }) => type === 'mpath')
  const lists = whole.map(async ({ kname }) => {
    const paths = await pathsTo(`/dev/${kname}`)
    return [kname, paths.map(path => basename(path))] as const
  })
  return new Map(await Promise.all(lists))
}

/** A disk of several paths: what it is by one of them, but for what is that path's alone. */
function asSeenBy(path: BlockDevice, whole: BlockDevice): BlockDevice {
  const [serials, wwns] = [distinct([...whole.serials, ...path.serials]), distinct([...whole.wwns, ...path.wwns])]
  return {
    ...path,
    ...{ name: whole.name, size: whole.size, rotational: whole.rotational, hctl: null, by_path: whole.by_path },
    ...{ serials, serial: serials[0] ?? null, wwns, wwn: wwns[0] ?? null },
  }
}

/** The disk as the inventory and the API have it. */
export function asDisk({ serials: _serials, wwns: _wwns, ...disk }: BlockDevice): Disk {
  return disk
}

function isDisk({ kname, type }: LsblkDevice): boolean {
  if (/^(fd|ram|zram)\d/.test(kname)) return false
  return type === 'disk' || type.includes('raid') || type === 'mpath'
}

async function describe(device: LsblkDevice, byPath: Map<string, string>): Promise<BlockDevice> {
  const udev = await udevProperties(device.kname)
  const prefix = device.kname.startsWith('dm-') ? 'DM_' : 'ID_'
  const serials = distinct([device.serial, udev.get(`${prefix}SERIAL_SHORT`), udev.get(`${prefix}SERIAL`)])
  const extended = udev.get(`${prefix}WWN_WITH_EXTENSION`) ?? null
  const wwns = distinct([device.wwn, udev.get(`${prefix}WWN`), extended])
  return {
    name: `/dev/${device.kname}`,
    model: trimmed(device.model),
    size: device.size ?? 0,
    rotational: device.rota,
    wwn: wwns[0] ?? null,
    serial: serials[0] ?? null,
    vendor: trimmed(await readOrNull(`/sys/class/block/${device.kname}/device/vendor`)),
    wwn_with_extension: extended,
    wwn_vendor_extension: udev.get(`${prefix}WWN_VENDOR_EXTENSION`) ?? null,
    hctl: await hctl(device.kname),
    by_path: byPath.get(device.kname) ?? null,
    logical_sectors: device['log-sec'],
    physical_sectors: device['phy-sec'],
    tran: device.tran,
    serials,
    wwns,
  }
}

/** Properties udev keeps of the device; empty without udev. */
export async function udevProperties(kname: string): Promise<Map<string, string>> {
  const properties = new Map<string, string>()
  const number = trimmed(await readOrNull(`/sys/class/block/${kname}/dev`))
  const record = number === null ? null : await readOrNull(`/run/udev/data/b${number}`)
  for (const line of record?.split('\n') ?? []) {
    const found = /^E:([^=]+)=(.*)$/.exec(line)
    if (found) properties.set(found[1] ?? '', found[2] ?? '')
  }
  return properties
}

async function byPathLinks(): Promise<Map<string, string>> {
  const dir = '/dev/disk/by-path'
  const links = new Map<string, string>()
  let names: string[]
  try {
    names = (await readdir(dir)).sort()
  } catch {
    return links // no device has a path name
  }
  for (const name of names) {
    const kname = basename(await realpath(join(dir, name)).catch(() => ''))
    if (!links.has(kname)) links.set(kname, join(dir, name))
  }
  return links
}

async function hctl(kname: string): Promise<string | null> {
  try {
    const [address] = await readdir(`/sys/block/${kname}/device/scsi_device`)
    return address ?? null
  } catch {
    return null
  }
}

function distinct(values: (string | null | undefined)[]): string[] {
  return [...new Set(values.map(trimmed).filter(value => value !== null))]
}
