/**
 * Schemas for documents: those of our declarations as one microversion knows them, the common ones under a name of
 * their own. Knows nothing of endpoints beyond their ids.
 */
import type { TSchema } from 'typebox'
import { type Minor, minorOf } from '#protocol/microversion.ts'
import { Link } from '#protocol/node.ts'
import type { Endpoint } from '../endpoint.ts'
import { type Gate, type Gates, gatesOf } from './gates.ts'

type Json = Readonly<Record<string, unknown>>

/** Names of the schemas that have one; the same for every version. */
export type SchemaNames = ReadonlyMap<object, string>

/** Names every gated schema after the endpoint that shows it first: `Node`, `NodeCreate`, `NodeStates`. */
export function schemaNames(endpoints: readonly Endpoint[]): SchemaNames {
  const names = new Map<object, string>([[Link, 'Link']])
  for (const { id, response, body } of endpoints) {
    const [noun = '', action = ''] = id.split('.')
    const plain = ['get', 'create', 'list', 'update'].includes(action)
    const name = pascal(noun) + (plain ? '' : pascal(action.replace(/^(get|list)/, '')))
    for (const one of gatedWithin(response)) if (!names.has(one)) names.set(one, name)
    for (const one of gatedWithin(body)) if (!names.has(one)) names.set(one, `${pascal(noun)}${pascal(action)}`)
  }
  return names
}

function pascal(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

function gatedWithin(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return []
  const inner = Object.values(value).flatMap(gatedWithin)
  return gatesOf(value) ? [value, ...inner] : inner
}

/** Makes the schemas of one version, and gathers those with a name. */
export interface SchemaMaker {
  /** A reference where the schema has a name. */
  of(schema: TSchema): Json
  /** By name: every schema that of() has referred to. */
  readonly named: Readonly<Record<string, Json>>
}

export function schemaMaker(names: SchemaNames, version: Minor): SchemaMaker {
  const named: Record<string, Json> = {}

  const convert = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(convert)
    if (typeof value !== 'object' || value === null) return value
    const name = names.get(value)
    if (name === undefined) return plain(value)
    if (!(name in named)) {
      named[name] = {} // a place in the order of appearance
      named[name] = plain(value)
    }
    return { $ref: `#/components/schemas/${name}` }
  }

  const plain = (schema: object): Json => {
    const gates = gatesOf(schema)
    const copy: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(schema)) {
      copy[key] = gates && key === 'properties' ? properties(value as Json, gates) : convert(value) // an object's keyword
    }
    if (gates && Array.isArray(copy.required)) {
      copy.required = copy.required.filter(name => Object.hasOwn(copy.properties as Json, String(name))) // just made
    }
    return copy
  }

  const properties = (all: Json, gates: Gates): Json => {
    const shown: Record<string, unknown> = {}
    for (const [name, schema] of Object.entries(all)) {
      const gate = gates[name]
      if (gate && minorOf(gate.from) > version) continue
      const made = asOlder(convert(schema) as Json, gate) // a schema becomes an object
      shown[name] = gate?.doc === undefined ? made : { ...made, description: gate.doc }
    }
    return shown
  }

  /** Values that this version sees otherwise. */
  const asOlder = (schema: Json, gate: Gate | undefined): Json => {
    if (!gate?.older) return schema
    // Answers may hold null because an older version shows it: the words are in the first of two alternatives then.
    const [words] = (schema.anyOf ?? [schema]) as [{ enum: unknown[] }] // only fields of words have older values
    const hidden = gate.older.filter(one => version < minorOf(one.below))
    const left = words.enum.filter(value => !hidden.some(one => one.value === value))
    return { enum: [...new Set([...left, ...hidden.map(one => one.shown)])] }
  }

  return { of: schema => convert(schema) as Json, named } // as above
}
