/**
 * The kinds of value an option can hold: how a text of a configuration file becomes a value, and how the value is
 * printed so that the same text comes back. A kind knows no option names and reads no files.
 *
 * A parser that cannot make sense of its text throws `Unfit` with what it expected; the caller knows file and line.
 */
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { closest } from '#lib/closest.ts'

/** The text does not fit the kind; `expected` completes "expected ...". */
export class Unfit extends Error {
  readonly expected: string
  constructor(expected: string) {
    super(`expected ${expected}`)
    this.expected = expected
  }
}

/** A default that is found out at start; `text` is what the reference prints in its place. */
export interface Derived<T> {
  readonly text: string
  /** `get` answers any other option by group and name, already resolved. */
  readonly derive: (get: (group: string, name: string) => unknown) => T
}

export function isDerived(value: unknown): value is Derived<unknown> {
  return typeof value === 'object' && value !== null && 'derive' in value
}

export function derived<T>(text: string, derive: Derived<T>['derive']): Derived<T> {
  return { text, derive }
}

/** What every option says of itself beside its kind. */
export interface Spec<D> {
  /** null: unset. A text may name other options: `$state_path/images`, `${group.name}`. */
  readonly default: D
  /** In our own words, one or two sentences, with the unit where the name does not carry it. */
  readonly help: string
  /** May change while the service runs (SIGHUP). */
  readonly mutable?: true
  /** Never printed. */
  readonly secret?: true
  /** Ferrite acts on it. Without this it is accepted so that an ironic.conf loads, and a warning at start names it. */
  readonly effective?: true
  /** Ironic's default, as its file would spell it, where ours differs. */
  readonly ironic?: string
  /** Former names, `group.name`. */
  readonly deprecatedNames?: readonly string[]
  /** Why a setting should be dropped from configuration files. */
  readonly deprecated?: string
}

export interface Option<T = unknown> extends Spec<unknown> {
  readonly kind: string
  /** What a fitting value looks like, for messages and the reference. */
  readonly expected: string
  readonly default: T | null | Derived<T> | string
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** Values of repeated keys add up instead of the last one winning. */
  readonly repeatable?: true
  /** May be unset. */
  readonly nullable: boolean
  parse(text: string): T
  print(value: T): string
}

/** The type an option's value has in the configuration. */
export type ValueOf<O> = O extends Option<infer T> ? T : never

/** null in the default makes the value nullable; nothing else does. */
type Value<D, T> = D extends null ? T | null : T

export function string<const D extends string | null | Derived<string>>(
  spec: Spec<D> & { matches?: RegExp; expected?: string },
): Option<Value<D, string>> {
  return option('string', spec.expected ?? 'a text', spec, text => {
    if (spec.matches && !spec.matches.test(text)) throw new Unfit(spec.expected ?? `a text matching ${spec.matches}`)
    return text
  })
}

export function integer<const D extends number | null | Derived<number>>(
  spec: Spec<D> & { min?: number; max?: number },
): Option<Value<D, number>> {
  const expected = withRange('an integer', spec)
  return option('integer', expected, spec, text => {
    const value = Number(text)
    if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(value) || !inRange(value, spec)) throw new Unfit(expected)
    return value
  })
}

export function float<const D extends number | null>(
  spec: Spec<D> & { min?: number; max?: number },
): Option<Value<D, number>> {
  const expected = withRange('a number', spec)
  return option('float', expected, spec, text => {
    const value = Number(text)
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) || !inRange(value, spec)) throw new Unfit(expected)
    return value
  })
}

/** A TCP or UDP port. */
export function port<const D extends number | null>(spec: Spec<D>): Option<Value<D, number>> {
  return { ...integer({ ...spec, min: 0, max: 65535 }), kind: 'port' }
}

/** File permissions in octal: `0644`. */
export function octal<const D extends number | null>(spec: Spec<D>): Option<Value<D, number>> {
  const expected = 'file permissions in octal, such as 0644'
  return option(
    'octal',
    expected,
    spec,
    text => {
      if (!/^(0o?)?[0-7]{3,4}$/.test(text)) throw new Unfit(expected)
      return Number.parseInt(text.replace('o', ''), 8)
    },
    value => '0' + Number(value).toString(8),
  )
}

export function boolean<const D extends boolean | null>(spec: Spec<D>): Option<Value<D, boolean>> {
  return option('boolean', 'true or false', spec, asBoolean)
}

/** One of a few words. */
export function choice<const C extends string, const D extends C | null>(
  spec: Spec<D> & { choices: readonly C[] },
): Option<Value<D, C>> {
  const expected = `one of ${spec.choices.join(', ')}`
  const made = option<Value<D, C>, D>('choice', expected, spec, text => {
    const found = spec.choices.find(word => word === text)
    if (found === undefined) throw new Unfit(expected + didYouMean(text, spec.choices))
    return found
  })
  return { ...made, choices: spec.choices }
}

/** A path that begins with a dot is taken from the working directory; a bare name may be a program's. */
export function path<const D extends string | null | Derived<string>>(spec: Spec<D>): Option<Value<D, string>> {
  return option('path', 'a path', spec, text => {
    if (text === '' || text.includes('\0')) throw new Unfit('a path')
    return /^\.\.?(\/|$)/.test(text) ? resolve(text) : text
  })
}

export function url<const D extends string | null | Derived<string>>(
  spec: Spec<D> & { schemes?: readonly string[] },
): Option<Value<D, string>> {
  const schemes = spec.schemes ?? ['http', 'https']
  const expected = `a URL (${schemes.map(s => s + '://').join(', ')})`
  return option('url', expected, spec, text => {
    const parsed = URL.parse(text)
    if (!parsed || !schemes.includes(parsed.protocol.slice(0, -1)) || parsed.host === '') throw new Unfit(expected)
    return text.replace(/\/+$/, '')
  })
}

/** An IP address. */
export function address<const D extends string | null | Derived<string>>(
  spec: Spec<D> & { family?: 4 | 6 },
): Option<Value<D, string>> {
  const expected = spec.family ? `an IPv${spec.family} address` : 'an IPv4 or IPv6 address'
  return option('address', expected, spec, text => {
    const family = isIP(text)
    if (family === 0 || (spec.family && family !== spec.family)) throw new Unfit(expected)
    return text
  })
}

/** A name or an address of a host. */
export function host<const D extends string | null | Derived<string>>(spec: Spec<D>): Option<Value<D, string>> {
  const expected = 'a host name or an IP address'
  return option('host', expected, spec, text => {
    if (
      isIP(text) === 0 &&
      !/^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i.test(text)
    ) {
      throw new Unfit(expected)
    }
    return text
  })
}

/** A switch that may instead name a file with certificate authorities. */
export function booleanOrPath<const D extends boolean | string | null>(
  spec: Spec<D>,
): Option<Value<D, boolean | string>> {
  return option('boolean or path', 'true, false or the path of a file with CA certificates', spec, text => {
    try {
      return asBoolean(text)
    } catch {
      return text
    }
  })
}

/** Words separated by commas. */
export function list<const D extends readonly string[] | null>(
  spec: Spec<D> & { choices?: readonly string[]; absolutePaths?: true },
): Option<Value<D, readonly string[]>> {
  const expected = spec.choices
    ? `a list of ${spec.choices.join(', ')}`
    : spec.absolutePaths
      ? 'absolute paths separated by commas'
      : 'words separated by commas'
  return option(
    'list',
    expected,
    spec,
    text => {
      const items = splitList(text)
      for (const item of items) {
        if (spec.choices && !spec.choices.includes(item))
          throw new Unfit(`${expected}, found ${JSON.stringify(item)}${didYouMean(item, spec.choices)}`)
        if (spec.absolutePaths && !/^\/(?!.*(\/\/|\/\.\.?(\/|$)))/.test(item))
          throw new Unfit(`${expected}, without . or .., found ${JSON.stringify(item)}`)
      }
      return items
    },
    value => (value ?? []).map(quoteItem).join(','),
  )
}

/** `name:value` pairs separated by commas. */
export function dict<const D extends Readonly<Record<string, string>>>(
  spec: Spec<D> & { repeatable?: true },
): Option<Readonly<Record<string, string>>> {
  const expected = 'name:value pairs separated by commas'
  return option(
    'dict',
    expected,
    spec,
    text => {
      const value: Record<string, string> = {}
      for (const pair of splitList(text)) {
        const colon = pair.indexOf(':')
        if (colon <= 0) throw new Unfit(`${expected}, found ${JSON.stringify(pair)}`)
        const name = pair.slice(0, colon).trim()
        if (Object.hasOwn(value, name) && !spec.repeatable)
          throw new Unfit(`${expected}, each name once, found ${name} twice`)
        Object.defineProperty(value, name, {
          value: pair.slice(colon + 1).trim(),
          enumerable: true,
          configurable: true,
          writable: true,
        })
      }
      return value
    },
    value =>
      Object.entries(value ?? {})
        .map(([name, item]) => quoteItem(`${name}:${item}`))
        .join(','),
  )
}

/** Texts from a key that may be repeated. */
export function texts(spec: Spec<readonly string[]>): Option<readonly string[]> {
  return { ...list(spec), kind: 'texts', expected: 'a text; the key may be repeated', repeatable: true }
}

function option<T, D>(
  kind: string,
  expected: string,
  spec: Spec<D>,
  parse: (text: string) => NonNullable<T>,
  print: (value: T) => string = String,
): Option<T> {
  // The one place where the declared default and the value's type meet; the constructors above keep them in step.
  return { ...(spec as Spec<Option<T>['default']>), kind, expected, nullable: spec.default === null, parse, print }
}

function asBoolean(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true
  if (/^(0|false|no|off)$/i.test(text)) return false
  throw new Unfit('true or false (also 1/0, yes/no, on/off)')
}

function inRange(value: number, { min, max }: { min?: number; max?: number }): boolean {
  return value >= (min ?? -Infinity) && value <= (max ?? Infinity)
}

function withRange(what: string, { min, max }: { min?: number; max?: number }): string {
  if (min !== undefined && max !== undefined) return `${what} from ${min} to ${max}`
  if (min !== undefined) return `${what} of at least ${min}`
  if (max !== undefined) return `${what} of at most ${max}`
  return what
}

/** Splits at commas; an item in quotes keeps its commas. Empty items at the end are dropped, as oslo.config does. */
function splitList(text: string): string[] {
  const items: string[] = []
  let rest = text.trim()
  while (rest !== '') {
    const quoted = /^(["'])(.*?)\1\s*(,|$)/s.exec(rest)
    const comma = rest.indexOf(',')
    const end = quoted ? quoted[0].length : comma < 0 ? rest.length : comma + 1
    const item = quoted ? (quoted[2] ?? '') : rest.slice(0, comma < 0 ? undefined : comma).trim()
    if (item === '' && !quoted && rest.slice(end).trim() !== '')
      throw new Unfit('words separated by commas, found nothing between two commas')
    if (item !== '' || quoted) items.push(item)
    rest = rest.slice(end).trimStart()
  }
  return items
}

function quoteItem(item: string): string {
  if (item !== '' && item === item.trim() && !/[,"']/.test(item)) return item
  return item.includes('"') ? `'${item}'` : `"${item}"`
}

export function didYouMean(found: string, known: readonly string[]): string {
  const near = closest(found, known)
  return near === undefined ? '' : `; did you mean ${near}?`
}
