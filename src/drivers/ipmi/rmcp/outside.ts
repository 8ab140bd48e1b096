/**
 * Questions to a BMC outside any session: which ways it has to open one. Anyone may ask them, and they are the first
 * sign of life.
 *
 * Source: IPMI v2.0 rev 1.1, 22.13 "Get Channel Authentication Capabilities", 22.15 "Get Channel Cipher Suites".
 */
import { cipherSuites } from '#protocol/ipmi/cipher-suites.ts'
import { commands, completion, netFns } from '#protocol/ipmi/commands.ts'
import { encodePing, payloadTypes, plain15, plain20 } from '#protocol/ipmi/packet.ts'
import { exchange } from './exchange.ts'
import type { Line } from './hub.ts'
import { direct, encodeRequest, type IpmiAnswer, type IpmiRequest, readAnswer } from './route.ts'
import type { Limits } from './session.ts'

export interface Capabilities {
  /** Bit n: authentication type n of IPMI 1.5. */
  authTypes: number
  /** Are packets of an open session of IPMI 1.5 signed? */
  signsPackets: boolean
  speaks15: boolean
  speaks20: boolean
  /** Has the BMC a key of its own (Kg)? */
  hasKey: boolean
}

/** This channel, whatever its number. */
const here = 0x0e
/** Lists of suites have 64 parts at most. */
const suiteParts = 64

/** Undefined when nobody answered, or the BMC does not tell. */
export async function readCapabilities(
  line: Line,
  privilege: number,
  limits: Limits,
): Promise<Capabilities | undefined> {
  const ask = (channel: number) => {
    const command = commands.app.getChannelAuthentication
    return askOutside(line, { netFn: netFns.app, command, data: [channel, privilege] }, limits)
  }
  // The bit that asks for what IPMI 2.0 added is refused by some that know only 1.5.
  const first = await ask(here | 0x80)
  const answer = first && first.completion !== completion.ok ? await ask(here) : first
  if (answer?.completion !== completion.ok || answer.data.length < 4) return undefined
  const [, types = 0, status = 0, versions = 0] = answer.data
  const isExtended = (types & 0x80) !== 0
  return {
    authTypes: types & 0x3f,
    signsPackets: (status & 0x10) === 0,
    speaks15: !isExtended || (versions & 1) !== 0,
    speaks20: isExtended && (versions & 2) !== 0,
    hasKey: (status & 0x20) !== 0,
  }
}

/** IDs of the suites that the BMC has and we know; empty where it does not tell. */
export async function readCipherSuites(line: Line, limits: Limits): Promise<number[]> {
  const list: number[] = []
  for (let part = 0; part < suiteParts; part += 1) {
    const request = { netFn: netFns.app, command: commands.app.getCipherSuites, data: [here, 0, 0x80 | part] }
    const answer = await askOutside(line, request, { ...limits, sendings: 3 })
    if (answer?.completion !== completion.ok) break
    const records = answer.data.subarray(1)
    list.push(...records)
    if (records.length < 16) break
  }
  return suitesIn(list).filter(id => cipherSuites.has(id))
}

/** Records begin with C0h (a standard suite) or C1h (one of a maker, with its number), then tagged algorithms. */
export function suitesIn(records: readonly number[]): number[] {
  return records.flatMap((byte, index) => (byte === 0xc0 ? (records[index + 1] ?? []) : []))
}

/** Is there anything that speaks IPMI at this address? @returns false when something else answered, undefined: nothing */
export function ping(line: Line, limits: Limits): Promise<boolean | undefined> {
  const tag = Math.floor(Math.random() * 0xfe)
  return exchange(line, {
    ...limits,
    make: () => encodePing(tag),
    read: packet => (packet.kind === 'pong' && packet.tag === tag ? packet.speaksIpmi : undefined),
  })
}

/** Sent by turns in the two forms that it may have: some firmware answers one of them. */
export function askOutside(line: Line, request: IpmiRequest, limits: Limits): Promise<IpmiAnswer | undefined> {
  const seq = Math.floor(Math.random() * 64)
  const payload = encodeRequest(direct, request, seq)
  let sent = 0
  return exchange(line, {
    ...limits,
    make() {
      sent += 1
      return sent % 2 === 1 ? plain15(payload) : plain20(payloadTypes.message, payload)
    },
    read(packet) {
      if (packet.kind === 'ping' || packet.kind === 'pong' || packet.sessionId !== 0) return undefined
      return readAnswer(direct, request, seq, packet.payload)
    },
  })
}
