/** The portgroup: ports of a node that act as one. Source: REST API reference, "Portgroup". */
import { Type } from 'typebox'
import { fields, Json, Nullable, Time, Uuid } from './field.ts'
import { Link } from './node.ts'
import { MacAddress } from './port.ts'

export const portgroupFields = fields({
  uuid: { schema: Uuid, from: '1.23', create: true, sort: true, column: 'text' },
  address: { schema: Nullable(MacAddress), from: '1.23', create: true, patch: true, sort: true, column: 'text' },
  name: {
    schema: Nullable(Type.String({ minLength: 1, maxLength: 255 })),
    from: '1.23',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
  },
  node_uuid: {
    schema: Uuid,
    from: '1.23',
    create: true,
    patch: true,
    required: true,
    column: 'text',
    doc: 'the node it belongs to',
  },
  extra: { schema: Json, from: '1.23', create: true, patch: true, column: 'json', initial: {} },
  internal_info: { schema: Json, from: '1.23', column: 'json', initial: {} },
  standalone_ports_supported: {
    schema: Type.Boolean(),
    from: '1.23',
    create: true,
    patch: true,
    sort: true,
    column: 'flag',
    initial: true,
    doc: 'its ports may boot from the network one by one',
  },
  mode: {
    schema: Nullable(Type.String({ maxLength: 255 })),
    from: '1.26',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
  },
  properties: { schema: Json, from: '1.26', create: true, patch: true, column: 'json', initial: {} },
  physical_network: {
    schema: Nullable(Type.String({ minLength: 1, maxLength: 64 })),
    from: '1.102',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
  },
  category: {
    schema: Nullable(Type.String({ maxLength: 80 })),
    from: '1.103',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
  },
  dynamic_portgroup: { schema: Type.Boolean(), from: '1.111', column: 'flag', initial: false },
  created_at: { schema: Time, from: '1.23', sort: true, select: false, column: 'text' },
  updated_at: { schema: Nullable(Time), from: '1.23', sort: true, select: false, column: 'text' },
  links: { schema: Type.Array(Link), from: '1.23', select: false },
  ports: { schema: Type.Array(Link), from: '1.23', select: false },
})
