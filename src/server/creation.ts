/**
 * Bodies that create an object: their schema and their reading, from the declarations of the resource's fields. What
 * only one resource demands (names, references, defaults from the configuration) is in that resource's file.
 */
import { type TObject, type TSchema, Type } from 'typebox'
import { type Field, Nullable } from '#protocol/field.ts'
import { type Minor, minorOf, versionText } from '#protocol/microversion.ts'
import { NotAcceptable } from './faults.ts'
import { gated } from './openapi/gates.ts'
import { BooleanText } from './parameters.ts'
import { checkField, given } from './patch.ts'

type FieldTable = Readonly<Record<string, Field>>

/** A key of a body that is no field of the object. */
interface Extra {
  readonly from: string
  readonly schema: TSchema
}

/** Schema of the body; fields that are not mandatory may be null, and so may the extra ones. */
export function creationSchema(
  fields: FieldTable,
  options: { optional?: readonly string[]; extra?: Readonly<Record<string, Extra>> } = {},
): TObject {
  const properties: Record<string, TSchema> = {}
  for (const [name, { schema }] of Object.entries(options.extra ?? {})) {
    properties[name] = Type.Optional(Nullable(schema))
  }
  for (const [name, field] of Object.entries(fields)) {
    if (!field.create) continue
    const schema = field.column === 'flag' ? BooleanText : field.schema
    if (field.required && !options.optional?.includes(name)) properties[name] = schema
    else properties[name] = Type.Optional(Nullable(schema))
  }
  return gated(Type.Object(properties, { additionalProperties: false }), { ...fields, ...options.extra })
}

/**
 * The values of a new object: those of the body, else the initial ones; null where there is neither.
 * @throws NotAcceptable for a field the version does not know, InvalidInput for one that does not fit
 */
export function readCreation(
  fields: FieldTable,
  body: Readonly<Record<string, unknown>>,
  version: Minor,
): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    if (!field.column) continue
    const value = field.create ? body[name] : undefined
    if (value === undefined || value === null) {
      values[name] = structuredClone(field.initial ?? null)
      continue
    }
    // Old clients send an empty conductor_group, which says nothing.
    if (minorOf(field.from) > version && !(value === '' && field.initial === '')) {
      throw new NotAcceptable(
        `Setting ${name} needs version ${field.from}; the request was made with ${versionText(version)}`,
      )
    }
    values[name] = given(name, field, value)
    checkField(name, field, values[name])
  }
  return values
}
