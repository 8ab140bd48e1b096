/**
 * The BMC itself: who made it, and its restart. Source: IPMI v2.0 rev 1.1, 20.1 "Get Device ID", 20.2 and 20.3; makers
 * by their numbers: IANA, "Private Enterprise Numbers".
 */
import { commands, netFns } from '#protocol/ipmi/commands.ts'
import type { IpmiClient } from './client.ts'
import { IpmiUnreadable } from './faults.ts'

export interface DeviceId {
  /** Of the maker, as IANA gives them. */
  manufacturer: number
  product: number
  /** "2.14" */
  firmware: string
  hasRepository: boolean
}

/** Makers of servers and of their BMCs, in the words that Ironic's interfaces are configured with. */
const makers: Readonly<Record<number, string>> = {
  2: 'ibm',
  11: 'hewlett-packard',
  42: 'sun microsystems',
  116: 'hitachi',
  119: 'nec',
  343: 'intel corporation',
  368: 'fujitsu siemens',
  674: 'dell inc.',
  2011: 'huawei technologies',
  5771: 'cisco systems',
  7244: 'quanta',
  10368: 'fujitsu siemens',
  10876: 'supermicro',
  15370: 'giga-byte',
  19046: 'lenovo',
  20301: 'ibm',
  40092: 'wiwynn',
  47196: 'hpe',
  47488: 'supermicro',
  49622: 'asrockrack',
}

export async function deviceId(client: IpmiClient, signal: AbortSignal): Promise<DeviceId> {
  const what = 'the question for its device ID'
  const { getDeviceId: command } = commands.app
  const answer = await client.ask({ netFn: netFns.app, command, data: [], asUser: true, what }, signal)
  if (answer.length < 11) {
    throw new IpmiUnreadable(`The BMC at ${client.bmc} answered ${what} with ${answer.length} bytes, expected 11`)
  }
  const [, , major = 0, minor = 0, , support = 0] = answer
  return {
    manufacturer: answer.readUIntLE(6, 3) & 0x0fffff,
    product: answer.readUInt16LE(9),
    // The minor number is in decimal digits of four bits.
    firmware: `${major & 0x7f}.${minor.toString(16).padStart(2, '0')}`,
    hasRepository: (support & 0x02) !== 0,
  }
}

/** By client: a BMC's maker does not change. */
const knownMakers = new WeakMap<IpmiClient, string | null>()

/** Null where nobody here knows the maker's number. */
export async function makerOf(client: IpmiClient, signal: AbortSignal): Promise<string | null> {
  const known = knownMakers.get(client)
  if (known !== undefined) return known
  const maker = makers[(await deviceId(client, signal)).manufacturer] ?? null
  knownMakers.set(client, maker)
  return maker
}

/** The BMC is away for a while afterwards; the machine runs on. */
export async function resetBmc(client: IpmiClient, how: 'warm' | 'cold', signal: AbortSignal): Promise<void> {
  const command = how === 'warm' ? commands.app.warmReset : commands.app.coldReset
  await client.ask({ netFn: netFns.app, command, data: [], what: `a ${how} reset of itself` }, signal)
}
