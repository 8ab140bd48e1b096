/**
 * What the snmp hardware type reads from driver_info: which outlet of which PDU, and how to prove who asks. It checks
 * what can be checked without asking the PDU.
 *
 * Source: drivers, "snmp" (ironic/drivers/modules/snmp.py restated).
 */
import { InvalidInput } from '#lib/fault.ts'
import type { NodeContext, Property } from '../driver.ts'
import { type Info, oneOf, readSettings, textOf } from '../settings.ts'
import { pdus } from './pdus.ts'

const snmpPort = 161
const versions = ['1', '2c', '3'] as const
const authProtocols = ['none', 'md5', 'sha', 'sha224', 'sha256', 'sha384', 'sha512'] as const
const privProtocols = ['none', 'aes', 'aes256', 'aes256blmt'] as const
/** Ironic's further names: OpenSSL 3 has no DES any more, the library no others. */
const privAbsent = ['des', '3des', 'aes192', 'aes192blmt']
/** RFC 3414, 11.2. */
const keyChars = 8

export type AuthProtocol = (typeof authProtocols)[number]
export type PrivProtocol = (typeof privProtocols)[number]

export const snmpDriverInfo = {
  snmp_driver: {
    required: true,
    description: `Kind of PDU: ${Object.keys(pdus).join(', ')}, or auto, which asks the PDU what it is.`,
  },
  snmp_address: { required: true, description: 'IP address or host name of the PDU.' },
  snmp_outlet: { required: true, description: 'Number of the outlet; the first one is 1.' },
  snmp_version: { description: '1 (default), 2c or 3.' },
  snmp_port: { description: `UDP port of the PDU. Default: ${snmpPort}.` },
  snmp_community: { secret: true, description: 'Community for reading and writing. Versions 1 and 2c.' },
  snmp_community_read: { secret: true, description: 'Community for reading; goes before snmp_community.' },
  snmp_community_write: { secret: true, description: 'Community for writing; goes before snmp_community.' },
  snmp_user: { description: 'User. Needed with version 3.' },
  snmp_security: { description: 'Former name of snmp_user.' },
  snmp_auth_protocol: {
    description: `How version 3 proves who asks: ${authProtocols.join(', ')}. Default: md5 where there is a key.`,
  },
  snmp_auth_key: { secret: true, description: `Password of that, at least ${keyChars} characters.` },
  snmp_priv_protocol: {
    description: `How version 3 encrypts: ${privProtocols.join(', ')}. Default: none.`,
  },
  snmp_priv_key: { secret: true, description: `Password of that, at least ${keyChars} characters.` },
  snmp_context_engine_id: { description: "Accepted without effect: the PDU's own engine is the one that is asked." },
  snmp_context_name: { description: 'Context of version 3. Default: the one without a name.' },
} as const satisfies Record<string, Property>

export interface User {
  name: string
  authProtocol: AuthProtocol
  authKey: string
  privProtocol: PrivProtocol
  privKey: string
  context: string
}

/** All that talking to one PDU depends on. */
export interface PduSettings {
  host: string
  port: number
  /** Of `pdus`; null: ask the PDU. */
  kind: string | null
  outlet: number
  access:
    | { version: '1' | '2c'; readCommunity: string; writeCommunity: string }
    | { version: '3'; user: User; engineId: string | null }
  answerMs: number
  retries: number
}

/**
 * Reads and checks the settings of the node's outlet.
 * @throws InvalidInput naming every setting that is missing or wrong
 */
export function pduSettings({ node, config }: Pick<NodeContext, 'node' | 'config'>): PduSettings {
  const info = node.driver_info
  const { udp_transport_timeout, udp_transport_retries } = config.snmp
  return readSettings(`Cannot use driver_info of node ${node.uuid} for SNMP`, ({ attempt, problem }) => {
    const kind = attempt(() => oneOf(info, 'snmp_driver', [...Object.keys(pdus), 'auto']), 'auto')
    if (kind === null) problem(`snmp_driver is missing, expected one of ${Object.keys(pdus).join(', ')} or auto`)
    const version = attempt(() => versionOf(info), '1')
    return {
      host: attempt(() => required(info, 'snmp_address', 'the address of the PDU'), ''),
      port: attempt(() => numberOf(info, 'snmp_port', 65_535) ?? snmpPort, snmpPort),
      kind: kind === 'auto' ? null : kind,
      outlet: attempt(() => outletOf(info), 1),
      access:
        version === '3'
          ? { version, user: userOf(info, { attempt, problem }), engineId: attempt(() => engineIdOf(info), null) }
          : { version, ...communitiesOf(info, version, { attempt, problem }) },
      answerMs: udp_transport_timeout * 1000,
      retries: udp_transport_retries,
    }
  })
}

/** @throws InvalidInput */
export async function validateDriverInfo(ctx: NodeContext): Promise<void> {
  pduSettings(ctx)
  const { snmp_security: former, snmp_user: user } = ctx.node.driver_info
  if (former === undefined) return
  const counts = user === undefined ? 'counts as snmp_user, its present name' : 'is ignored: snmp_user is set'
  ctx.log.warn({ node: ctx.node.uuid }, `driver_info snmp_security ${counts}`)
}

type Reader = Parameters<Parameters<typeof readSettings>[1]>[0]

/** JSON and YAML read a bare 1 as a number. */
function versionOf(info: Info): (typeof versions)[number] {
  return oneOf(info, 'snmp_version', versions) ?? '1'
}

function required(info: Info, name: string, what: string): string {
  const text = textOf(info, name)
  if (text === null) throw new InvalidInput(`${name} is missing, expected ${what}`)
  return text
}

function outletOf(info: Info): number {
  const outlet = numberOf(info, 'snmp_outlet', 0xffff_ffff)
  if (outlet === null) throw new InvalidInput('snmp_outlet is missing, expected the number of the outlet')
  return outlet
}

function numberOf(info: Info, name: string, most: number): number | null {
  const text = textOf(info, name)?.trim() ?? null
  if (text === null) return null
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (number >= 1 && number <= most) return number
  throw new InvalidInput(`${name} is ${JSON.stringify(text)}, expected a number from 1 to ${most}`)
}

function communitiesOf(info: Info, version: string, { attempt, problem }: Reader) {
  const of = (name: string) => attempt(() => textOf(info, name) ?? textOf(info, 'snmp_community'), '')
  const [readCommunity, writeCommunity] = [of('snmp_community_read'), of('snmp_community_write')]
  if (readCommunity === null || writeCommunity === null) {
    const missing = readCommunity === null ? 'reading' : 'writing'
    problem(
      `there is no community for ${missing} with version ${version}, expected snmp_community, ` +
        'or snmp_community_read and snmp_community_write',
    )
  }
  return { readCommunity: readCommunity ?? '', writeCommunity: writeCommunity ?? '' }
}

function userOf(info: Info, { attempt, problem }: Reader): User {
  const name = attempt(() => textOf(info, 'snmp_user') ?? textOf(info, 'snmp_security'), '')
  if (name === null) problem('snmp_user is missing, expected the user of version 3')
  const authKey = attempt(() => keyOf(info, 'snmp_auth_key'), '')
  const privKey = attempt(() => keyOf(info, 'snmp_priv_key'), '')
  const auth = attempt(() => oneOf(info, 'snmp_auth_protocol', authProtocols), 'none')
  const priv = attempt(() => privOf(info), 'none')
  const authProtocol = auth ?? (authKey === null ? 'none' : 'md5')
  const privProtocol = priv ?? 'none'
  if (privKey !== null && priv === null)
    problem(
      `snmp_priv_protocol is missing, expected one of ${privProtocols.join(', ')}; Ironic's default, des, is not there`,
    )
  if (authProtocol !== 'none' && authKey === null) problem(`snmp_auth_key is missing, which ${authProtocol} needs`)
  if (privProtocol !== 'none' && privKey === null) problem(`snmp_priv_key is missing, which ${privProtocol} needs`)
  if (privProtocol !== 'none' && authProtocol === 'none')
    problem(`snmp_auth_protocol is missing: version 3 encrypts (${privProtocol}) only what it also authenticates`)
  return {
    name: name ?? '',
    authProtocol,
    authKey: authKey ?? '',
    privProtocol,
    privKey: privKey ?? '',
    context: attempt(() => textOf(info, 'snmp_context_name'), null) ?? '',
  }
}

function privOf(info: Info): PrivProtocol | null {
  const text = textOf(info, 'snmp_priv_protocol')
  if (text === null || !privAbsent.includes(text)) return oneOf(info, 'snmp_priv_protocol', privProtocols)
  throw new InvalidInput(
    `snmp_priv_protocol is "${text}", which Ferrite does not have, expected one of ${privProtocols.join(', ')}`,
  )
}

/** Never shown: it is a secret. */
function keyOf(info: Info, name: string): string | null {
  const key = textOf(info, name)
  if (key !== null && key.length < keyChars)
    throw new InvalidInput(`${name} has ${key.length} characters, expected at least ${keyChars}`)
  return key
}

function engineIdOf(info: Info): string | null {
  const text = textOf(info, 'snmp_context_engine_id')
  if (text === null) return null
  const digits = text.replace(/^0x/i, '').toLowerCase()
  // RFC 3411, SnmpEngineID.
  if (/^([0-9a-f]{2}){5,32}$/.test(digits)) return digits
  throw new InvalidInput(`snmp_context_engine_id is ${JSON.stringify(text)}, expected 5 to 32 bytes in hex`)
}
