/** Nodes: list, create, show, patch, delete, validate, children, inventory. Their states are in node-states.ts. */
import { randomUUID } from 'node:crypto'
import { type TSchema, Type } from 'typebox'
import { findNodeRow, listNodeRows, type NodeFilters } from '#db/node-rows.ts'
import { findInventory, insertNode, type Node, type NodePatch } from '#db/nodes.ts'
import type { RawRow } from '#db/page.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { Nullable, timestamp } from '#protocol/field.ts'
import { interfaceTypes, Link, nodeFields } from '#protocol/node.ts'
import { isProvisionState } from '#protocol/states.ts'
import { type Collection, choosing, listJson, listSchema, pageOf, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { candidates, mustFindNode } from '../find-node.ts'
import { boolean, ident, list, text, uuid, type ValuesOf } from '../parameters.ts'
import { applyPatch, JsonPatch, type Operation, readPatch } from '../patch.ts'
import { answerSchema } from '../schemas.ts'
import type { Selection } from '../view.ts'
import {
  checkBootMode,
  checkChanges,
  checkDeletable,
  checkName,
  checkPatchable,
  checkValues,
  consequences,
  interfaceFields,
} from './node-rules.ts'
import { nodeContext, nodeView } from './node-view.ts'

export const NodeAnswer = answerSchema(nodeFields)
const collection: Collection = { key: 'nodes', view: nodeView, marker: 'uuid' }
const faults = ['power failure', 'clean failure', 'rescue abort failure', 'service failure']

const filters = {
  instance_uuid: uuid({}),
  chassis_uuid: uuid({}),
  associated: boolean({ doc: 'has an instance_uuid, or has none' }),
  maintenance: boolean({}),
  retired: boolean({}),
  provision_state: text({ from: '1.9' }),
  driver: text({ from: '1.16' }),
  resource_class: text({ from: '1.21' }),
  fault: text({ from: '1.42' }),
  conductor_group: text({ from: '1.46' }),
  conductor: text({ from: '1.49' }),
  owner: text({ from: '1.50' }),
  lessee: text({ from: '1.65' }),
  project: text({ doc: 'owner or lessee' }),
  description_contains: text({}),
  shard: list({ from: '1.82' }),
  sharded: boolean({ from: '1.82' }),
  include_children: boolean({ from: '1.83' }),
  parent_node: text({ from: '1.83', doc: 'UUID of the parent' }),
  instance_name: text({ from: '1.104' }),
}
type Query = ValuesOf<typeof filters> & ValuesOf<typeof paging>

async function listNodes(call: Call<unknown, Query>, selection: Selection): Promise<Answer> {
  call.allow(null)
  const { query } = call
  const page = pageOf(call, query, nodeView)
  const filters = filtersOf(query)
  const context = await nodeContext(call, selection)
  const columns = query.conductor === undefined ? selection : withServed(selection)
  const paged = await listNodeRows(call.db, columns, filters, page)
  if (query.conductor !== undefined) {
    // Who serves a node is computed, so a page is thinned out after it was read; `next` still leads to the rest.
    const fleet = await call.fleet.read()
    paged.rows = paged.rows.filter(row => fleet.conductorOf(servedBy(row)) === query.conductor)
  }
  // An instance has one node at most.
  if (query.instance_uuid !== undefined) paged.next = undefined
  return { json: listJson(call, collection, selection, context, paged, page) }
}

/** Also the columns that tell which conductor serves a node. */
function withServed({ own, joined }: Selection): { own: string[]; joined: boolean } {
  return { own: [...new Set([...own, 'driver', 'conductor_group'])], joined }
}

function filtersOf(query: Query): NodeFilters {
  const { provision_state, fault, chassis_uuid } = query
  if (provision_state !== undefined && !isProvisionState(provision_state)) {
    throw new InvalidInput(
      `Cannot filter by provision_state ${JSON.stringify(provision_state)}: there is no such state`,
    )
  }
  if (fault !== undefined && !faults.includes(fault)) {
    throw new InvalidInput(`Cannot filter by fault ${JSON.stringify(fault)}: expected one of ${faults.join(', ')}`)
  }
  if (chassis_uuid !== undefined) throw new NotFound(`Chassis ${chassis_uuid} could not be found.`)
  const flag = (value: boolean | undefined) => (value === undefined ? undefined : Number(value))
  return {
    equal: {
      instance_uuid: query.instance_uuid,
      maintenance: flag(query.maintenance),
      retired: flag(query.retired),
      provision_state,
      driver: query.driver,
      resource_class: query.resource_class,
      fault,
      conductor_group: query.conductor_group?.toLowerCase(),
      owner: query.owner,
      lessee: query.lessee,
      instance_name: query.instance_name,
    },
    associated: query.associated,
    sharded: query.sharded,
    shards: query.shard,
    project: query.project,
    descriptionContains: query.description_contains,
    parent: query.parent_node,
    includeChildren: query.include_children,
  }
}

/** What the choice of a node's conductor depends on. */
function servedBy(row: RawRow) {
  return { uuid: String(row.uuid), driver: String(row.driver), conductor_group: String(row.conductor_group) }
}

/** The full node, as it is now, at the request's version. */
async function nodeJson(call: Call, nodeUuid: string, selection = nodeView.full(call.version)): Promise<string> {
  const context = await nodeContext(call, selection)
  const row = await findNodeRow(call.db, selection, nodeUuid)
  if (!row) throw new NotFound(`Node ${nodeUuid} could not be found.`)
  return selection.print(row, context)
}

async function showNode(
  call: Call<{ node_ident: string }, { fields?: readonly string[] | undefined }>,
): Promise<Answer> {
  const { version, query, params } = call
  const selection = query.fields === undefined ? nodeView.full(version) : nodeView.chosen(query.fields, version)
  const context = await nodeContext(call, selection)
  for (const one of candidates(params.node_ident, version, 5)) {
    const row = await findNodeRow(call.db, selection, one)
    if (!row) continue
    call.allow({ owner: textOrNull(row.owner), lessee: textOrNull(row.lessee) })
    return { json: selection.print(row, context) }
  }
  throw new NotFound(`Node ${params.node_ident} could not be found.`)
}

async function createNode(call: Call): Promise<Answer> {
  const body = call.body as Readonly<Record<string, unknown>> // an object by its schema
  const { config, version } = call
  checkBootMode(body, config.api.disallowed_enrollment_boot_modes)
  call.allow(null)
  const values = readCreation(nodeFields, body, version)
  checkName(values.name, version)
  checkValues(values)
  checkReasons(values)
  values.conductor_group = String(values.conductor_group || config.DEFAULT.default_conductor_group).toLowerCase()
  values.resource_class ??= config.DEFAULT.default_resource_class
  checkChassis(body.chassis_uuid)
  values.parent_node = await parentOf(call, values.parent_node)
  const chosen = Object.fromEntries(interfaceFields.map(name => [name, values[name] as string | null])) // by their schemas
  Object.assign(values, call.conductor.interfacesFor(String(values.driver), chosen))
  const node = {
    ...values,
    uuid: values.uuid ?? randomUUID(),
    created_at: timestamp(call.clock.now()),
    provision_state: version >= 11 ? 'enroll' : 'available',
  } as Parameters<typeof insertNode>[1] // readCreation gave every column a value that fits its field
  await insertNode(call.db, node)
  return { json: await nodeJson(call, node.uuid), location: `${call.links.base}/v1/nodes/${node.uuid}` }
}

function checkReasons(values: Readonly<Record<string, unknown>>): void {
  if (values.retired_reason !== null && values.retired !== true) {
    throw new InvalidInput('Cannot set retired_reason: the node is not retired')
  }
}

function checkChassis(chassis: unknown): void {
  if (chassis === undefined || chassis === null) return
  throw new InvalidInput(`Cannot put the node into chassis ${String(chassis)}: it could not be found`)
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** UUID of the parent that was named by UUID or name. */
async function parentOf(call: Call, parent: unknown): Promise<string | null> {
  if (typeof parent !== 'string') return null
  const selection = nodeView.chosen(['uuid', 'parent_node'], call.version)
  const row = await findNodeRow(call.db, selection, parent)
  if (!row || row.parent_node !== null) {
    throw new InvalidInput(`Cannot use node ${parent} as a parent: it could not be found, or has a parent itself`)
  }
  return String(row.uuid)
}

async function patchNode(
  call: Call<{ node_ident: string }, { reset_interfaces?: boolean | undefined }, JsonPatch>,
): Promise<Answer> {
  const { version, conductor } = call
  const operations = readPatch(nodeFields, call.body, version)
  const resets = call.query.reset_interfaces === true
  if (resets && !operations.some(one => one.root === 'driver')) {
    throw new InvalidInput('Cannot reset interfaces: the patch does not change /driver')
  }
  const node = await mustFindNode(call, call.params.node_ident)
  // What cannot be is refused before the node is waited for; under the lease all of it is checked again.
  const foreseen = await planPatch(call, node, operations, resets)
  if (Object.keys(foreseen).length > 0) {
    await conductor.withNode(node.uuid, 'update', async held => {
      const patch = await planPatch(call, held.node, operations, resets)
      if (Object.keys(patch).length > 0) await held.write(patch)
    })
  }
  return { json: await nodeJson(call, node.uuid) }
}

/** What the patch writes. */
async function planPatch(
  call: Call,
  node: Node,
  operations: readonly Operation[],
  resets: boolean,
): Promise<NodePatch> {
  checkPatchable(node, operations, call.version)
  const changed = applyPatch(nodeFields, { ...node, chassis_uuid: null }, operations)
  checkChassis(changed.chassis_uuid)
  if (typeof changed.parent_node === 'string') changed.parent_node = await parentOf(call, changed.parent_node)
  checkChanges(node, changed, call.version)
  Object.assign(changed, consequences(node, changed))
  const touchesDriver = 'driver' in changed || interfaceFields.some(name => name in changed)
  if (touchesDriver) Object.assign(changed, interfacesAfter(call, node, changed, operations, resets))
  return changed as NodePatch // the changes passed their fields' schemas
}

function interfacesAfter(
  call: Call,
  node: Node,
  changed: Readonly<Record<string, unknown>>,
  operations: readonly Operation[],
  resets: boolean,
): Record<string, string> {
  const named = new Set(operations.map(one => one.root))
  const chosen = interfaceFields.map(name => {
    const kept = resets && !named.has(name) ? null : node[name]
    return [name, name in changed ? (changed[name] as string | null) : kept] as const // by its schema
  })
  const driver = String(changed.driver ?? node.driver)
  const resolved = call.conductor.interfacesFor(driver, Object.fromEntries(chosen))
  return Object.fromEntries(Object.entries(resolved).filter(([name, value]) => node[name as keyof Node] !== value))
}

async function deleteNode(call: Call<{ node_ident: string }>): Promise<undefined> {
  const node = await mustFindNode(call, call.params.node_ident)
  const options = { availableToo: call.config.conductor.allow_deleting_available_nodes }
  checkDeletable(node, options)
  await call.conductor.withNode(node.uuid, 'delete', async held => {
    checkDeletable(held.node, options)
    await held.delete()
  })
  await call.conductor.portsChanged(node, [])
}

const ValidateAnswer = Type.Object(
  Object.fromEntries(
    interfaceTypes.map(type => [
      type,
      Type.Optional(Type.Object({ result: Nullable(Type.Boolean()), reason: Type.Optional(Type.String()) })),
    ]),
  ) as Record<string, TSchema>,
)

async function validateNode(call: Call, node: string): Promise<Answer> {
  return { json: JSON.stringify(await call.conductor.validate(await mustFindNode(call, node))) }
}

export const nodes: readonly Endpoint[] = [
  endpoint({
    id: 'node.list',
    method: 'GET',
    path: '/v1/nodes',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:list_all', 'baremetal:node:list'],
    query: { ...paging, ...filters, ...choosing },
    response: listSchema('nodes', NodeAnswer),
    handle: call => listNodes(call, selectionOf(call, call.query, nodeView)),
  }),
  endpoint({
    id: 'node.listDetail',
    method: 'GET',
    path: '/v1/nodes/detail',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:list_all', 'baremetal:node:list'],
    query: { ...paging, ...filters },
    response: listSchema('nodes', NodeAnswer),
    handle: call => listNodes(call, nodeView.full(call.version)),
  }),
  endpoint({
    id: 'node.create',
    method: 'POST',
    path: '/v1/nodes',
    from: '1.1',
    status: 201,
    policy: ['baremetal:node:create', 'baremetal:node:create:self_owned_node'],
    body: creationSchema(nodeFields),
    response: NodeAnswer,
    handle: createNode,
  }),
  endpoint({
    id: 'node.get',
    method: 'GET',
    path: '/v1/nodes/{node_ident}',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:get'],
    query: { fields: choosing.fields },
    response: NodeAnswer,
    handle: showNode,
  }),
  endpoint({
    id: 'node.update',
    method: 'PATCH',
    path: '/v1/nodes/{node_ident}',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:update'],
    query: { reset_interfaces: boolean({ from: '1.45' }) },
    body: JsonPatch,
    response: NodeAnswer,
    handle: patchNode,
  }),
  endpoint({
    id: 'node.delete',
    method: 'DELETE',
    path: '/v1/nodes/{node_ident}',
    from: '1.1',
    status: 204,
    policy: ['baremetal:node:delete', 'baremetal:node:delete:self_owned_node'],
    response: null,
    handle: deleteNode,
  }),
  endpoint({
    id: 'node.validate',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/validate',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:validate'],
    response: ValidateAnswer,
    handle: call => validateNode(call, call.params.node_ident),
  }),
  endpoint({
    id: 'node.validateByQuery',
    method: 'GET',
    path: '/v1/nodes/validate',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:validate'],
    query: { node: ident({}), node_uuid: uuid({}) },
    response: ValidateAnswer,
    handle(call) {
      const named = call.query.node ?? call.query.node_uuid
      if (named === undefined) throw new InvalidInput('Cannot validate: expected node or node_uuid in the query')
      return validateNode(call, named)
    },
  }),
  endpoint({
    id: 'node.listChildren',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/children',
    from: '1.83',
    status: 200,
    policy: ['baremetal:node:get'],
    response: Type.Object({ children: Type.Array(Type.String()), links: Link }),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const page = { limit: 100_000, sortKey: 'id', descending: false }
      const children = await listNodeRows(call.db, { own: ['uuid'], joined: false }, { parent: node.uuid }, page)
      const links = { href: `${call.links.base}/v1/nodes/${node.uuid}/children`, rel: 'children' }
      return { json: JSON.stringify({ children: children.rows.map(row => row.uuid), links }) }
    },
  }),
  endpoint({
    id: 'node.getInventory',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/inventory',
    from: '1.81',
    status: 200,
    policy: ['baremetal:node:inventory:get'],
    response: Type.Object({
      inventory: Type.Record(Type.String(), Type.Unknown()),
      plugin_data: Type.Record(Type.String(), Type.Unknown()),
    }),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const found = await findInventory(call.db, node.uuid)
      if (!found) throw new NotFound(`Node ${node.uuid} has no inventory: it was never inspected`)
      const { inventory = {}, plugin_data = {} } = found
      return { json: JSON.stringify({ inventory, plugin_data }) }
    },
  }),
]
