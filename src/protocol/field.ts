/**
 * How a resource declares its fields: the schema, the microversion a field came with, who may set it and how it is
 * stored. The API's answers, checks and documents, the database's codec and the CLI's columns are read off these
 * declarations; nothing else lists fields.
 */
import { type TSchema, Type } from 'typebox'

export interface Field<S extends TSchema = TSchema> {
  readonly schema: S
  /** The microversion the field came with; below, it is absent from answers and refused in requests. */
  readonly from: string
  /** May stand in the body of a POST. */
  readonly create?: boolean
  /** Its first path part may be patched. */
  readonly patch?: boolean
  /** May be a sort_key. */
  readonly sort?: boolean
  /** May stand in `fields`. Default true. */
  readonly select?: boolean
  /** Holds secrets: values under secret keys are shown as `******`, and so is all of what `hide` names. */
  readonly secrets?: { readonly hide?: readonly string[] }
  /** Cannot be removed, nor set to null. */
  readonly required?: true
  /** Values that requests below a version see otherwise. */
  readonly older?: readonly { readonly below: string; readonly value: string; readonly shown: string | null }[]
  /** How the column is kept; absent for fields computed on the way out. */
  readonly column?: Column
  /** Value of a new object where the request names none. Default: null. */
  readonly initial?: unknown
  /** One line for the OpenAPI document, the CLI's help and the console. */
  readonly doc?: string
}

/** `text`, `int`: as is; `flag`: boolean kept as 0 or 1; `json`: an object or array kept as text. */
export type Column = 'text' | 'int' | 'flag' | 'json'

/** Keeps the literal types of a table of fields. */
export function fields<const F extends Record<string, Field>>(table: F): F {
  return table
}

export const Nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()])
export const Json = Type.Record(Type.String(), Type.Unknown())
/** ISO 8601 with offset: `2026-11-21T05:47:09.128000+00:00`. Times sort as text. */
export const Time = Type.String({ format: 'date-time' })

/** The field `extra`, which nearly every resource has. */
export const extraField = <const V extends string>(from: V) =>
  ({
    schema: Json,
    from,
    create: true,
    patch: true,
    column: 'json',
    initial: {},
    doc: 'free for operators',
  }) as const

/** When an object was made, and last changed. */
export const timeFields = <const V extends string>(from: V) =>
  ({
    created_at: { schema: Time, from, sort: true, select: false, column: 'text' },
    updated_at: { schema: Nullable(Time), from, sort: true, select: false, column: 'text' },
  }) as const

/** Any spelling: with or without dashes, in any case. It is stored and compared as it was given. */
export const uuidPattern = '^[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}$'
export const Uuid = Type.String({ pattern: uuidPattern })
/** Letters, digits and `- . _ ~`: what a name may hold, and what a URL leaves as it is. */
export const namePattern = '^[A-Za-z0-9._~-]{1,255}$'

/** Now, or the given instant, in the API's spelling (microseconds, numeric offset). */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000+00:00')
}
