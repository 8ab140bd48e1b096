/** `ferrite port ...`: the network interfaces of nodes. */
import type { Commands } from './command.ts'
import { type Resource, resourceCommands, showByAddressCommand } from './resource.ts'

const pxe = { field: 'pxe_enabled', group: 'pxe', on: ['set'] } as const

export const resource: Resource = {
  name: 'port',
  path: '/v1/ports',
  key: 'ports',
  detail: 'path',
  fields: async () => (await import('#protocol/port.ts')).portFields,
  positional: ['address'],
  differences: {
    node_uuid: { option: 'node', names: '/v1/nodes' },
    address: { metavar: 'mac' },
    portgroup_uuid: { option: 'port-group', names: '/v1/portgroups' },
    pxe_enabled: { on: ['create'] },
    available_for_dynamic_portgroup: { on: ['create', 'set'] },
  },
  more: [
    { ...pxe, option: 'pxe-enabled', holds: 'true', about: 'the node may boot from it' },
    { ...pxe, option: 'pxe-disabled', holds: 'false', about: 'the node may not boot from it' },
  ],
  filters: {
    address: { takes: 'text', metavar: 'mac', parameter: 'address', about: 'with this MAC address' },
    node: { takes: 'text', parameter: 'node', about: 'of this node' },
    'port-group': { takes: 'text', parameter: 'portgroup', about: 'of this port group' },
    shards: { takes: 'words', metavar: 'shard', parameter: 'shard', about: 'of nodes in one of these shards' },
  },
  columns: ['uuid', 'address'],
  longColumns: [
    'uuid',
    'address',
    'created_at',
    'extra',
    'node_uuid',
    'category',
    'vendor',
    'local_link_connection',
    'portgroup_uuid',
    'pxe_enabled',
    'physical_network',
    'updated_at',
    'internal_info',
    'is_smartnic',
    'name',
  ],
}

export const commands: Commands = { ...resourceCommands(resource), show: showByAddressCommand(resource) }
