/**
 * Which microversion each property of a schema came with. Schemas say how the newest version looks; what tells of one
 * version (openapi.ts) asks here for what to leave out. The frame does not: requests are gated by fields and parameters.
 */
import type { TSchema } from 'typebox'
import type { Field } from '#protocol/field.ts'

export type Gate = Pick<Field, 'from' | 'doc' | 'older' | 'patch'>
export type Gates = Readonly<Record<string, Gate>>

const known = new WeakMap<object, Gates>()

/** Remembers the gates of an object's properties; hands the schema back. */
export function gated<S extends TSchema>(schema: S, gates: Gates): S {
  known.set(schema, gates)
  return schema
}

/** By property; undefined where a schema has none. */
export function gatesOf(schema: object): Gates | undefined {
  return known.get(schema)
}
