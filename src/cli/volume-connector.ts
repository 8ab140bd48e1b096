/** `ferrite volume connector ...`: by what a node reaches its volumes. */
import type { Commands } from './command.ts'
import { type Resource, resourceCommands } from './resource.ts'

export const resource: Resource = {
  name: 'volume connector',
  path: '/v1/volume/connectors',
  key: 'connectors',
  detail: 'query',
  fields: async () => (await import('#protocol/volume.ts')).volumeConnectorFields,
  differences: {
    node_uuid: { option: 'node', names: '/v1/nodes' },
    type: { choices: ['iqn', 'ip', 'mac', 'wwnn', 'wwpn', 'port', 'portgroup'] },
  },
  filters: { node: { takes: 'text', parameter: 'node', about: 'of this node' } },
  columns: ['uuid', 'node_uuid', 'type', 'connector_id'],
  longColumns: ['uuid', 'node_uuid', 'type', 'connector_id', 'extra', 'created_at', 'updated_at'],
}

export const commands: Commands = resourceCommands(resource)
