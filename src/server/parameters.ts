/**
 * The kinds of argument that an endpoint takes by name, from the query string or from a JSON body, and how each is
 * read. A kind knows no endpoint; an endpoint lists its parameters with the version each came with.
 *
 * Source: REST API reference, "Arguments".
 */
import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { InvalidInput } from '#lib/fault.ts'
import { namePattern, uuidPattern } from '#protocol/field.ts'
import { type Minor, minorOf, versionText } from '#protocol/microversion.ts'
import { NotAcceptable } from './faults.ts'
import { misfit } from './misfit.ts'

interface Spec {
  /** The version it came with, where that is later than the endpoint's own. */
  readonly from?: string
  /** What an older request gets that names it. Default 406. */
  readonly below?: 400 | 406
  readonly required?: true
  /** The words that are taken, each with the version it came with; for documents, as the handler checks them. */
  readonly values?: Readonly<Record<string, string>>
  readonly doc?: string
}

export interface Parameter<T = unknown> extends Spec {
  /** For the OpenAPI document. */
  readonly schema: TSchema
  /** Makes the value of what stands in the query or body; never called with null or undefined. @throws InvalidInput */
  read(value: unknown, name: string): T
}

export type Parameters = Readonly<Record<string, Parameter>>

/** What a handler gets: each value, undefined where the request names none. */
export type ValuesOf<P extends Parameters> = {
  readonly [K in keyof P]: P[K] extends Parameter<infer T>
    ? P[K] extends { readonly required: true }
      ? T
      : T | undefined
    : never
}

type Made<T, S> = Parameter<T> & (S extends { required: true } ? { readonly required: true } : unknown)

const truths = /^(1|t|true|on|y|yes)$/i
const lies = /^(0|f|false|off|n|no)$/i

/** JSON booleans and the usual words for them. */
export function readBoolean(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value
  if (typeof value === 'string' || typeof value === 'number') {
    const word = String(value).trim()
    if (truths.test(word)) return true
    if (lies.test(word)) return false
  }
  throw unfit(name, value, 'true or false')
}

export const BooleanText = Type.Union([
  Type.Boolean(),
  Type.String({
    pattern: '^(0|1|[fF]|[fF]alse|FALSE|[nN]|[nN]o|NO|[oO]ff|OFF|[oO]n|ON|[tT]|[tT]rue|TRUE|[yY]|[yY]es|YES)$',
  }),
])

export function boolean<const S extends Spec>(spec: S): Made<boolean, S> {
  return parameter(spec, BooleanText, readBoolean)
}

export function integer<const S extends Spec & { min?: number }>(spec: S): Made<number, S> {
  const { min } = spec
  const expected = min === undefined ? 'an integer' : `an integer of at least ${min}`
  return parameter(spec, Type.Integer(min === undefined ? {} : { minimum: min }), (value, name) => {
    const number =
      typeof value === 'number' ? value : typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : NaN
    if (!Number.isSafeInteger(number) || (min !== undefined && number < min)) throw unfit(name, value, expected)
    return number
  })
}

export function uuid<const S extends Spec>(spec: S): Made<string, S> {
  return matching(spec, uuidPattern, 'a UUID')
}

/** A UUID or a name. */
export function ident<const S extends Spec>(spec: S): Made<string, S> {
  return matching(spec, namePattern, 'a UUID or a name')
}

/** Lower-cased on the way in. */
export function mac<const S extends Spec>(spec: S): Made<string, S> {
  const one = matching(spec, '^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$', 'a MAC address such as 52:54:00:12:34:56')
  return { ...one, read: (value, name) => one.read(value, name).toLowerCase() }
}

export function host<const S extends Spec>(spec: S): Made<string, S> {
  return matching(spec, '^[A-Za-z0-9._:\\[\\]-]{1,255}$', 'a host name')
}

export function text<const S extends Spec>(spec: S): Made<string, S> {
  return parameter(spec, Type.String(), (value, name) => {
    if (typeof value !== 'string') throw unfit(name, value, 'a text')
    return value
  })
}

/** One of some words. */
export function word<const W extends string, const S extends Spec>(words: readonly W[], spec: S): Made<W, S> {
  return parameter(spec, Type.Enum([...words]), (value, name) => {
    const found = words.find(candidate => candidate === value)
    if (found === undefined) throw unfit(name, value, `one of ${words.join(', ')}`)
    return found
  })
}

/** Words separated by commas, or the parameter repeated; trimmed, lower-cased, each once. */
export function list<const S extends Spec>(spec: S): Made<readonly string[], S> {
  return parameter(spec, Type.String(), (value, name) => {
    const texts = Array.isArray(value) ? value : [value]
    const words = new Set<string>()
    for (const one of texts) {
      if (typeof one !== 'string') throw unfit(name, value, 'words separated by commas')
      for (const part of one.split(',')) if (part.trim() !== '') words.add(part.trim().toLowerCase())
    }
    return [...words]
  })
}

/** A JSON value of a body, checked by its schema. */
export function json<T extends TSchema, const S extends Spec>(schema: T, spec: S): Made<Static<T>, S> {
  const validator = Compile(schema)
  return parameter(spec, schema, (value, name) => {
    if (!validator.Check(value)) throw new InvalidInput(misfit(`Cannot read ${name}`, validator.Errors(value), value))
    return value as Static<T> // it was just checked
  })
}

/** The parameters of an endpoint, made ready to read requests with. */
export interface ParameterReader {
  /**
   * @param given what the request named
   * @throws InvalidInput for an unknown, missing or malformed one; NotAcceptable for one that is too new
   */
  read(given: Readonly<Record<string, unknown>>, version: Minor): Record<string, unknown>
}

export function readerOf(parameters: Parameters): ParameterReader {
  const known = new Map(
    Object.entries(parameters).map(([name, one]) => [name, { ...one, minor: minorOf(one.from ?? '1.1') }]),
  )
  const required = [...known].filter(([, one]) => one.required).map(([name]) => name)
  return {
    read(given, version) {
      const values: Record<string, unknown> = {}
      const unknown: string[] = []
      for (const name of Object.keys(given)) {
        const one = known.get(name)
        const value = given[name]
        if (!one) unknown.push(name)
        else if (value === null || value === undefined) continue
        else if (version < one.minor) throw tooNew(name, one, version)
        else values[name] = one.read(value, name)
      }
      if (unknown.length > 0) {
        const expected = known.size > 0 ? `expected only ${[...known.keys()].join(', ')}` : 'expected none'
        throw new InvalidInput(`Unexpected arguments: ${unknown.map(shorten).join(', ')}; ${expected}`)
      }
      for (const name of required) {
        if (values[name] === undefined) throw new InvalidInput(`Missing argument: ${name}`)
      }
      return values
    },
  }
}

function tooNew(name: string, { minor, below }: Spec & { minor: Minor }, version: Minor) {
  const message = `${name} needs version ${versionText(minor)}; the request was made with ${versionText(version)}`
  return below === 400 ? new InvalidInput(message) : new NotAcceptable(message)
}

function matching<const S extends Spec>(spec: S, pattern: string, expected: string): Made<string, S> {
  const regex = new RegExp(pattern)
  return parameter(spec, Type.String({ pattern }), (value, name) => {
    if (typeof value !== 'string' || !regex.test(value)) throw unfit(name, value, expected)
    return value
  })
}

function parameter<T, S extends Spec>(spec: S, schema: TSchema, read: Parameter<T>['read']): Made<T, S> {
  return { ...spec, schema, read } as unknown as Made<T, S> // required is copied from the very spec that Made looks at
}

function unfit(name: string, value: unknown, expected: string): InvalidInput {
  return new InvalidInput(
    `Cannot read ${name}: found ${shorten(JSON.stringify(value) ?? 'nothing')}, expected ${expected}`,
  )
}

function shorten(shown: string): string {
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown
}
