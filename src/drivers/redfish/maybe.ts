/** Schemas for what firmware leaves out or sends as null. */
import { type TSchema, Type } from 'typebox'

export const Maybe = <const S extends TSchema>(schema: S) => Type.Optional(Type.Union([schema, Type.Null()]))
export const Text = Maybe(Type.String())
export const Amount = Maybe(Type.Number())
/** An action of a resource, and where it is asked for. */
export const Action = Maybe(Type.Object({ target: Type.Optional(Type.String()) }))
