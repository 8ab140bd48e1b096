/** The chassis: where nodes stand. Source: REST API reference, "Chassis". */
import { Type } from 'typebox'
import { fields, Json, Nullable, Time, Uuid } from './field.ts'
import { Link } from './node.ts'

export const chassisFields = fields({
  uuid: {
    schema: Uuid,
    from: '1.1',
    create: true,
    sort: true,
    column: 'text',
    doc: 'identifier; fixed after creation',
  },
  description: {
    schema: Nullable(Type.String({ maxLength: 255 })),
    from: '1.1',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'free text',
  },
  extra: {
    schema: Json,
    from: '1.1',
    create: true,
    patch: true,
    column: 'json',
    initial: {},
    doc: 'free for operators',
  },
  created_at: { schema: Time, from: '1.1', sort: true, select: false, column: 'text' },
  updated_at: { schema: Nullable(Time), from: '1.1', sort: true, select: false, column: 'text' },
  links: { schema: Type.Array(Link), from: '1.1', select: false },
  // A list in a list, as clients know it.
  nodes: { schema: Type.Array(Type.Array(Link)), from: '1.1', select: false },
})
