/** `ferrite node vif ...`: the virtual interfaces of networks that a node's ports are connected to. */
import { segment } from './client.ts'
import { type Commands, command } from './command.ts'
import { node, nodePath } from './node-path.ts'
import { UsageError } from './parse.ts'
import { pairs } from './values.ts'

const vif = { metavar: 'vif-id', about: 'name or UUID of the VIF' }

export const commands: Commands = {
  list: command({
    about: 'List the VIFs attached to a node',
    args: { node },
    options: {},
    shows: 'list',
    async run({ args }, { api }) {
      const items = await api.list(`${nodePath(args.node)}/vifs`, 'vifs', { query: {}, limit: undefined })
      return { kind: 'list', columns: ['id'], items }
    },
  }),
  attach: command({
    about: 'Attach a VIF to a node',
    args: { node, vif },
    options: {
      'port-uuid': { takes: 'text', metavar: 'uuid', about: 'port to attach it to' },
      'portgroup-uuid': { takes: 'text', metavar: 'uuid', about: 'port group to attach it to' },
      'vif-info': { takes: 'repeat', metavar: 'key=value', about: 'further data for the network; may be repeated' },
    },
    async run({ args, options }, { api }) {
      const info = pairs(options['vif-info'] ?? [])
      if ('id' in info) throw new UsageError('Option --vif-info cannot have the key id: it is the argument <vif-id>')
      const { 'port-uuid': port_uuid, 'portgroup-uuid': portgroup_uuid } = options
      const body = { ...info, id: args.vif, ...(port_uuid && { port_uuid }), ...(portgroup_uuid && { portgroup_uuid }) }
      await api.call('POST', `${nodePath(args.node)}/vifs`, {}, body)
      return undefined
    },
  }),
  detach: command({
    about: 'Detach a VIF from a node',
    args: { node, vif },
    options: {},
    async run({ args }, { api }) {
      await api.delete(`${nodePath(args.node)}/vifs/${segment(args.vif)}`)
      return undefined
    },
  }),
}
