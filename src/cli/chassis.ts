/** `ferrite chassis ...`: what nodes stand in. */
import type { Commands } from './command.ts'
import { type Resource, resourceCommands } from './resource.ts'

export const resource: Resource = {
  name: 'chassis',
  plural: 'chassis',
  path: '/v1/chassis',
  key: 'chassis',
  detail: 'path',
  fields: async () => (await import('#protocol/chassis.ts')).chassisFields,
  columns: ['uuid', 'description'],
  longColumns: ['uuid', 'description', 'created_at', 'updated_at', 'extra'],
}

export const commands: Commands = resourceCommands(resource)
