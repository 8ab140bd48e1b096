/**
 * The chassis behind a BMC: its power, its faults, and what it boots from next. Layouts only; which device is meant and
 * when it is asked is decided by power.ts and management.ts.
 *
 * Source: IPMI v2.0 rev 1.1, 28.2 "Get Chassis Status", 28.3 "Chassis Control", 28.12 and 28.13 "System Boot Options",
 * table 28-14 "Boot option parameters".
 */
import { chassisControls, commands, netFns } from '#protocol/ipmi/commands.ts'
import type { BootMode } from '#protocol/states.ts'
import type { IpmiClient } from './client.ts'
import { IpmiUnreadable } from './faults.ts'

export interface ChassisStatus {
  isOn: boolean
  /** In words; empty: none. */
  faults: string[]
}

const powerFaults = [
  [0x02, 'power overload'],
  [0x08, 'main power fault'],
  [0x10, 'power control fault'],
] as const
const otherFaults = [
  [0x04, 'drive fault'],
  [0x08, 'cooling fault'],
] as const

export async function chassisStatus(client: IpmiClient, signal: AbortSignal): Promise<ChassisStatus> {
  const { status: command } = commands.chassis
  const what = 'the question for its chassis status'
  const answer = await client.ask({ netFn: netFns.chassis, command, data: [], asUser: true, what }, signal)
  const [power, , misc = 0] = answer
  if (power === undefined) throw new IpmiUnreadable(`The BMC at ${client.bmc} answered ${what} with nothing`)
  const set = (faults: typeof powerFaults | typeof otherFaults, byte: number) =>
    faults.flatMap(([bit, name]) => ((byte & bit) === 0 ? [] : [name]))
  const status = { isOn: (power & 1) !== 0, faults: [...set(powerFaults, power), ...set(otherFaults, misc)] }
  latest.set(client, { status, atMs: performance.now() })
  return status
}

/** By client: what it answered last. */
const latest = new WeakMap<IpmiClient, { status: ChassisStatus; atMs: number }>()
const recentMs = 5000

/** Who looks at the power of a fleet asks for its faults right afterwards: an answer a few seconds old will do. */
export async function recentChassisStatus(client: IpmiClient, signal: AbortSignal): Promise<ChassisStatus> {
  const known = latest.get(client)
  return known && performance.now() - known.atMs < recentMs ? known.status : chassisStatus(client, signal)
}

export async function controlChassis(
  client: IpmiClient,
  control: keyof typeof chassisControls,
  signal: AbortSignal,
): Promise<void> {
  const { control: command } = commands.chassis
  const what = `chassis control "${control}"`
  await client.ask({ netFn: netFns.chassis, command, data: [chassisControls[control]], what }, signal)
}

/** What the firmware boots from, by the number of its selector. */
export interface BootFlags {
  /** False: nothing is set, the firmware follows its own order. */
  isValid: boolean
  isPersistent: boolean
  isUefi: boolean
  selector: number
}

const parameters = { validBitClearing: 3, infoAcknowledge: 4, bootFlags: 5 } as const
/** Bit 3: the flags stay valid when no "Chassis Control" comes within a minute. */
const keepOnTimeout = 0x08

export async function readBootFlags(client: IpmiClient, signal: AbortSignal): Promise<BootFlags> {
  const { getBootOptions: command } = commands.chassis
  const what = 'the question for its boot flags'
  const data = [parameters.bootFlags, 0, 0]
  const answer = await client.ask({ netFn: netFns.chassis, command, data, what }, signal)
  const [, , flags, device] = answer
  if (flags === undefined || device === undefined) {
    throw new IpmiUnreadable(`The BMC at ${client.bmc} answered ${what} with ${answer.length} bytes, expected 7`)
  }
  return {
    isValid: (flags & 0x80) !== 0,
    isPersistent: (flags & 0x40) !== 0,
    isUefi: (flags & 0x20) !== 0,
    selector: (device >> 2) & 0x0f,
  }
}

export async function writeBootFlags(
  client: IpmiClient,
  flags: { persistent: boolean; mode: BootMode; selector: number },
  signal: AbortSignal,
): Promise<void> {
  const { persistent, mode, selector } = flags
  const first = 0x80 | (persistent ? 0x40 : 0) | (mode === 'uefi' ? 0x20 : 0)
  const data = [parameters.bootFlags, first, selector << 2, 0, 0, 0]
  await setBootOption(client, data, 'boot flags', signal)
}

/** The flags are to hold longer than a minute. */
export async function keepBootFlags(client: IpmiClient, signal: AbortSignal): Promise<void> {
  const what = 'the request to keep boot flags longer than a minute'
  await setBootOption(client, [parameters.validBitClearing, keepOnTimeout], what, signal)
}

async function setBootOption(client: IpmiClient, data: number[], what: string, signal: AbortSignal): Promise<void> {
  const { setBootOptions: command } = commands.chassis
  await client.ask({ netFn: netFns.chassis, command, data, what }, signal)
}
