/**
 * Opens a session of RMCP+ (IPMI 2.0): agrees on a cipher suite, then both sides prove that they know the password. An
 * answer is believed only where its proof is right.
 *
 * Source: IPMI v2.0 rev 1.1, 13.15 "RMCP+ session activation".
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import type { CipherSuite } from '#protocol/ipmi/cipher-suites.ts'
import { privileges, rmcpStatus } from '#protocol/ipmi/commands.ts'
import { payloadTypes, plain20 } from '#protocol/ipmi/packet.ts'
import {
  bmcCode,
  checkCode,
  consoleCode,
  decodeOpenResponse,
  decodeRakp2,
  decodeRakp4,
  type Exchange,
  encodeOpenRequest,
  encodeRakp1,
  encodeRakp3,
  padded,
  sessionKeys,
} from '#protocol/ipmi/rakp.ts'
import { seal20 } from '#protocol/ipmi/sealing.ts'
import { IpmiAccessDenied, IpmiNoSession, IpmiSilent, IpmiSuiteIgnored, openingRefused } from '../faults.ts'
import type { Credentials } from './credentials.ts'
import { exchange } from './exchange.ts'
import type { Line } from './hub.ts'
import type { Limits, OpenedSession } from './session.ts'

/** The BMC looks a user up by name alone, not by name and privilege. */
const byName = 0x10
/** Sendings of one message of the opening, before it is begun anew. */
const sendings = 4
/** A lost answer to the third message cannot be asked for again: the opening begins anew so often. */
const openings = 3

/** Where another suite may be tried: how often a session with this one is asked for, before it counts as ignored. */
export type OpeningLimits = Limits & { suiteSendings?: number }

/**
 * @throws IpmiSilent (IpmiSuiteIgnored where nothing was answered at all), IpmiAccessDenied, IpmiNoSession
 */
export async function open20(
  line: Line,
  credentials: Credentials,
  suite: CipherSuite,
  limits: OpeningLimits,
): Promise<OpenedSession> {
  for (let opening = 1; ; opening += 1) {
    const opened = await tryOpening(line, credentials, suite, limits)
    if (typeof opened !== 'string') return opened
    const isIgnored = opened === requestForSession
    // Not without end: each opening that breaks off may count as a wrong password.
    if (!isIgnored && opening < openings && performance.now() < limits.endMs) continue
    const message =
      `Cannot open a session at ${credentials.bmc}: it does not answer ${opened} (cipher suite ${suite.id})` +
      (hints[opened] ?? '')
    throw isIgnored ? new IpmiSuiteIgnored(message) : new IpmiSilent(message)
  }
}

const requestForSession = 'the request for a session'

/** Firmware that drops what it cannot take, instead of saying so. */
const hints: Readonly<Record<string, string>> = {
  [requestForSession]: ', as some do of a cipher suite that they do not have; check ipmi_cipher_suite',
  'RAKP message 1': ', as some do of a user that they do not know; check ipmi_username',
  'RAKP message 3': ', as some do of a password that is wrong; check ipmi_password',
}

/** The name of the message that was not answered, or the session. */
async function tryOpening(
  line: Line,
  credentials: Credentials,
  suite: CipherSuite,
  { suiteSendings, ...limits }: OpeningLimits,
): Promise<OpenedSession | string> {
  const { bmc, user, privilege } = credentials
  const consoleId = randomInt(1, 0xffffffff)
  const tag = randomInt(0, 0xff)
  const refused = (step: string, status: number) =>
    openingRefused(bmc, step, status, { suite: suite.id, privilege, user: user.toString() })
  const ask = <T extends { tag: number; consoleId: number }>(
    [sent, awaited]: readonly [number, number],
    payload: Buffer,
    decode: (bytes: Buffer) => T | undefined,
  ) => {
    const datagram = plain20(sent, payload)
    const atMost = sent === payloadTypes.openRequest ? suiteSendings : sendings
    return exchange(line, {
      ...limits,
      ...(atMost === undefined ? {} : { sendings: atMost }),
      make: () => datagram,
      read(packet) {
        if (packet.kind !== '2.0' || packet.payloadType !== awaited) return undefined
        const answer = decode(packet.payload)
        return answer?.consoleId === consoleId && answer.tag === tag ? answer : undefined
      },
    })
  }

  const algorithms = {
    authentication: suite.authentication.id,
    integrity: suite.integrity.id,
    confidentiality: suite.confidentiality.id,
  }
  const { openRequest, openResponse, rakp1, rakp2, rakp3, rakp4 } = payloadTypes
  const request = encodeOpenRequest({ tag, privilege: privileges[privilege], consoleId, algorithms })
  const response = await ask([openRequest, openResponse], request, decodeOpenResponse)
  if (!response) return requestForSession
  if (response.status !== rmcpStatus.ok) throw refused(requestForSession, response.status)
  const granted = response.algorithms
  if (Object.entries(algorithms).some(([kind, id]) => granted[kind as keyof typeof granted] !== id)) {
    throw new IpmiNoSession(
      `The BMC at ${bmc} was asked for cipher suite ${suite.id} and grants other algorithms ` +
        `(${Object.values(granted).join(', ')}); check ipmi_cipher_suite`,
      rmcpStatus.noSuiteMatch,
    )
  }

  const { bmcId } = response
  const consoleRandom = randomBytes(16)
  const role = byName | privileges[privilege]
  const second = await ask([rakp1, rakp2], encodeRakp1({ tag, bmcId, consoleRandom, role, user }), decodeRakp2)
  if (!second) return 'RAKP message 1'
  if (second.status !== rmcpStatus.ok) throw refused('RAKP message 1', second.status)
  const known: Exchange = {
    suite,
    consoleId,
    bmcId,
    consoleRandom,
    bmcRandom: second.bmcRandom,
    bmcGuid: second.bmcGuid,
    role,
    user,
    password: padded(credentials.password),
    bmcKey: credentials.bmcKey && padded(credentials.bmcKey),
  }
  if (!equal(bmcCode(known), second.code)) {
    throw new IpmiAccessDenied(
      `The BMC at ${bmc} proves another password for ${user.length === 0 ? 'the user without a name' : `user ${JSON.stringify(user.toString())}`} ` +
        'than ours; check ipmi_password',
    )
  }

  const third = encodeRakp3({ tag, status: rmcpStatus.ok, bmcId, code: consoleCode(known) })
  const fourth = await ask([rakp3, rakp4], third, decodeRakp4)
  // A repeated message 3 meets a session that is open already: the answer to the first was lost.
  if (!fourth || isStale(fourth.status)) return 'RAKP message 3'
  if (fourth.status !== rmcpStatus.ok) throw refused('RAKP message 3', fourth.status)
  if (!equal(checkCode(known), fourth.code)) {
    throw new IpmiAccessDenied(
      `The BMC at ${bmc} has another key of its own (Kg) than ours; check ipmi_hex_kg_key, ` +
        (known.bmcKey === null ? 'which is not set' : 'which is set'),
    )
  }
  const seal = seal20(suite, sessionKeys(known), { own: consoleId, other: bmcId })
  const protection = { encrypts: suite.confidentiality.id !== 0, authenticates: suite.integrity.id !== 0 }
  return { seal, bmcId, privilege, protection }
}

function isStale(status: number): boolean {
  return status === rmcpStatus.invalidSessionId || status === rmcpStatus.inactiveSession
}

function equal(expected: Buffer, found: Buffer): boolean {
  return expected.length === found.length && timingSafeEqual(expected, found)
}
