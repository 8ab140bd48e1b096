/** Volumes: by what a node reaches them, and which are its. Source: REST API reference, "Volume connector", "target". */
import { Type } from 'typebox'
import { extraField, fields, Json, timeFields, Uuid } from './field.ts'
import { Link } from './node.ts'

const Word = Type.String({ minLength: 1, maxLength: 255 })

export const volumeConnectorFields = fields({
  uuid: {
    schema: Uuid,
    from: '1.32',
    create: true,
    sort: true,
    column: 'text',
    doc: 'identifier; fixed after creation',
  },
  node_uuid: {
    schema: Uuid,
    from: '1.32',
    create: true,
    patch: true,
    required: true,
    column: 'text',
    doc: 'the node it belongs to',
  },
  type: {
    schema: Word,
    from: '1.32',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    required: true,
    doc: 'kind of connector_id: iqn, ip, mac, wwnn, wwpn, port or portgroup',
  },
  connector_id: {
    schema: Word,
    from: '1.32',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    required: true,
    doc: 'the name that the storage knows the node by',
  },
  extra: extraField('1.32'),
  ...timeFields('1.32'),
  links: { schema: Type.Array(Link), from: '1.32', select: false },
})

export const volumeTargetFields = fields({
  uuid: {
    schema: Uuid,
    from: '1.32',
    create: true,
    sort: true,
    column: 'text',
    doc: 'identifier; fixed after creation',
  },
  node_uuid: {
    schema: Uuid,
    from: '1.32',
    create: true,
    patch: true,
    required: true,
    column: 'text',
    doc: 'the node it belongs to',
  },
  volume_type: {
    schema: Word,
    from: '1.32',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    required: true,
    doc: 'how it is reached, such as iscsi or fibre_channel',
  },
  boot_index: {
    schema: Type.Integer({ minimum: -2147483648, maximum: 2147483647 }),
    from: '1.32',
    create: true,
    patch: true,
    required: true,
    sort: true,
    column: 'int',
    doc: '0: the volume that the node boots from',
  },
  volume_id: {
    schema: Word,
    from: '1.32',
    create: true,
    patch: true,
    sort: true,
    column: 'text',
    required: true,
    doc: 'the name that the storage knows it by',
  },
  properties: {
    schema: Json,
    from: '1.32',
    create: true,
    patch: true,
    column: 'json',
    initial: {},
    secrets: {},
    doc: 'how it is reached: address, LUN, credentials; secrets are shown as ******',
  },
  extra: extraField('1.32'),
  ...timeFields('1.32'),
  links: { schema: Type.Array(Link), from: '1.32', select: false },
})
