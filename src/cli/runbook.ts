/** `ferrite runbook ...`: steps under a name, for cleaning and servicing. */
import type { Commands } from './command.ts'
import { type Resource, resourceCommands } from './resource.ts'
import { traitCommands } from './traits.ts'

export const resource: Resource = {
  name: 'runbook',
  path: '/v1/runbooks',
  key: 'runbooks',
  detail: 'query',
  fields: async () => (await import('#protocol/runbook.ts')).runbookFields,
  differences: {
    name: { on: ['create', 'set', 'unset'] },
    public: { holds: 'yes?' },
    disable_ramdisk: { holds: 'yes?' },
  },
  columns: ['uuid', 'name'],
  longColumns: [
    'uuid',
    'name',
    'description',
    'traits',
    'disable_ramdisk',
    'owner',
    'public',
    'steps',
    'extra',
    'created_at',
    'updated_at',
  ],
}

const { list, add, remove } = traitCommands(resource)

export const commands: Commands = {
  ...resourceCommands(resource),
  'trait list': list,
  'trait add': add,
  'trait remove': remove,
}
