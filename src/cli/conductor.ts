/** `ferrite conductor ...`: the processes that work on nodes. */
import type { Commands } from './command.ts'
import { listCommand, type Resource, showCommand } from './resource.ts'

const conductorResource: Resource = {
  name: 'conductor',
  path: '/v1/conductors',
  key: 'conductors',
  argument: 'hostname',
  detail: 'query',
  setsMany: false,
  settings: [],
  columns: ['hostname', 'conductor_group', 'alive'],
  longColumns: ['hostname', 'conductor_group', 'alive', 'drivers', 'created_at', 'updated_at'],
  filters: {},
}

export const commands: Commands = {
  list: listCommand(conductorResource),
  show: showCommand(conductorResource),
}
