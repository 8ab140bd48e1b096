/**
 * Between a row as the engine keeps it and an object as the program knows it. Booleans are 0 or 1 and objects are JSON
 * text on every engine, so that one query text serves SQLite and PostgreSQL. Reads nothing itself and decides nothing.
 */
import type { Static } from 'typebox'
import type { Column, Field } from '#protocol/field.ts'

/** The fields of a table that are columns. */
export type Stored<F extends Record<string, Field>> = {
  [K in keyof F as F[K]['column'] extends Column ? K : never]: Static<F[K]['schema']>
}

/** The row of such a table as the engine returns it. */
export type Raw<F extends Record<string, Field>> = {
  [K in keyof F as F[K]['column'] extends Column ? K : never]: F[K]['column'] extends 'flag' | 'int'
    ? number | null
    : F[K]['column'] extends 'json'
      ? string
      : null extends Static<F[K]['schema']>
        ? string | null
        : string
}

export interface Codec<T extends object, R extends object> {
  decode(row: R): T
  encode(part: Partial<T>): Partial<R>
}

/** The codec of a table described by fields. */
export function codecOf<F extends Record<string, Field>>(fields: F): Codec<Stored<F>, Raw<F>> {
  const columns: [string, Column][] = []
  for (const [name, field] of Object.entries(fields)) if (field.column) columns.push([name, field.column])
  const kinds = new Map(columns)
  return {
    decode(row) {
      const from = row as Record<string, unknown>
      const out: Record<string, unknown> = {}
      for (const [name, kind] of columns) out[name] = read(kind, from[name])
      return out as Stored<F> // every stored field of F has been set just above
    },
    encode(part) {
      const out: Record<string, unknown> = {}
      for (const [name, value] of Object.entries(part)) {
        const kind = kinds.get(name)
        if (kind && value !== undefined) out[name] = write(kind, value)
      }
      return out as Partial<Raw<F>> // only columns of F were written
    },
  }
}

function read(kind: Column, value: unknown): unknown {
  if (value === null || value === undefined) return null
  if (kind === 'flag') return Number(value) !== 0
  if (kind === 'int') return Number(value)
  if (kind === 'json') return JSON.parse(String(value))
  return value
}

function write(kind: Column, value: unknown): unknown {
  if (value === null) return null
  if (kind === 'flag') return value ? 1 : 0
  if (kind === 'json') return JSON.stringify(value)
  return value
}
