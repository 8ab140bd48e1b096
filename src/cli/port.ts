/** `ferrite port ...`: the commands on ports, the network interfaces of nodes. */
import { NotFound } from '#lib/fault.ts'
import { type Commands, command } from './command.ts'
import {
  createCommand,
  deleteCommand,
  listCommand,
  type Resource,
  show,
  updateCommand,
  withoutLinks,
} from './resource.ts'

export const portResource: Resource = {
  name: 'port',
  path: '/v1/ports',
  key: 'ports',
  argument: 'port',
  detail: 'path',
  setsMany: false,
  settings: [
    {
      option: 'node',
      field: 'node_uuid',
      nameField: 'node_ident',
      holds: 'text',
      on: ['create', 'set'],
      required: true,
      about: 'node it belongs to, by UUID or name',
    },
    { option: 'address', field: 'address', holds: 'text', metavar: 'mac', on: ['set'], about: 'MAC address' },
    { option: 'uuid', field: 'uuid', holds: 'text', on: ['create'], about: 'UUID; default a random one' },
    { option: 'name', field: 'name', holds: 'text', about: 'unique name' },
    { option: 'extra', field: 'extra', holds: 'pairs', about: 'data of your own' },
    {
      option: 'local-link-connection',
      field: 'local_link_connection',
      holds: 'pairs',
      about: 'where it is plugged in: switch_id, port_id, switch_info, hostname',
    },
    {
      option: 'port-group',
      field: 'portgroup_uuid',
      holds: 'text',
      metavar: 'uuid',
      about: 'port group it belongs to',
    },
    {
      option: 'pxe-enabled',
      field: 'pxe_enabled',
      holds: 'boolean',
      metavar: 'true|false',
      on: ['create'],
      about: 'whether the node may boot from it',
    },
    {
      option: 'pxe-enabled',
      field: 'pxe_enabled',
      holds: 'true',
      group: 'pxe',
      on: ['set'],
      about: 'the node may boot from it',
    },
    {
      option: 'pxe-disabled',
      field: 'pxe_enabled',
      holds: 'false',
      group: 'pxe',
      on: ['set'],
      about: 'the node may not boot from it',
    },
    { option: 'physical-network', field: 'physical_network', holds: 'text', about: 'physical network it is wired to' },
    { option: 'is-smartnic', field: 'is_smartnic', holds: 'true', about: 'it is a port of a Smart NIC' },
    { option: 'description', field: 'description', holds: 'text', about: 'free text' },
    { option: 'vendor', field: 'vendor', holds: 'text', about: 'maker of the card' },
    { option: 'category', field: 'category', holds: 'text', about: 'what it is for' },
  ],
  columns: ['uuid', 'address'],
  // The order is the one of the baremetal client.
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
  filters: {
    address: { takes: 'text', metavar: 'mac', parameter: 'address', about: 'with this MAC address' },
    node: { takes: 'text', parameter: 'node', about: 'of this node' },
    'port-group': { takes: 'text', parameter: 'portgroup', about: 'of this port group' },
  },
}

const showPort = command({
  about: 'Show one port',
  args: { port: { about: 'UUID or name of the port, or with --address its MAC address' } },
  options: {
    address: { takes: 'nothing', about: 'the argument is a MAC address' },
    fields: { takes: 'words', metavar: 'field', about: 'ask for these fields only' },
  },
  shows: 'one',
  async run({ args, options }, { api }) {
    if (!options.address) return { kind: 'one', item: await show(portResource, args.port, options.fields, api) }
    const query = { address: args.port, fields: options.fields?.join(',') }
    const path = options.fields ? portResource.path : `${portResource.path}/detail`
    const [found] = await api.list(path, 'ports', { query, limit: undefined })
    if (!found) throw new NotFound(`Cannot show the port with address ${args.port}: no port has it`)
    return { kind: 'one', item: withoutLinks(found) }
  },
})

export const commands: Commands = {
  create: createCommand(portResource, { address: { metavar: 'mac', about: 'MAC address' } }),
  list: listCommand(portResource),
  show: showPort,
  set: updateCommand(portResource, { verb: 'set' }),
  unset: updateCommand(portResource, { verb: 'unset' }),
  delete: deleteCommand(portResource),
}
