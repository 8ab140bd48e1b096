/**
 * Runbooks: steps under a name, for cleaning and servicing, owned by a project or public. They are kept and shown here;
 * running them is the conductor's part. Source: REST API reference, "Runbooks".
 */
import { type SqlBool, sql } from 'kysely'
import { Type } from 'typebox'
import { objectTable } from '#db/objects.ts'
import { InvalidInput } from '#lib/fault.ts'
import { runbookFields as fields } from '#protocol/runbook.ts'
import { isTrait } from '#protocol/trait.ts'
import { choosing, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { boolean } from '../parameters.ts'
import { applyPatch, JsonPatch, type Operation, readPatch } from '../patch.ts'
import { demand, demandSteps, listScope, ownProject } from '../policy/access.ts'
import { checkObjectName, resourceOf } from '../resource.ts'
import { checkNoBody, readTraits, TraitsBody } from './node-traits.ts'
import { readSteps } from './stored-steps.ts'

/** Runbooks, for their own endpoints and for the verbs that use one. */
export const runbookResource = resourceOf({
  table: objectTable({ table: 'runbooks', fields, noun: 'runbook' }),
  fields,
  noun: 'Runbook',
  key: 'runbooks',
  path: '/runbooks',
  short: ['uuid', 'name', 'links'],
})

type Named = Call<{ runbook_ident: string }>
type Step = { readonly interface: string; readonly step: string }

/** The runbook of a path, which the caller may see or change. @throws NotFound, Forbidden */
async function mustFind(call: Named) {
  const found = await runbookResource.find(call, call.params.runbook_ident)
  call.allow({ of: 'runbook', owner: found.owner })
  return found
}

/** A project makes runbooks for itself alone. @throws InvalidInput */
function owned(call: Call, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const project = ownProject(call)
  if (project === undefined) return { ...values }
  if (values.owner !== null && values.owner !== project) {
    throw new InvalidInput(`Cannot create a runbook for another project: expected the caller's own, ${project}`)
  }
  if (values.public === true) throw new InvalidInput('Cannot create a public runbook for a project')
  return { ...values, owner: project }
}

/** The policies that a patch needs, all of them. */
function patchPolicies(operations: readonly Operation[]): ReadonlySet<string> {
  if (operations.length === 0) return new Set(update)
  return new Set(
    operations.map(({ root }) =>
      root === 'owner' || root === 'public' ? `baremetal:runbook:update:${root}` : 'baremetal:runbook:update',
    ),
  )
}

/** Values in their stored form. @throws InvalidInput */
function checked(call: Pick<Call, 'version'>, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { name, steps } = values
  if (call.version >= 112) checkObjectName('runbook', name)
  else if (typeof name === 'string' && !isTrait(name)) {
    throw new InvalidInput(
      `Cannot name a runbook ${JSON.stringify(name)}: expected a trait, such as CUSTOM_X, in versions below 1.112`,
    )
  }
  return steps === undefined ? { ...values } : { ...values, steps: readSteps(steps, 'order') }
}

const ownedAndPublic = () =>
  new InvalidInput('Cannot set owner: the runbook is public, and a public runbook has no owner')

/** What a patch of a runbook writes. @throws InvalidInput, Forbidden */
function plan(
  call: Named,
  found: Awaited<ReturnType<typeof mustFind>>,
  operations: readonly Operation[],
): Record<string, unknown> {
  const changed = checked(call, applyPatch(fields, found, operations))
  if (changed.steps !== undefined) demandSteps(call, changed.steps as Step[], null) // by its schema
  const isPublic = changed.public ?? found.public
  if (isPublic === true && typeof changed.owner === 'string') throw ownedAndPublic()
  return changed.public === true ? { ...changed, owner: null } : changed
}

/** Writes other traits. */
async function changeTraits(call: Named, next: (now: readonly string[]) => string[]): Promise<undefined> {
  const { uuid } = await mustFind(call)
  await runbookResource.patch(call, uuid, ({ traits }) => ({ traits: next(traits) }))
}

const path = '/v1/runbooks'
const one = `${path}/{runbook_ident}` as const
const traits = `${one}/traits` as const
const update = ['baremetal:runbook:update']

export const runbooks: readonly Endpoint[] = [
  endpoint({
    id: 'runbook.list',
    method: 'GET',
    path,
    from: '1.92',
    status: 200,
    policy: ['baremetal:runbook:list_all', 'baremetal:runbook:list'],
    query: {
      ...paging,
      fields: choosing.fields,
      detail: boolean({ doc: 'true: all fields' }),
      project: boolean({ doc: 'taken for the sake of clients, without effect' }),
    },
    response: runbookResource.List,
    handle(call) {
      const project = listScope(call, 'runbook')
      const visible =
        project === undefined ? undefined : sql<SqlBool>`(runbooks.owner = ${project} or runbooks.public = 1)`
      return runbookResource.list(call, selectionOf(call, call.query, runbookResource.view), { visible })
    },
  }),
  endpoint({
    id: 'runbook.create',
    method: 'POST',
    path,
    from: '1.92',
    below: 405,
    status: 201,
    policy: ['baremetal:runbook:create'],
    body: creationSchema(fields),
    response: runbookResource.Answer,
    handle(call) {
      call.allow(null)
      const values = owned(call, checked(call, readCreation(fields, call.body, call.version)))
      if (values.public === true && values.owner !== null) throw ownedAndPublic()
      demandSteps(call, values.steps as Step[], null) // by its schema
      return runbookResource.add(call, values)
    },
  }),
  endpoint({
    id: 'runbook.get',
    method: 'GET',
    path: one,
    from: '1.92',
    status: 200,
    policy: ['baremetal:runbook:get'],
    query: { fields: choosing.fields },
    response: runbookResource.Answer,
    async handle(call) {
      const selection = runbookResource.selection(call, call.query.fields)
      const found = await runbookResource.find(call, call.params.runbook_ident)
      if (!found.public) call.allow({ of: 'runbook', owner: found.owner })
      return runbookResource.show(call, found.uuid, selection)
    },
  }),
  endpoint({
    id: 'runbook.update',
    method: 'PATCH',
    path: one,
    from: '1.92',
    below: 405,
    status: 200,
    policy: [...update, 'baremetal:runbook:update:owner', 'baremetal:runbook:update:public'],
    body: JsonPatch,
    response: runbookResource.Answer,
    async handle(call) {
      const operations = readPatch(fields, call.body, call.version)
      const { uuid } = await runbookResource.find(call, call.params.runbook_ident)
      await runbookResource.patch(call, uuid, found => {
        for (const policy of patchPolicies(operations)) demand(call, [policy], { of: 'runbook', owner: found.owner })
        return plan(call, found, operations)
      })
      return runbookResource.show(call, uuid)
    },
  }),
  endpoint({
    id: 'runbook.delete',
    method: 'DELETE',
    path: one,
    from: '1.92',
    below: 405,
    status: 204,
    policy: ['baremetal:runbook:delete'],
    response: null,
    async handle(call) {
      const { uuid } = await mustFind(call)
      await runbookResource.remove(call, uuid)
      return undefined
    },
  }),
  endpoint({
    id: 'runbook.listTraits',
    method: 'GET',
    path: traits,
    from: '1.112',
    status: 200,
    policy: ['baremetal:runbook:get'],
    response: TraitsBody,
    async handle(call) {
      const found = await mustFind(call)
      return { json: JSON.stringify({ traits: found.traits }) }
    },
  }),
  endpoint({
    id: 'runbook.setTraits',
    method: 'PUT',
    path: traits,
    from: '1.112',
    status: 204,
    policy: update,
    body: TraitsBody,
    response: null,
    handle(call) {
      const next = readTraits(call.body.traits)
      return changeTraits(call, () => next)
    },
  }),
  endpoint({
    id: 'runbook.addTrait',
    method: 'PUT',
    path: `${traits}/{trait}`,
    from: '1.112',
    status: 204,
    policy: update,
    body: Type.Unknown(),
    response: null,
    async handle(call) {
      const { trait, runbook_ident: runbook } = call.params
      checkNoBody(call.body)
      await changeTraits(call, now => readTraits([...now, trait]))
      return { location: `${call.links.base}/v1/runbooks/${runbook}/traits/${trait}` }
    },
  }),
  endpoint({
    id: 'runbook.removeAllTraits',
    method: 'DELETE',
    path: traits,
    from: '1.112',
    status: 204,
    policy: update,
    response: null,
    handle: call => changeTraits(call, () => []),
  }),
  endpoint({
    id: 'runbook.removeTrait',
    method: 'DELETE',
    path: `${traits}/{trait}`,
    from: '1.112',
    status: 204,
    policy: update,
    response: null,
    // One that is absent counts as removed, unlike with nodes.
    handle: call => changeTraits(call, now => now.filter(trait => trait !== call.params.trait)),
  }),
]
