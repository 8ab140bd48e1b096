/** `ferrite conductor ...`: the processes that work on nodes. */
import type { Commands } from './command.ts'
import { listCommand, type Resource, showCommand } from './resource.ts'

export const resource: Resource = {
  name: 'conductor',
  path: '/v1/conductors',
  key: 'conductors',
  detail: 'query',
  fields: async () => ({}), // nothing of it can be set
  columns: ['hostname', 'conductor_group', 'alive'],
  longColumns: ['hostname', 'conductor_group', 'alive', 'drivers', 'created_at', 'updated_at'],
}

export const commands: Commands = { list: listCommand(resource), show: showCommand(resource) }
