/** The runbook: steps under a name, for cleaning and servicing. Source: REST API reference, "Runbook". */
import { Type } from 'typebox'
import { extraField, fields, Nullable, timeFields, Uuid } from './field.ts'
import { Link } from './node.ts'
import { RunbookStep } from './step.ts'
import { Traits } from './trait.ts'

export const runbookFields = fields({
  uuid: {
    schema: Uuid,
    from: '1.92',
    create: true,
    sort: true,
    column: 'text',
    doc: 'identifier; fixed after creation',
  },
  name: {
    schema: Type.String({ minLength: 1, maxLength: 255 }),
    from: '1.92',
    create: true,
    patch: true,
    required: true,
    sort: true,
    column: 'text',
    doc: 'unique; a trait in versions below 1.112',
  },
  steps: {
    schema: Type.Array(RunbookStep, { minItems: 1, maxItems: 1000 }),
    from: '1.92',
    create: true,
    patch: true,
    required: true,
    column: 'json',
    secrets: {},
    doc: 'steps: interface, step, args, order; secrets are shown as ******',
  },
  disable_ramdisk: {
    schema: Type.Boolean(),
    from: '1.92',
    create: true,
    patch: true,
    sort: true,
    column: 'flag',
    initial: false,
    doc: 'its steps need no ramdisk',
  },
  extra: extraField('1.92'),
  public: {
    schema: Type.Boolean(),
    from: '1.92',
    create: true,
    patch: true,
    sort: true,
    column: 'flag',
    initial: false,
    doc: 'everybody may use it',
  },
  owner: {
    schema: Nullable(Type.String({ maxLength: 255 })),
    from: '1.92',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'the project that owns it',
  },
  description: {
    schema: Nullable(Type.String({ maxLength: 255 })),
    from: '1.112',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'free text',
  },
  traits: { schema: Traits, from: '1.112', column: 'json', initial: [], doc: 'changed through /traits' },
  ...timeFields('1.92'),
  links: { schema: Type.Array(Link), from: '1.92', select: false },
})
