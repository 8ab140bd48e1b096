/** `ferrite port group ...`: ports of a node that act as one. */
import type { Commands } from './command.ts'
import { type Resource, resourceCommands, showByAddressCommand } from './resource.ts'

const standalone = { field: 'standalone_ports_supported', group: 'standalone', on: ['create', 'set'] } as const

export const resource: Resource = {
  name: 'port group',
  path: '/v1/portgroups',
  key: 'portgroups',
  detail: 'path',
  fields: async () => (await import('#protocol/portgroup.ts')).portgroupFields,
  differences: {
    node_uuid: { option: 'node', names: '/v1/nodes' },
    address: { metavar: 'mac' },
    mode: { on: ['create', 'set'] },
    properties: { option: 'property' },
    standalone_ports_supported: false,
  },
  more: [
    {
      ...standalone,
      option: 'support-standalone-ports',
      holds: 'true',
      about: 'its ports may boot from the network one by one',
    },
    { ...standalone, option: 'unsupport-standalone-ports', holds: 'false', about: 'its ports may not' },
  ],
  filters: {
    address: { takes: 'text', metavar: 'mac', parameter: 'address', about: 'with this MAC address' },
    node: { takes: 'text', parameter: 'node', about: 'of this node' },
    shards: { takes: 'words', metavar: 'shard', parameter: 'shard', about: 'of nodes in one of these shards' },
  },
  columns: ['uuid', 'address', 'name'],
  longColumns: [
    'uuid',
    'address',
    'created_at',
    'extra',
    'standalone_ports_supported',
    'node_uuid',
    'name',
    'updated_at',
    'internal_info',
    'mode',
    'properties',
    'physical_network',
    'category',
  ],
}

export const commands: Commands = { ...resourceCommands(resource), show: showByAddressCommand(resource) }
