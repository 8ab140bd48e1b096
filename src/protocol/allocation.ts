/** The allocation: a wish for a node, and the node found for it. Source: REST API reference, "Allocations". */
import { Type } from 'typebox'
import { extraField, fields, Nullable, Time, Uuid } from './field.ts'
import { Link } from './node.ts'
import { Traits } from './trait.ts'

/** `allocating`: a node is being looked for; `active`: `node_uuid` is it; `error`: `last_error` says why none is. */
const allocationStates = ['allocating', 'active', 'error'] as const

export const allocationFields = fields({
  uuid: {
    schema: Uuid,
    from: '1.52',
    create: true,
    sort: true,
    column: 'text',
    doc: 'identifier; fixed after creation',
  },
  name: {
    schema: Nullable(Type.String({ minLength: 1, maxLength: 255 })),
    from: '1.52',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'unique logical name',
  },
  created_at: { schema: Time, from: '1.52', sort: true, column: 'text' },
  updated_at: { schema: Nullable(Time), from: '1.52', sort: true, column: 'text' },
  extra: extraField('1.52'),
  resource_class: {
    schema: Nullable(Type.String({ maxLength: 80 })),
    from: '1.52',
    create: true,
    sort: true,
    column: 'text',
    doc: 'resource class that the node must have',
  },
  traits: {
    schema: Traits,
    from: '1.52',
    create: true,
    column: 'json',
    initial: [],
    doc: 'traits that the node must have',
  },
  candidate_nodes: {
    schema: Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { maxItems: 10_000 }),
    from: '1.52',
    create: true,
    column: 'json',
    initial: [],
    doc: 'nodes that come into question; all, when empty',
  },
  node_uuid: { schema: Nullable(Uuid), from: '1.52', column: 'text' },
  state: {
    schema: Type.Enum([...allocationStates]),
    from: '1.52',
    sort: true,
    column: 'text',
    initial: 'allocating',
  },
  last_error: { schema: Nullable(Type.String()), from: '1.52', sort: true, column: 'text' },
  owner: {
    schema: Nullable(Type.String({ maxLength: 255 })),
    from: '1.60',
    create: true,
    sort: true,
    column: 'text',
    doc: 'project; the node must be owned by it or lent to it',
  },
  links: { schema: Type.Array(Link), from: '1.52' },
})
