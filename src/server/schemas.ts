/** Schemas of answers, read off the declarations of fields. */
import { type TObject, type TSchema, Type } from 'typebox'
import { type Field, Nullable } from '#protocol/field.ts'
import { gated } from './openapi/gates.ts'

/** An object of these fields; each may be left out, because versions and `fields` leave fields out. */
export function answerSchema(fields: Readonly<Record<string, Field>>): TObject {
  const properties: Record<string, TSchema> = {}
  for (const [name, { schema, older = [] }] of Object.entries(fields)) {
    properties[name] = Type.Optional(older.some(one => one.shown === null) ? Nullable(schema) : schema)
  }
  return gated(Type.Object(properties, { additionalProperties: false }), fields)
}
