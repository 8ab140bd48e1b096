/** The deploy template: deploy steps that a trait brings along. Source: REST API reference, "Deploy template". */
import { Type } from 'typebox'
import { extraField, fields, Nullable, timeFields, Uuid } from './field.ts'
import { Link } from './node.ts'
import { DeployTemplateStep } from './step.ts'
import { Trait } from './trait.ts'

export const deployTemplateFields = fields({
  uuid: {
    schema: Uuid,
    from: '1.55',
    create: true,
    sort: true,
    column: 'text',
    doc: 'identifier; fixed after creation',
  },
  name: {
    schema: Trait,
    from: '1.55',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    required: true,
    doc: 'the trait that brings the steps along',
  },
  steps: {
    schema: Type.Array(DeployTemplateStep, { minItems: 1, maxItems: 1000 }),
    from: '1.55',
    create: true,
    patch: true,
    required: true,
    column: 'json',
    secrets: {},
    doc: 'deploy steps: interface, step, args, priority; secrets are shown as ******',
  },
  extra: extraField('1.55'),
  // Taken and stored; no answer shows it.
  description: {
    schema: Nullable(Type.String({ maxLength: 255 })),
    from: '1.55',
    create: true,
    patch: true,
    select: false,
    column: 'text',
  },
  ...timeFields('1.55'),
  links: { schema: Type.Array(Link), from: '1.55', select: false },
})
