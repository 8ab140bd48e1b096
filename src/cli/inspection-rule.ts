/** `ferrite inspection rule ...`: what an inspection does with what it finds. */
import type { Commands } from './command.ts'
import { type Resource, resourceCommands } from './resource.ts'

export const resource: Resource = {
  name: 'inspection rule',
  path: '/v1/inspection_rules',
  key: 'inspection_rules',
  detail: 'query',
  fields: async () => (await import('#protocol/inspection-rule.ts')).inspectionRuleFields,
  differences: {
    sensitive: { holds: 'boolean', on: ['create', 'set'] },
    conditions: { on: ['create', 'set'] },
  },
  more: [
    {
      option: 'condition',
      field: 'conditions',
      holds: 'item',
      on: ['unset'],
      about: 'a condition, by its place from 0',
    },
    { option: 'action', field: 'actions', holds: 'item', on: ['unset'], about: 'an action, by its place from 0' },
  ],
  columns: ['uuid', 'description'],
  longColumns: [
    'uuid',
    'description',
    'priority',
    'sensitive',
    'phase',
    'actions',
    'conditions',
    'created_at',
    'updated_at',
  ],
}

export const commands: Commands = resourceCommands(resource)
