/** `ferrite deploy template ...`: deploy steps that a trait of a node brings along. */
import type { Commands } from './command.ts'
import { type Resource, resourceCommands } from './resource.ts'

export const resource: Resource = {
  name: 'deploy template',
  path: '/v1/deploy_templates',
  key: 'deploy_templates',
  detail: 'query',
  fields: async () => (await import('#protocol/deploy-template.ts')).deployTemplateFields,
  positional: ['name'],
  // No answer shows the description.
  differences: { description: false },
  columns: ['uuid', 'name'],
  longColumns: ['uuid', 'name', 'steps', 'extra', 'created_at', 'updated_at'],
}

export const commands: Commands = resourceCommands(resource)
