/**
 * JSON patch as the API takes it: add, replace and remove, gated and checked by the declarations of a resource's
 * fields. All or nothing: the outcome is a set of new root values, and nobody's object is changed.
 *
 * Source: REST API reference, "JSON patch"; RFC 6901 and 6902.
 */
import { type Static, Type } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { closest } from '#lib/closest.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Field } from '#protocol/field.ts'
import { type Minor, minorOf, versionText } from '#protocol/microversion.ts'
import { NotAcceptable } from './faults.ts'
import { misfit } from './misfit.ts'
import { readBoolean } from './parameters.ts'

export const JsonPatch = Type.Array(
  Type.Object(
    {
      op: Type.Enum(['add', 'replace', 'remove']),
      path: Type.String({ minLength: 2, maxLength: 4096 }),
      value: Type.Optional(Type.Unknown()),
    },
    { additionalProperties: false },
  ),
  // An object has no more fields and keys than that to be changed at once.
  { maxItems: 1000 },
)
export type JsonPatch = Static<typeof JsonPatch>

export interface Operation {
  readonly op: 'add' | 'replace' | 'remove'
  readonly root: string
  readonly rest: readonly string[]
  readonly value: unknown
}

type FieldTable = Readonly<Record<string, Field>>

/**
 * Levels that a path may go down. A body is only so deep, but patches could put one below the other until no list that
 * shows the object could be printed any more.
 */
const mostLevels = 32

/** Of a field as JSON. A body is only so long, but patches could add to a field until no answer that shows it is short enough. */
const mostCharacters = 4 * 1024 * 1024

/** From here on `~0` and `~1` in a path are decoded, and keys may hold any character. */
const pointersFrom: Minor = 98
const plainPath = /^(\/[\w-]+)+$/
const pointer = /^(\/([^/~]|~[01])+)+$/

/**
 * Reads a patch: which fields it touches and whether it may.
 * @throws InvalidInput for what may not be patched, NotAcceptable for what the version does not know
 */
export function readPatch(fields: FieldTable, patch: JsonPatch, version: Minor): readonly Operation[] {
  const operations = patch.map(one => operation(fields, one, version))
  for (const { op, root } of operations) {
    const from = fields[root]!.from // operation() refused unknown roots
    if (op !== 'remove' && minorOf(from) > version) {
      throw new NotAcceptable(
        `Patching ${root} needs version ${from}; the request was made with ${versionText(version)}`,
      )
    }
  }
  return operations
}

function operation(fields: FieldTable, { op, path, value }: JsonPatch[number], version: Minor): Operation {
  if (!(version >= pointersFrom ? pointer : plainPath).test(path)) {
    throw new InvalidInput(`Cannot patch ${path}: expected a path such as /extra/key`)
  }
  const [root = '', ...rest] = path
    .slice(1)
    .split('/')
    .map(part => (version >= pointersFrom ? part.replaceAll('~1', '/').replaceAll('~0', '~') : part))
  if (rest.length > mostLevels) {
    throw new InvalidInput(
      `Cannot patch /${root}: found a path of ${rest.length} levels, expected ${mostLevels} at most`,
    )
  }
  const field = Object.hasOwn(fields, root) ? fields[root] : undefined
  if (!field?.patch) {
    const names = Object.keys(fields).filter(name => fields[name]?.patch && minorOf(fields[name].from) <= version)
    const meant = field ? undefined : closest(root, names)
    const found = `/${root} is no field that may be patched${meant === undefined ? '' : ` (did you mean /${meant}?)`}`
    throw new InvalidInput(`Cannot patch ${path}: ${found}, expected one of ${names.toSorted().join(', ')}`)
  }
  if (op !== 'remove' && value === undefined) throw new InvalidInput(`Cannot ${op} ${path}: a value is missing`)
  return { op, root, rest, value }
}

/** Pattern of the paths that begin with one of these fields, for documents. */
export function patchPaths(roots: readonly string[]): string {
  return `^/(${roots.join('|')})(/.+)?$`
}

/**
 * What the object would be after the patch: the roots whose value is another one now.
 * @throws InvalidInput when the patch does not apply or the result does not fit the field's schema
 */
export function applyPatch(
  fields: FieldTable,
  current: Readonly<Record<string, unknown>>,
  operations: readonly Operation[],
): Record<string, unknown> {
  const next: Record<string, unknown> = {}
  for (const one of operations) {
    const field = fields[one.root]! // operation() refused unknown roots
    if (!Object.hasOwn(next, one.root)) next[one.root] = structuredClone(current[one.root])
    if (one.rest.length > 0) changeInside(next[one.root], one)
    else next[one.root] = one.op === 'remove' ? removed(one.root, field) : given(one.root, field, one.value)
  }
  const changed: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(next)) {
    const text = JSON.stringify(value)
    const before = JSON.stringify(current[name])
    if (text === before) continue
    // What is long already (a config drive that came with a deployment) may become shorter.
    if (text.length > Math.max(mostCharacters, before?.length ?? 0)) {
      throw new InvalidInput(`Cannot set ${name}: found ${text.length} characters, expected ${mostCharacters} at most`)
    }
    checkField(name, fields[name]!, value) // operation() refused unknown roots
    changed[name] = value
  }
  return changed
}

/** The changed fields for the history of a node: their names and never what they hold, which may be secret. */
export function changedNames(changed: Readonly<Record<string, unknown>>): string {
  return Object.keys(changed).sort().join(', ')
}

/** A root value as it is stored: booleans from their words, null as the field's initial value where it has one. */
export function given(name: string, field: Field, value: unknown): unknown {
  if (value === null) {
    if (field.required) throw new InvalidInput(`Cannot set ${name} to null: it is mandatory`)
    return field.initial ?? null
  }
  if (field.column === 'flag') return readBoolean(value, name)
  return structuredClone(value)
}

/** @throws InvalidInput */
export function checkField(name: string, field: Field, value: unknown): void {
  const validator = validatorOf(field)
  if (validator.Check(value)) return
  throw new InvalidInput(misfit(`Cannot set ${name}`, validator.Errors(value), value, field.schema))
}

const validators = new WeakMap<Field, Validator>()

function validatorOf(field: Field): Validator {
  const found = validators.get(field)
  if (found) return found
  const made = Compile(field.schema) as unknown as Validator // only Check and Errors are used, whatever the schema
  validators.set(field, made)
  return made
}

function removed(name: string, field: Field): unknown {
  if (field.required) throw new InvalidInput(`Cannot remove ${name}: it is mandatory`)
  return field.initial === undefined ? null : structuredClone(field.initial)
}

function changeInside(rootValue: unknown, { op, root, rest, value }: Operation): void {
  const shown = `/${[root, ...rest].join('/')}`
  let here = rootValue
  for (const part of rest.slice(0, -1)) here = child(here, part, shown)
  const key = rest.at(-1) ?? '' // rest is not empty here
  if (Array.isArray(here)) {
    changeList(here, key, op, value, shown)
    return
  }
  if (typeof here !== 'object' || here === null) {
    throw new InvalidInput(`Cannot ${op} ${shown}: there is no object above it`)
  }
  if (op !== 'add' && !Object.hasOwn(here, key)) throw new InvalidInput(`Cannot ${op} ${shown}: there is no such key`)
  if (op === 'remove') delete (here as Record<string, unknown>)[key]
  // Defined, not assigned: a key named __proto__ is a key like any other.
  else Object.defineProperty(here, key, { value, enumerable: true, configurable: true, writable: true })
}

function changeList(list: unknown[], key: string, op: Operation['op'], value: unknown, shown: string): void {
  const last = op === 'add' ? list.length : list.length - 1
  const index = op === 'add' && key === '-' ? list.length : /^(0|[1-9]\d{0,8})$/.test(key) ? Number(key) : -1
  if (index < 0 || index > last) throw new InvalidInput(`Cannot ${op} ${shown}: the list has no such place`)
  if (op === 'add') list.splice(index, 0, value)
  else if (op === 'remove') list.splice(index, 1)
  else list[index] = value
}

function child(here: unknown, part: string, shown: string): unknown {
  if (typeof here === 'object' && here !== null && Object.hasOwn(here, part)) {
    return (here as Readonly<Record<string, unknown>>)[part]
  }
  throw new InvalidInput(`Cannot patch ${shown}: there is nothing at ${part}`)
}
