/**
 * Inspection rules: conditions on what an inspection found, and actions for when they hold. They are checked, kept and
 * shown here; running them is the conductor's part. Source: REST API reference, "Inspection rules".
 */
import type { TSchema } from 'typebox'
import { objectTable } from '#db/objects.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type Field, Nullable } from '#protocol/field.ts'
import { inspectionRuleFields as fields } from '#protocol/inspection-rule.ts'
import { ruleMisfit } from '#protocol/rule-check.ts'
import { choosing, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { boolean, text } from '../parameters.ts'
import { applyPatch, JsonPatch, readPatch } from '../patch.ts'
import { resourceOf } from '../resource.ts'
import type { Computed } from '../view.ts'

/** Sensitive rules show neither what they ask nor what they do. */
function hideable(column: 'conditions' | 'actions'): Computed {
  return {
    columns: ['sensitive', column],
    print: row => (Number(row.sensitive) === 0 ? String(row[column]) : 'null'),
  }
}
const nullable = <F extends Field>(field: F) => ({ ...field, schema: Nullable(field.schema) as TSchema })

const resource = resourceOf({
  table: objectTable({ table: 'inspection_rules', fields, noun: 'inspection rule' }),
  fields,
  shown: { ...fields, conditions: nullable(fields.conditions), actions: nullable(fields.actions) },
  noun: 'Inspection rule',
  key: 'inspection_rules',
  path: '/inspection_rules',
  short: ['uuid', 'priority', 'phase', 'description', 'links'],
  computed: { conditions: hideable('conditions'), actions: hideable('actions') },
})

/** Whether each condition and action has the arguments that it needs. @throws InvalidInput */
function checkLines(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const misfit = ruleMisfit(values)
  if (misfit !== undefined) throw new InvalidInput(`Cannot use ${misfit}`)
  return values
}

const path = '/v1/inspection_rules'
const one = `${path}/{rule_uuid}` as const
const from = '1.96'

export const inspectionRules: readonly Endpoint[] = [
  endpoint({
    id: 'inspectionRule.list',
    method: 'GET',
    path,
    from,
    status: 200,
    policy: ['baremetal:inspection_rule:get'],
    query: {
      ...paging,
      fields: choosing.fields,
      detail: boolean({ doc: 'true: all fields' }),
      phase: text({ doc: 'main' }),
    },
    response: resource.List,
    handle(call) {
      call.allow(null)
      const { phase } = call.query
      return resource.list(call, selectionOf(call, call.query, resource.view), { equal: { phase } })
    },
  }),
  endpoint({
    id: 'inspectionRule.create',
    method: 'POST',
    path,
    from,
    below: 405,
    status: 201,
    policy: ['baremetal:inspection_rule:create'],
    body: creationSchema(fields),
    response: resource.Answer,
    handle(call) {
      call.allow(null)
      return resource.add(call, checkLines(readCreation(fields, call.body, call.version)))
    },
  }),
  endpoint({
    id: 'inspectionRule.deleteAll',
    method: 'DELETE',
    path,
    from,
    below: 405,
    status: 204,
    policy: ['baremetal:inspection_rule:delete'],
    response: null,
    async handle(call) {
      call.allow(null)
      await resource.removeAll(call)
      return undefined
    },
  }),
  endpoint({
    id: 'inspectionRule.get',
    method: 'GET',
    path: one,
    from,
    status: 200,
    policy: ['baremetal:inspection_rule:get'],
    query: { fields: choosing.fields },
    response: resource.Answer,
    handle(call) {
      call.allow(null)
      return resource.show(call, call.params.rule_uuid, resource.selection(call, call.query.fields))
    },
  }),
  endpoint({
    id: 'inspectionRule.update',
    method: 'PATCH',
    path: one,
    from,
    below: 405,
    status: 200,
    policy: ['baremetal:inspection_rule:update'],
    body: JsonPatch,
    response: resource.Answer,
    async handle(call) {
      call.allow(null)
      const operations = readPatch(fields, call.body, call.version)
      const { uuid } = await resource.find(call, call.params.rule_uuid)
      await resource.patch(call, uuid, found => {
        const changed = applyPatch(fields, found, operations)
        if (found.sensitive && changed.sensitive === false) {
          throw new InvalidInput(`Cannot unset sensitive: inspection rule ${uuid} would show what it hides`)
        }
        return checkLines(changed)
      })
      return resource.show(call, uuid)
    },
  }),
  endpoint({
    id: 'inspectionRule.delete',
    method: 'DELETE',
    path: one,
    from,
    below: 405,
    status: 204,
    policy: ['baremetal:inspection_rule:delete'],
    response: null,
    async handle(call) {
      call.allow(null)
      await resource.remove(call, call.params.rule_uuid)
      return undefined
    },
  }),
]
