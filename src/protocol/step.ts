/** Steps as deploy templates and runbooks keep them. Source: REST API reference, "Deploy templates", "Runbooks". */
import { type TSchema, Type } from 'typebox'
import { Json } from './field.ts'

/** Interfaces that have steps a caller may name. */
export const stepInterfaces = ['vendor', 'power', 'management', 'firmware', 'deploy', 'bios', 'raid'] as const

/** A number, or its digits as text; kept as a number. */
export const StepNumber = Type.Union([
  Type.Integer({ minimum: 0, maximum: 2147483647 }),
  Type.String({ pattern: '^[0-9]{1,9}$' }),
])

/** The interface and the name of a step, and what else belongs to it. */
export function stepSchema<const P extends Record<string, TSchema>>(more: P) {
  const named = { interface: Type.Enum([...stepInterfaces]), step: Type.String({ minLength: 1, maxLength: 255 }) }
  return Type.Object({ ...named, ...more }, { additionalProperties: false })
}

export const DeployTemplateStep = stepSchema({ args: Json, priority: StepNumber })
export const RunbookStep = stepSchema({ args: Type.Optional(Json), order: StepNumber })
