/**
 * Allocations: wishes for a node. The API stores them; a conductor finds the node. Where the wish names the node
 * (backfill), it is bound here, under the node's lease.
 *
 * Source: REST API reference, "Allocations".
 */
import { randomUUID } from 'node:crypto'
import { Type } from 'typebox'
import { findAllocationRow, listAllocationRows } from '#db/allocation-rows.ts'
import {
  type Allocation,
  allocationOfNode,
  deleteUnbound,
  findAllocation,
  insertAllocation,
  replaceAllocation,
} from '#db/allocations.ts'
import { findNodeRows } from '#db/node-rows.ts'
import type { Node } from '#db/nodes.ts'
import { Conflict, InvalidInput, NotFound } from '#lib/fault.ts'
import { allocationFields } from '#protocol/allocation.ts'
import { timestamp } from '#protocol/field.ts'
import { type Collection, listJson, listSchema, pageOf, paging } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { candidates, mustSeeNode } from '../find-node.ts'
import { escaped, selfAndBookmark } from '../links.ts'
import { ident, list, text, type ValuesOf } from '../parameters.ts'
import { applyPatch, JsonPatch, readPatch } from '../patch.ts'
import { demand, listScope, ownProject, seesNode } from '../policy/access.ts'
import type { Target } from '../policy/policy.ts'
import { answerSchema } from '../schemas.ts'
import { untilWritten } from '../until-written.ts'
import { type Selection, type ViewContext, viewOf } from '../view.ts'
import { checkAllocationName, checkBackfill, checkRelease } from './allocation-rules.ts'
import { readTraits } from './node-traits.ts'
import { maskerFor, ownership } from './node-view.ts'

const AllocationAnswer = answerSchema(allocationFields)

const allocationView = viewOf({
  fields: allocationFields,
  key: 'uuid',
  short: [],
  computed: {
    links: { columns: ['uuid'], print: ({ uuid }, { base }) => selfAndBookmark(base, `/allocations/${uuid}`) },
  },
})
const collection: Collection = { key: 'allocations', view: allocationView, marker: 'uuid' }

const choosing = { fields: list({}) }
const filters = {
  node: ident({}),
  resource_class: text({}),
  state: text({}),
  owner: text({ from: '1.60' }),
}
type Query = ValuesOf<typeof filters> & ValuesOf<typeof paging> & ValuesOf<typeof choosing>

function chosen(call: Pick<Call, 'version'>, fields: readonly string[] | undefined): Selection {
  return fields === undefined ? allocationView.full(call.version) : allocationView.chosen(fields, call.version)
}

function contextOf(call: Pick<Call, 'links' | 'conductor'>): ViewContext {
  return { base: escaped(call.links.base), masker: maskerFor(call.conductor.secretKeys()) }
}

async function listThem(call: Call<unknown, Query>): Promise<Answer> {
  const { node, resource_class, state, fields } = call.query
  const owner = listScope(call, 'allocation', call.query.owner) ?? call.query.owner
  const page = pageOf(call, call.query, allocationView)
  const selection = chosen(call, fields)
  const node_uuid = node === undefined ? undefined : (await namedNode(call, node)).uuid
  const paged = await listAllocationRows(call.db, selection.own, { node_uuid, resource_class, state, owner }, page)
  return { json: listJson(call, collection, selection, contextOf(call), paged, page) }
}

/**
 * UUIDs of the candidates that a body names, each once, however many in one statement.
 * @throws InvalidInput for one that the caller may not know of
 */
async function candidatesOf(call: Call, named: readonly string[]): Promise<string[]> {
  const spelt = named.map(ident => ({ ident, spellings: candidates(ident, call.version, 5) }))
  const all = [...new Set(spelt.flatMap(one => one.spellings))]
  const known = new Map<unknown, string>()
  for (const row of await findNodeRows(call.db, ['uuid', 'name', 'owner', 'lessee'], all)) {
    if (!seesNode(call, ownership(row))) continue
    for (const ident of [row.uuid, row.name]) known.set(ident, String(row.uuid))
  }
  const uuids = spelt.map(({ ident, spellings }) => {
    const [uuid] = spellings.flatMap(spelling => known.get(spelling) ?? [])
    return uuid ?? refuseNode(ident)
  })
  return [...new Set(uuids)]
}

/** @throws InvalidInput always: a wrong node is the fault of the body or the query that names it, not of the path */
function refuseNode(named: string): never {
  throw new InvalidInput(`Cannot use node ${named}: it could not be found`)
}

/** A node that a body or a query names. @throws InvalidInput */
async function namedNode(call: Call, named: string): Promise<Node> {
  try {
    return await mustSeeNode(call, named)
  } catch (error) {
    if (error instanceof NotFound) refuseNode(named)
    throw error
  }
}

async function create(call: Call): Promise<Answer> {
  const { node: named = null, ...body } = call.body as Readonly<Record<string, unknown>> // an object by its schema
  const { version, db, conductor } = call
  call.allow(null)
  if (named !== null && version < 58) throw new InvalidInput('Naming the node of an allocation needs version 1.58')
  const values = readCreation(allocationFields, body, version)
  checkAllocationName(values.name)
  values.traits = readTraits(values.traits as string[]) // by its schema
  if (named === null && values.resource_class === null) {
    throw new InvalidInput('Cannot create an allocation: expected a resource_class, or a node')
  }
  values.owner = ownerOf(call, values.owner as string | null) // by its schema
  const node = named === null ? undefined : await namedNode(call, String(named))
  const candidate_nodes = await candidatesOf(call, values.candidate_nodes as string[]) // by its schema
  const allocation = {
    ...values,
    candidate_nodes,
    uuid: values.uuid ?? node?.instance_uuid ?? randomUUID(),
    created_at: timestamp(call.clock.now()),
  } as Parameters<typeof insertAllocation>[1] // readCreation gave every column a value that fits its field
  if (node) await backfill(call, node, allocation)
  else await insertAllocation(db, allocation)
  const json = await allocationJson(call, allocation.uuid)
  if (!node) conductor.allocate(allocation.uuid)
  return { json, location: `${call.links.base}/v1/allocations/${allocation.uuid}` }
}

/** Whose the allocation becomes. @throws Forbidden */
function ownerOf(call: Call, wanted: string | null): string | null {
  const project = ownProject(call)
  if (project === undefined || wanted === project) return wanted
  if (wanted === null) return project
  demand(call, ['baremetal:allocation:create_restricted'], null)
  return wanted
}

/** Gives a node that is in use already to its allocation. */
async function backfill(call: Call, node: Node, allocation: Parameters<typeof insertAllocation>[1]): Promise<void> {
  const { db, conductor } = call
  const { uuid } = allocation
  checkBackfill(node, allocation)
  await conductor.withNode(node.uuid, 'allocation', async held => {
    checkBackfill(held.node, allocation)
    const other = await allocationOfNode(db, node.uuid)
    if (other) throw new Conflict(`Cannot allocate node ${node.uuid} to ${uuid}: allocation ${other.uuid} has it`)
    // A stop between the two leaves an instance without allocation: what it was before, or what the next try takes up.
    if (held.node.instance_uuid === null) await held.write({ instance_uuid: uuid })
    const { resource_class } = held.node
    await insertAllocation(db, { ...allocation, resource_class, node_uuid: node.uuid, state: 'active' })
  })
}

async function allocationJson(call: Call, uuid: string, selection = chosen(call, undefined)): Promise<string> {
  const row = await findAllocationRow(call.db, selection.own, uuid)
  if (!row) throw new NotFound(`Allocation ${uuid} could not be found.`)
  return selection.print(row, contextOf(call))
}

async function mustFind(call: Call<{ allocation_ident: string }>): Promise<Allocation> {
  const { allocation_ident: named } = call.params
  for (const one of candidates(named, call.version, 1)) {
    const found = await findAllocation(call.db, one)
    if (!found || !call.may('baremetal:allocation:get', targetOf(found))) continue
    call.allow(targetOf(found))
    return found
  }
  throw new NotFound(`Allocation ${named} could not be found.`)
}

async function mustFindOfNode(call: Call<{ node_ident: string }>): Promise<Allocation> {
  const node = await mustSeeNode(call, call.params.node_ident)
  const found = await allocationOfNode(call.db, node.uuid)
  if (!found) throw new NotFound(`Node ${node.uuid} has no allocation`)
  call.allow(targetOf(found))
  return found
}

function targetOf({ owner }: Allocation): Target {
  return { of: 'allocation', owner }
}

async function patchIt(call: Call<{ allocation_ident: string }, unknown, JsonPatch>): Promise<Answer> {
  const operations = readPatch(allocationFields, call.body, call.version)
  const found = await mustFind(call)
  await untilWritten(`allocation ${found.uuid}`, async () => {
    const now = await findAllocation(call.db, found.uuid)
    if (!now) throw new NotFound(`Allocation ${found.uuid} could not be found.`)
    const changed = applyPatch(allocationFields, now as unknown as Record<string, unknown>, operations) // its fields are its columns
    checkAllocationName(changed.name)
    return Object.keys(changed).length === 0 || replaceAllocation(call.db, now, changed, call.clock.now())
  })

  return { json: await allocationJson(call, found.uuid) }
}

/** Deletes an allocation and takes the node back that it has. */
async function remove(call: Call, allocation: Allocation): Promise<undefined> {
  const { db, conductor } = call
  if (allocation.node_uuid === null && (await deleteUnbound(db, allocation.uuid))) return
  // It had a node, or has got one meanwhile.
  const now = await findAllocation(db, allocation.uuid)
  if (!now || now.node_uuid === null) throw new NotFound(`Allocation ${allocation.uuid} could not be found.`)
  await conductor.withNode(now.node_uuid, 'allocation', async held => {
    // Somebody else may have deleted it meanwhile, and another have got the node.
    if (held.node.instance_uuid !== now.uuid) throw new NotFound(`Allocation ${now.uuid} could not be found.`)
    checkRelease(held.node)
    // The allocation goes with it.
    await held.write({ instance_uuid: null })
  })
}

export const allocations: readonly Endpoint[] = [
  endpoint({
    id: 'allocation.list',
    method: 'GET',
    path: '/v1/allocations',
    from: '1.52',
    status: 200,
    policy: ['baremetal:allocation:list_all', 'baremetal:allocation:list'],
    query: { ...paging, ...filters, ...choosing },
    response: listSchema('allocations', AllocationAnswer),
    handle: listThem,
  }),
  endpoint({
    id: 'allocation.create',
    method: 'POST',
    path: '/v1/allocations',
    from: '1.52',
    below: 405,
    status: 201,
    policy: ['baremetal:allocation:create', 'baremetal:allocation:create_restricted'],
    body: creationSchema(allocationFields, { extra: { node: { from: '1.58', schema: Type.String() } } }),
    response: AllocationAnswer,
    handle: create,
  }),
  endpoint({
    id: 'allocation.get',
    method: 'GET',
    path: '/v1/allocations/{allocation_ident}',
    from: '1.52',
    status: 200,
    policy: ['baremetal:allocation:get'],
    query: choosing,
    response: AllocationAnswer,
    async handle(call) {
      const selection = chosen(call, call.query.fields)
      return { json: await allocationJson(call, (await mustFind(call)).uuid, selection) }
    },
  }),
  endpoint({
    id: 'allocation.update',
    method: 'PATCH',
    path: '/v1/allocations/{allocation_ident}',
    from: '1.57',
    below: 405,
    status: 200,
    policy: ['baremetal:allocation:update'],
    body: JsonPatch,
    response: AllocationAnswer,
    handle: patchIt,
  }),
  endpoint({
    id: 'allocation.delete',
    method: 'DELETE',
    path: '/v1/allocations/{allocation_ident}',
    from: '1.52',
    below: 405,
    status: 204,
    policy: ['baremetal:allocation:delete'],
    response: null,
    handle: async call => remove(call, await mustFind(call)),
  }),
  endpoint({
    id: 'node.getAllocation',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/allocation',
    from: '1.52',
    status: 200,
    policy: ['baremetal:allocation:get'],
    query: choosing,
    response: AllocationAnswer,
    async handle(call) {
      const selection = chosen(call, call.query.fields)
      return { json: await allocationJson(call, (await mustFindOfNode(call)).uuid, selection) }
    },
  }),
  endpoint({
    id: 'node.deleteAllocation',
    method: 'DELETE',
    path: '/v1/nodes/{node_ident}/allocation',
    from: '1.52',
    status: 204,
    policy: ['baremetal:allocation:delete'],
    response: null,
    handle: async call => remove(call, await mustFindOfNode(call)),
  }),
]
