/**
 * What the ipmi hardware type reads from driver_info, and the settings of one BMC made from it and from [ipmi]. It
 * checks what can be checked without asking the BMC.
 *
 * Source: drivers, "IPMI" (ironic/drivers/modules/ipmitool.py restated).
 */
import { isIP } from 'node:net'
import { InvalidInput } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import { cipherSuites } from '#protocol/ipmi/cipher-suites.ts'
import { type Privilege, privileges } from '#protocol/ipmi/commands.ts'
import { bmcAddress } from '#protocol/ipmi/message.ts'
import { ipmiPort } from '#protocol/ipmi/packet.ts'
import type { NodeContext, Property } from '../driver.ts'
import { type Info, oneOf, readSettings, textOf } from '../settings.ts'
import type { Hop, Route } from './rmcp/route.ts'

export const ipmiDriverInfo = {
  ipmi_address: { required: true, description: 'IP address or host name of the BMC.' },
  ipmi_username: { description: 'User to log in with. Unset: the user without a name.' },
  ipmi_password: { secret: true, description: 'Password of that user. Unset: none.' },
  ipmi_port: { description: `UDP port of the BMC. Default: ${ipmiPort}.` },
  ipmi_priv_level: {
    description: 'Privilege of sessions: ADMINISTRATOR (default), OPERATOR, USER or CALLBACK.',
  },
  ipmi_protocol_version: { description: '2.0 (default) or 1.5, which encrypts nothing.' },
  ipmi_cipher_suite: {
    description: `Cipher suite of sessions: one of ${[...cipherSuites.keys()].join(', ')}. Default: the best that the BMC has.`,
  },
  ipmi_hex_kg_key: { secret: true, description: "The BMC's own key (Kg), in hex." },
  ipmi_bridging: { description: 'Is the machine behind another controller: no (default), single or dual.' },
  ipmi_target_channel: { description: 'Channel of the controller that is meant. Needed for bridging.' },
  ipmi_target_address: { description: 'Its address on that channel. Needed for bridging.' },
  ipmi_transit_channel: { description: 'Channel of the controller in between. Needed for dual bridging.' },
  ipmi_transit_address: { description: 'Its address on that channel. Needed for dual bridging.' },
  ipmi_local_address: { description: 'Our address on the buses behind the BMC. Default: 0x20. Used with bridging.' },
  ipmi_force_boot_device: {
    description: 'true: send the boot device again before each power on, for BMCs that forget it.',
  },
  ipmi_disable_boot_timeout: {
    description:
      'Turn off the 60 seconds after which BMCs forget the boot device. Default: [ipmi] disable_boot_timeout.',
  },
  ipmi_terminal_port: { description: 'TCP port of the serial console. Default: one of [console] port_range.' },
} as const satisfies Record<string, Property>

/** All that sessions with one BMC depend on. */
export interface BmcSettings {
  host: string
  port: number
  version: '2.0' | '1.5'
  user: string
  password: string
  bmcKey: Buffer | null
  privilege: Privilege
  /** Suites to try, the best first; empty: ask the BMC. */
  suites: readonly number[]
  route: Route
  /** How long a command may take, with all that is tried again. */
  commandLimitMs: number
  /** How long the first answer is awaited: BMCs with much to do take most of a second. */
  firstPauseMs: number
  /** The longest pause before a request is sent again. */
  longestPauseMs: number
  /** Words of answers that may pass. */
  passingErrors: readonly string[]
}

/** Longest user names and passwords: fields of the protocol. */
const userBytes = 16
const passwordBytes = { '2.0': 20, '1.5': 16 } as const
const keyHexDigits = 40

/**
 * Reads and checks the settings of the node's BMC.
 * @throws InvalidInput naming every setting that is missing or wrong
 */
export function bmcSettings(ctx: Pick<NodeContext, 'node' | 'config'>): BmcSettings {
  const { ipmi } = ctx.config
  const info = ctx.node.driver_info
  return readSettings(`Cannot use driver_info of node ${ctx.node.uuid} for IPMI`, ({ attempt }) => {
    const version = attempt(() => versionOf(info), '2.0')
    const settings: BmcSettings = {
      host: attempt(() => hostOf(textOf(info, 'ipmi_address')), ''),
      port: attempt(() => numberOf(info, 'ipmi_port', { from: 1, to: 65535 }) ?? ipmiPort, ipmiPort),
      version,
      user: attempt(() => short(info, 'ipmi_username', userBytes), ''),
      password: attempt(() => short(info, 'ipmi_password', passwordBytes[version]), ''),
      bmcKey: attempt(() => keyOf(textOf(info, 'ipmi_hex_kg_key')), null),
      privilege: attempt(() => oneOf(info, 'ipmi_priv_level', levels) ?? 'ADMINISTRATOR', 'ADMINISTRATOR'),
      suites: attempt(() => suitesOf(info, version, ipmi.cipher_suite_versions), []),
      route: attempt(() => routeOf(info), { target: null, transit: null, localAddress: bmcAddress }),
      commandLimitMs: ipmi.command_retry_timeout * 1000,
      firstPauseMs: 1000,
      longestPauseMs: ipmi.min_command_interval * 1000,
      passingErrors: ipmi.additional_retryable_ipmi_errors,
    }
    attempt(() => terminalPort(ctx), null)
    attempt(() => flagOf(info, 'ipmi_force_boot_device', false), false)
    attempt(() => flagOf(info, 'ipmi_disable_boot_timeout', false), false)
    return settings
  })
}

/** Is the BMC to keep a boot device longer than a minute? */
export function disablesBootTimeout({ node, config }: Pick<NodeContext, 'node' | 'config'>): boolean {
  return flagOf(node.driver_info, 'ipmi_disable_boot_timeout', config.ipmi.disable_boot_timeout)
}

/** Of the serial console; null: any. */
export function terminalPort({ node }: Pick<NodeContext, 'node'>): number | null {
  return numberOf(node.driver_info, 'ipmi_terminal_port', { from: 1, to: 65535 })
}

export function forcesBootDevice({ node }: Pick<NodeContext, 'node'>): boolean {
  return flagOf(node.driver_info, 'ipmi_force_boot_device', false)
}

/** @throws InvalidInput */
export async function validateDriverInfo(ctx: NodeContext): Promise<void> {
  const { user, password } = bmcSettings(ctx)
  const { uuid } = ctx.node
  if (user === '') ctx.log.warn({ node: uuid }, 'ipmi_username is not set: the user without a name is used')
  if (password === '') ctx.log.warn({ node: uuid }, 'ipmi_password is not set: an empty one is used')
}

const levels = Object.keys(privileges) as Privilege[] // its own keys

/** JSON and YAML read a bare 2.0 as the number 2. */
function versionOf(info: Info): BmcSettings['version'] {
  const { ipmi_protocol_version: given } = info
  const told = { ipmi_protocol_version: typeof given === 'number' ? given.toFixed(1) : given }
  return oneOf(told, 'ipmi_protocol_version', ['2.0', '1.5']) ?? '2.0'
}

/** Decimal, or hex with 0x, as ipmitool takes numbers. */
function numberOf(info: Info, name: string, range: { from: number; to: number }): number | null {
  const text = textOf(info, name)?.trim() ?? null
  if (text === null) return null
  const number = /^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : Number.NaN
  if (number >= range.from && number <= range.to) return number
  throw new InvalidInput(`${name} is ${JSON.stringify(text)}, expected a number from ${range.from} to ${range.to}`)
}

function flagOf(info: Info, name: string, otherwise: boolean): boolean {
  const value = info[name]
  if (value === undefined || value === null || value === '') return otherwise
  const flag = isTrue(value)
  if (flag !== undefined) return flag
  throw new InvalidInput(`${name} is ${JSON.stringify(value)}, expected true or false`)
}

/** Not shown when too long: it may be a secret. */
function short(info: Info, name: string, bytes: number): string {
  const text = textOf(info, name) ?? ''
  const found = Buffer.byteLength(text)
  if (found <= bytes) return text
  throw new InvalidInput(`${name} has ${found} bytes, expected at most ${bytes}, as the protocol has room for`)
}

function hostOf(text: string | null): string {
  if (text === null) throw new InvalidInput('ipmi_address is missing, expected the IP address or host name of the BMC')
  const host = text.replace(/^\[(.*)\]$/, '$1')
  const name = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i
  // All digits and dots, and no address: a mistyped one, not a name.
  if (isIP(host) !== 0 || (name.test(host) && !/^[\d.]+$/.test(host))) return host
  throw new InvalidInput(`ipmi_address is ${JSON.stringify(text)}, expected an IP address or a host name`)
}

function keyOf(text: string | null): Buffer | null {
  if (text === null) return null
  const digits = text.replace(/^0x/i, '')
  if (digits.length % 2 !== 0)
    throw new InvalidInput('ipmi_hex_kg_key has an odd number of digits, expected an even one')
  if (!/^[0-9a-f]*$/i.test(digits)) throw new InvalidInput('ipmi_hex_kg_key is not in hex')
  if (digits.length > keyHexDigits) {
    throw new InvalidInput(`ipmi_hex_kg_key has ${digits.length} digits, expected at most ${keyHexDigits}`)
  }
  return Buffer.from(digits, 'hex')
}

/** The node's own one; else the configured ones, of which Ironic tries the last first. */
function suitesOf(info: Info, version: BmcSettings['version'], configured: readonly string[]): readonly number[] {
  const text = textOf(info, 'ipmi_cipher_suite')
  if (text === null)
    return version === '1.5' ? [] : configured.map(each => suiteOf('[ipmi] cipher_suite_versions', each)).reverse()
  if (version === '1.5') throw new InvalidInput('ipmi_cipher_suite is set, but IPMI 1.5 has no cipher suites')
  return [suiteOf('ipmi_cipher_suite', text)]
}

function suiteOf(name: string, text: string): number {
  const id = /^\d{1,3}$/.test(text.trim()) ? Number(text) : Number.NaN
  if (cipherSuites.has(id)) return id
  throw new InvalidInput(`${name} is ${JSON.stringify(text)}, expected one of ${[...cipherSuites.keys()].join(', ')}`)
}

function routeOf(info: Info): Route {
  const bridging = oneOf(info, 'ipmi_bridging', ['no', 'single', 'dual']) ?? 'no'
  if (bridging === 'no') return { target: null, transit: null, localAddress: bmcAddress }
  const names = ['ipmi_target_channel', 'ipmi_target_address']
  if (bridging === 'dual') names.push('ipmi_transit_channel', 'ipmi_transit_address')
  const missing = names.filter(name => textOf(info, name) === null)
  if (missing.length > 0) throw new InvalidInput(`ipmi_bridging is ${bridging}, but ${missing.join(', ')} is missing`)
  const hop = (which: 'target' | 'transit'): Hop => ({
    channel: numberOf(info, `ipmi_${which}_channel`, { from: 0, to: 15 }) ?? 0,
    address: numberOf(info, `ipmi_${which}_address`, { from: 0, to: 255 }) ?? 0,
  })
  return {
    target: hop('target'),
    transit: bridging === 'dual' ? hop('transit') : null,
    localAddress: numberOf(info, 'ipmi_local_address', { from: 0, to: 255 }) ?? bmcAddress,
  }
}
