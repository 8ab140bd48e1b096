/** `ferrite node history ...`: what has happened to a node. */
import { segment } from './client.ts'
import { type Commands, command } from './command.ts'
import { node, nodePath } from './node-path.ts'
import { withoutLinks } from './resource.ts'

const longColumns = [
  'uuid',
  'created_at',
  'severity',
  'event_type',
  'event',
  'conductor',
  'user',
  'project',
  'state',
  'target_provision_state',
  'duration_seconds',
]

export const commands: Commands = {
  '': {
    about: 'Show where the time of a run went, as node timeline does',
    load: async () => (await import('./node-timeline.ts')).timeline,
  },
  list: command({
    about: 'List what has happened to a node',
    args: { node },
    options: { long: { takes: 'nothing', about: 'show all fields, and each event in full' } },
    shows: 'list',
    async run({ args, options }, { api }) {
      const query = { detail: options.long && 'True' }
      const items = await api.list(`${nodePath(args.node)}/history`, 'history', { query, limit: undefined })
      return { kind: 'list', columns: options.long ? longColumns : ['uuid', 'created_at', 'severity', 'event'], items }
    },
  }),
  get: command({
    about: 'Show one event',
    args: { node, event: { about: 'UUID of the event' } },
    options: {},
    shows: 'one',
    async run({ args }, { api }) {
      const found = await api.get(`${nodePath(args.node)}/history/${segment(args.event)}`)
      return { kind: 'one', item: withoutLinks(found) }
    },
  }),
}
