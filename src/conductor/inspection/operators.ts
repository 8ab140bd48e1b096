/**
 * What conditions of inspection rules ask. Each operator is a pure function of its arguments, filled in already.
 *
 * Source: Ironic ironic/common/inspection_rules/operators.py (behaviour restated). Beyond it: numbers that came through
 * a placeholder, and so are texts, are compared as numbers by `lt` and `gt`; `matches` takes an expression with
 * alternatives for what it is; `is-none` knows a placeholder without a value.
 */
import { BlockList, isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { InvalidInput } from '#lib/fault.ts'
import type { ruleOperators } from '#protocol/inspection-rule.ts'
import { regexMatches } from './bounded-regex.ts'
import { pythonText } from './python-text.ts'

export type OperatorName = keyof typeof ruleOperators

export interface Operator {
  /** Arguments with placeholders; in a loop all have. */
  readonly filled: readonly string[]
  /** What is asked is whether something is there: a missing value is null, not the placeholder's text. */
  readonly asksPresence?: true
  /** @throws InvalidInput for arguments that make no sense; RegexRefused */
  holds(args: Readonly<Record<string, unknown>>): boolean
}

export const operators: Readonly<Record<OperatorName, Operator>> = {
  eq: {
    filled: ['values'],
    holds: args => chain(args, (one, next) => isDeepStrictEqual(one, next)),
  },
  lt: { filled: ['values'], holds: args => chain(args, (one, next) => compared(one, next, 'lt') < 0) },
  gt: { filled: ['values'], holds: args => chain(args, (one, next) => compared(one, next, 'gt') > 0) },
  'is-empty': {
    filled: ['value'],
    asksPresence: true,
    holds: ({ value }) => ['', 'None', '[]', '{}'].includes(pythonText(value)),
  },
  'in-net': {
    filled: ['address', 'subnet'],
    holds: ({ address, subnet }) => inNet(pythonText(address), pythonText(subnet)),
  },
  matches: {
    filled: ['value'],
    holds: ({ value, regex }) => regexMatches(pythonText(regex), pythonText(value), 'whole'),
  },
  contains: {
    filled: ['value'],
    holds: ({ value, regex }) => regexMatches(pythonText(regex), pythonText(value), 'somewhere'),
  },
  'one-of': {
    filled: ['value'],
    holds({ value, values }) {
      if (Array.isArray(values)) return values.some(one => isDeepStrictEqual(one, value))
      if (typeof values === 'string') return values.includes(pythonText(value))
      if (typeof values === 'object' && values !== null) return Object.hasOwn(values, pythonText(value))
      throw new InvalidInput(`found ${shown(values)} for values, expected a list`)
    },
  },
  'is-none': {
    filled: ['value'],
    asksPresence: true,
    holds: ({ value }) => value === null || value === undefined,
  },
  'is-true': { filled: ['value'], holds: ({ value }) => isWord(value, ['yes', 'true']) ?? Boolean(value) },
  'is-false': {
    filled: ['value'],
    holds: ({ value }) => value === null || (isWord(value, ['no', 'false']) ?? value === false),
  },
}

/** Does it hold from each value to the next one? */
function chain(args: Readonly<Record<string, unknown>>, holds: (one: unknown, next: unknown) => boolean): boolean {
  const { values, force_strings: forced = false } = args
  if (!Array.isArray(values)) throw new InvalidInput(`found ${shown(values)} for values, expected a list`)
  const compared = forced === true ? values.map(pythonText) : values
  return compared.every((value, at) => at === 0 || holds(compared[at - 1], value))
}

/** Below 0, 0, above 0: as numbers where both are, else as texts. @throws InvalidInput for other things */
function compared(one: unknown, next: unknown, op: string): number {
  const [left, right] = [numberIn(one), numberIn(next)]
  if (left !== undefined && right !== undefined) return left - right
  if (typeof one === 'string' && typeof next === 'string') return one < next ? -1 : one > next ? 1 : 0
  throw new InvalidInput(`${op} cannot compare ${shown(one)} with ${shown(next)}, expected numbers or texts`)
}

function numberIn(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return Number(value)
  return typeof value === 'string' && /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value)
    ? Number(value)
    : undefined
}

/** A word is one of these; undefined for what is no text, where true, false and numbers speak for themselves. */
function isWord(value: unknown, words: readonly string[]): boolean | undefined {
  if (typeof value === 'string') return words.includes(value.toLowerCase())
  if (typeof value === 'number') return words.includes('true') ? value !== 0 : value === 0
  return typeof value === 'boolean' ? undefined : false
}

function inNet(address: string, subnet: string): boolean {
  const family = isIP(address)
  if (family === 0) throw new InvalidInput(`found ${shown(address)} for address, expected an IP address`)
  const [network = '', mask = ''] = subnet.split('/')
  const networkFamily = isIP(network)
  const bits = mask === '' ? (networkFamily === 6 ? 128 : 32) : maskBits(mask)
  if (networkFamily === 0 || bits === undefined || bits > (networkFamily === 6 ? 128 : 32)) {
    throw new InvalidInput(`found ${shown(subnet)} for subnet, expected a network such as 192.0.2.0/24`)
  }
  if (family !== networkFamily) return false
  const list = new BlockList()
  const name = family === 6 ? 'ipv6' : 'ipv4'
  list.addSubnet(network, bits, name)
  return list.check(address, name)
}

/** Of `24` or `255.255.255.0`. */
function maskBits(mask: string): number | undefined {
  if (/^\d{1,3}$/.test(mask)) return Number(mask)
  if (isIP(mask) !== 4) return undefined
  const bits = mask
    .split('.')
    .map(part => Number(part).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(bits) ? bits.replaceAll('0', '').length : undefined
}

/** For messages: short, and a text in quotes. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
