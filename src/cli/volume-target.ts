/** `ferrite volume target ...`: the volumes of nodes. */
import type { Commands } from './command.ts'
import { type Resource, resourceCommands } from './resource.ts'

export const resource: Resource = {
  name: 'volume target',
  path: '/v1/volume/targets',
  key: 'targets',
  detail: 'query',
  fields: async () => (await import('#protocol/volume.ts')).volumeTargetFields,
  differences: {
    node_uuid: { option: 'node', names: '/v1/nodes' },
    volume_type: { option: 'type' },
    properties: { option: 'property' },
  },
  filters: { node: { takes: 'text', parameter: 'node', about: 'of this node' } },
  columns: ['uuid', 'node_uuid', 'volume_type', 'boot_index', 'volume_id'],
  longColumns: [
    'uuid',
    'node_uuid',
    'volume_type',
    'properties',
    'boot_index',
    'extra',
    'volume_id',
    'created_at',
    'updated_at',
  ],
}

export const commands: Commands = resourceCommands(resource)
