/** The chassis: where nodes stand. Source: REST API reference, "Chassis". */
import { Type } from 'typebox'
import { extraField, fields, Nullable, timeFields, Uuid } from './field.ts'
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
  extra: extraField('1.1'),
  ...timeFields('1.1'),
  links: { schema: Type.Array(Link), from: '1.1', select: false },
  // A list in a list, as clients know it.
  nodes: { schema: Type.Array(Type.Array(Link)), from: '1.1', select: false },
})
