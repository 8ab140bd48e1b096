/** Volumes: by what a node reaches them, and which are its. Source: REST API reference, "Volume connector", "target". */
import { Type } from 'typebox'
import { fields, Json, Nullable, Time, Uuid } from './field.ts'
import { Link } from './node.ts'

const Word = Type.String({ minLength: 1, maxLength: 255 })

export const volumeConnectorFields = fields({
  uuid: { schema: Uuid, from: '1.32', create: true, sort: true, column: 'text' },
  node_uuid: {
    schema: Uuid,
    from: '1.32',
    create: true,
    patch: true,
    required: true,
    column: 'text',
    doc: 'the node it belongs to',
  },
  type: { schema: Word, from: '1.32', create: true, patch: true, sort: true, column: 'text', required: true },
  connector_id: { schema: Word, from: '1.32', create: true, patch: true, sort: true, column: 'text', required: true },
  extra: { schema: Json, from: '1.32', create: true, patch: true, column: 'json', initial: {} },
  created_at: { schema: Time, from: '1.32', sort: true, select: false, column: 'text' },
  updated_at: { schema: Nullable(Time), from: '1.32', sort: true, select: false, column: 'text' },
  links: { schema: Type.Array(Link), from: '1.32', select: false },
})

export const volumeTargetFields = fields({
  uuid: { schema: Uuid, from: '1.32', create: true, sort: true, column: 'text' },
  node_uuid: {
    schema: Uuid,
    from: '1.32',
    create: true,
    patch: true,
    required: true,
    column: 'text',
    doc: 'the node it belongs to',
  },
  volume_type: { schema: Word, from: '1.32', create: true, patch: true, sort: true, column: 'text', required: true },
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
  volume_id: { schema: Word, from: '1.32', create: true, patch: true, sort: true, column: 'text', required: true },
  properties: { schema: Json, from: '1.32', create: true, patch: true, column: 'json', initial: {}, secrets: {} },
  extra: { schema: Json, from: '1.32', create: true, patch: true, column: 'json', initial: {} },
  created_at: { schema: Time, from: '1.32', sort: true, select: false, column: 'text' },
  updated_at: { schema: Nullable(Time), from: '1.32', sort: true, select: false, column: 'text' },
  links: { schema: Type.Array(Link), from: '1.32', select: false },
})
