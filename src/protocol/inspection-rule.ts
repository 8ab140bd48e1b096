/** The inspection rule: what an inspection does with what it found. Source: REST API reference, "Inspection rule". */
import { type Static, Type } from 'typebox'
import { fields, Nullable, timeFields, Uuid } from './field.ts'
import { Link } from './node.ts'

/** Arguments that an operator or an action takes, in the order of the positional form. */
export interface RuleArguments {
  readonly required: readonly string[]
  readonly optional: readonly string[]
}

const takes = (required: string, optional = ''): RuleArguments => ({
  required: required.split(' '),
  optional: optional === '' ? [] : optional.split(' '),
})

/** What conditions ask; each also with `!` in front. */
export const ruleOperators = {
  eq: takes('values', 'force_strings'),
  lt: takes('values', 'force_strings'),
  gt: takes('values', 'force_strings'),
  'is-empty': takes('value'),
  'in-net': takes('address subnet'),
  matches: takes('value regex'),
  contains: takes('value regex'),
  'one-of': takes('value', 'values'),
  'is-none': takes('value'),
  'is-true': takes('value'),
  'is-false': takes('value'),
}

export const ruleActions = {
  fail: takes('msg'),
  log: takes('msg', 'level'),
  'set-attribute': takes('path value'),
  'extend-attribute': takes('path value', 'unique'),
  'del-attribute': takes('path'),
  'set-capability': takes('name value'),
  'unset-capability': takes('name'),
  'add-trait': takes('name'),
  'remove-trait': takes('name'),
  'set-plugin-data': takes('path value'),
  'extend-plugin-data': takes('path value', 'unique'),
  'unset-plugin-data': takes('path'),
  'set-port-attribute': takes('port_id path value'),
  'extend-port-attribute': takes('port_id path value', 'unique'),
  'del-port-attribute': takes('port_id path'),
  'api-call': takes('url', 'headers proxies timeout retries backoff_factor'),
}

const operators = Object.keys(ruleOperators)
const ListOrObject = Type.Union([Type.Array(Type.Unknown()), Type.Record(Type.String(), Type.Unknown())])

export const RuleCondition = Type.Object({
  op: Type.Enum([...operators, ...operators.map(name => `!${name}`)]),
  args: ListOrObject,
  loop: Type.Optional(ListOrObject),
  multiple: Type.Optional(Type.Enum(['any', 'all', 'first', 'last'])),
})
export const RuleAction = Type.Object({
  op: Type.Enum(Object.keys(ruleActions)),
  args: ListOrObject,
  loop: Type.Optional(ListOrObject),
})

/** A rule as it is run, wherever it is kept. */
export interface InspectionRule {
  readonly uuid: string
  readonly description: string | null
  readonly priority: number
  readonly phase: string
  /** What it asks and does is not told. */
  readonly sensitive: boolean
  readonly conditions: readonly Static<typeof RuleCondition>[]
  readonly actions: readonly Static<typeof RuleAction>[]
}

export const inspectionRuleFields = fields({
  uuid: {
    schema: Uuid,
    from: '1.96',
    create: true,
    sort: true,
    column: 'text',
    doc: 'identifier; fixed after creation',
  },
  description: {
    schema: Nullable(Type.String({ maxLength: 255 })),
    from: '1.96',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'free text',
  },
  priority: {
    schema: Type.Integer({ minimum: 0, maximum: 9999 }),
    from: '1.96',
    create: true,
    patch: true,
    sort: true,
    column: 'int',
    initial: 0,
    doc: 'higher ones run first',
  },
  phase: {
    schema: Type.Enum(['main']),
    from: '1.96',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    initial: 'main',
    doc: 'when it is applied',
  },
  sensitive: {
    schema: Type.Boolean(),
    from: '1.96',
    create: true,
    patch: true,
    sort: true,
    column: 'flag',
    initial: false,
    doc: 'true: no answer shows conditions and actions; it stays',
  },
  conditions: {
    schema: Type.Array(RuleCondition, { maxItems: 1000 }),
    from: '1.96',
    create: true,
    patch: true,
    column: 'json',
    initial: [],
    doc: 'what must hold: op, args, loop, multiple',
  },
  actions: {
    schema: Type.Array(RuleAction, { minItems: 1, maxItems: 1000 }),
    from: '1.96',
    create: true,
    patch: true,
    required: true,
    column: 'json',
    doc: 'what is done then: op, args, loop',
  },
  ...timeFields('1.96'),
  links: { schema: Type.Array(Link), from: '1.96', select: false },
})
