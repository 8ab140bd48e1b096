/**
 * Deploy templates: steps that join a deployment when the instance asks for the trait of the same name. They are kept
 * and shown here; using them is the conductor's part. Source: REST API reference, "Deploy templates".
 */
import { objectTable } from '#db/objects.ts'
import { InvalidInput } from '#lib/fault.ts'
import { deployTemplateFields as fields } from '#protocol/deploy-template.ts'
import { isTrait } from '#protocol/trait.ts'
import { choosing, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { boolean } from '../parameters.ts'
import { applyPatch, JsonPatch, readPatch } from '../patch.ts'
import { resourceOf } from '../resource.ts'
import { readSteps } from './stored-steps.ts'

const { description: _, ...shown } = fields
const resource = resourceOf({
  table: objectTable({ table: 'deploy_templates', fields, noun: 'deploy template' }),
  fields,
  shown,
  noun: 'Deploy template',
  key: 'deploy_templates',
  path: '/deploy_templates',
  short: ['uuid', 'name', 'links'],
})

/** The same values in their stored form. @throws InvalidInput */
function checked(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { name, steps } = values
  if (typeof name === 'string' && !isTrait(name)) {
    throw new InvalidInput(`Cannot name a deploy template ${JSON.stringify(name)}: expected a trait, such as CUSTOM_X`)
  }
  return steps === undefined ? { ...values } : { ...values, steps: readSteps(steps, 'priority') }
}

const path = '/v1/deploy_templates'
const one = `${path}/{template_ident}` as const
const from = '1.55'

export const deployTemplates: readonly Endpoint[] = [
  endpoint({
    id: 'deployTemplate.list',
    method: 'GET',
    path,
    from,
    status: 200,
    policy: ['baremetal:deploy_template:get'],
    query: { ...paging, fields: choosing.fields, detail: boolean({ doc: 'true: all fields' }) },
    response: resource.List,
    handle(call) {
      call.allow(null)
      return resource.list(call, selectionOf(call, call.query, resource.view), {})
    },
  }),
  endpoint({
    id: 'deployTemplate.create',
    method: 'POST',
    path,
    from,
    below: 405,
    status: 201,
    policy: ['baremetal:deploy_template:create'],
    body: creationSchema(fields),
    response: resource.Answer,
    handle(call) {
      call.allow(null)
      return resource.add(call, checked(readCreation(fields, call.body, call.version)))
    },
  }),
  endpoint({
    id: 'deployTemplate.get',
    method: 'GET',
    path: one,
    from,
    status: 200,
    policy: ['baremetal:deploy_template:get'],
    query: { fields: choosing.fields },
    response: resource.Answer,
    async handle(call) {
      call.allow(null)
      const selection = resource.selection(call, call.query.fields)
      const { uuid } = await resource.find(call, call.params.template_ident)
      return resource.show(call, uuid, selection)
    },
  }),
  endpoint({
    id: 'deployTemplate.update',
    method: 'PATCH',
    path: one,
    from,
    below: 405,
    status: 200,
    policy: ['baremetal:deploy_template:update'],
    body: JsonPatch,
    response: resource.Answer,
    async handle(call) {
      call.allow(null)
      const operations = readPatch(fields, call.body, call.version)
      const { uuid } = await resource.find(call, call.params.template_ident)
      await resource.patch(call, uuid, found => checked(applyPatch(fields, found, operations)))
      return resource.show(call, uuid)
    },
  }),
  endpoint({
    id: 'deployTemplate.delete',
    method: 'DELETE',
    path: one,
    from,
    below: 405,
    status: 204,
    policy: ['baremetal:deploy_template:delete'],
    response: null,
    async handle(call) {
      call.allow(null)
      const { uuid } = await resource.find(call, call.params.template_ident)
      await resource.remove(call, uuid)
      return undefined
    },
  }),
]
