/** The port: a network interface of a node, known by its MAC address. Source: REST API reference, "Port". */
import { Type } from 'typebox'
import { extraField, fields, Json, Nullable, timeFields, Uuid } from './field.ts'
import { Link } from './node.ts'

/** Six colon-separated hex pairs; kept in lower case. */
export const MacAddress = Type.String({ pattern: '^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$' })

export const portFields = fields({
  uuid: {
    schema: Uuid,
    from: '1.1',
    create: true,
    sort: true,
    column: 'text',
    doc: 'identifier; fixed after creation',
  },
  address: {
    schema: MacAddress,
    from: '1.1',
    create: true,
    patch: true,
    required: true,
    sort: true,
    column: 'text',
    doc: 'MAC',
  },
  node_uuid: {
    schema: Uuid,
    from: '1.1',
    create: true,
    patch: true,
    required: true,
    column: 'text',
    doc: 'the node it belongs to',
  },
  extra: extraField('1.1'),
  ...timeFields('1.1'),
  internal_info: { schema: Json, from: '1.18', column: 'json', initial: {} },
  local_link_connection: {
    schema: Json,
    from: '1.19',
    create: true,
    patch: true,
    column: 'json',
    initial: {},
    doc: 'where it is plugged in: switch_id, port_id, switch_info, hostname',
  },
  pxe_enabled: {
    schema: Type.Boolean(),
    from: '1.19',
    create: true,
    patch: true,
    sort: true,
    column: 'flag',
    initial: true,
    doc: 'network boot may use it',
  },
  portgroup_uuid: {
    schema: Nullable(Uuid),
    from: '1.24',
    create: true,
    patch: true,
    column: 'text',
    doc: 'the portgroup it belongs to',
  },
  physical_network: {
    schema: Nullable(Type.String({ minLength: 1, maxLength: 64 })),
    from: '1.34',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'the physical network it is wired to',
  },
  is_smartnic: {
    schema: Type.Boolean(),
    from: '1.53',
    create: true,
    patch: true,
    sort: true,
    column: 'flag',
    initial: false,
    doc: 'a port of a Smart NIC',
  },
  name: {
    schema: Nullable(Type.String({ minLength: 1, maxLength: 255 })),
    from: '1.88',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'unique logical name',
  },
  description: {
    schema: Nullable(Type.String({ maxLength: 255 })),
    from: '1.97',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'free text',
  },
  vendor: {
    schema: Nullable(Type.String({ maxLength: 32 })),
    from: '1.100',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'maker of the card',
  },
  category: {
    schema: Nullable(Type.String({ maxLength: 80 })),
    from: '1.101',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    doc: 'what it is for',
  },
  available_for_dynamic_portgroup: {
    schema: Type.Boolean(),
    from: '1.111',
    create: true,
    patch: true,
    column: 'flag',
    initial: true,
    doc: 'may become a part of a portgroup that the service makes',
  },
  links: { schema: Type.Array(Link), from: '1.1', select: false },
})

/** The VIF of the tenant's network that a port is connected to, or shall be; null where there is none. */
export function vifOf({ internal_info }: { readonly internal_info: Record<string, unknown> }): string | null {
  const id = internal_info.tenant_vif_port_id
  return typeof id === 'string' ? id : null
}
