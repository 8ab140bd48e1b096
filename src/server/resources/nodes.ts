/**
 * Nodes: list, create, show, patch, delete, validate, children, inventory. What needs more room has a file of its own
 * beside this one: node-list.ts, node-patch.ts, node-rules.ts, node-view.ts; the states are in node-states.ts.
 */
import { randomUUID } from 'node:crypto'
import { type TSchema, Type } from 'typebox'
import { findNodeRow, listNodeRows } from '#db/node-rows.ts'
import { insertNode } from '#db/nodes.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { Nullable, timestamp } from '#protocol/field.ts'
import { interfaceTypes } from '#protocol/interfaces.ts'
import { Link, nodeFields } from '#protocol/node.ts'
import { choosing, listSchema, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { candidates, mustFindNode, mustSeeNode } from '../find-node.ts'
import { boolean, ident, uuid } from '../parameters.ts'
import { JsonPatch } from '../patch.ts'
import { demand, listScope, ownProject, seesNode } from '../policy/access.ts'
import { listNodes, nodeFilters } from './node-list.ts'
import { patchNode } from './node-patch.ts'
import { allPatchPolicies } from './node-patch-policies.ts'
import { checkChassis, parentOf } from './node-references.ts'
import { checkBootMode, checkDeletable, checkName, checkValues, interfaceFields } from './node-rules.ts'
import { NodeAnswer, nodeContext, nodeJson, nodeView, ownership } from './node-view.ts'

async function showNode(
  call: Call<{ node_ident: string }, { fields?: readonly string[] | undefined }>,
): Promise<Answer> {
  const { version, query, params } = call
  const selection = query.fields === undefined ? nodeView.full(version) : nodeView.chosen(query.fields, version)
  const context = await nodeContext(call, selection)
  for (const one of candidates(params.node_ident, version, 5)) {
    const row = await findNodeRow(call.db, selection, one)
    if (!row || !seesNode(call, ownership(row))) continue
    call.allow(ownership(row))
    return { json: selection.print(row, context) }
  }
  throw new NotFound(`Node ${params.node_ident} could not be found.`)
}

async function createNode(call: Call): Promise<Answer> {
  const body = call.body as Readonly<Record<string, unknown>> // an object by its schema
  const { config, version } = call
  checkBootMode(body, config.api.disallowed_enrollment_boot_modes)
  const selfOwned = config.api.project_admin_can_manage_own_nodes
  demand(call, selfOwned ? createPolicies : ['baremetal:node:create'], null)
  const values = readCreation(nodeFields, body, version)
  checkName(values.name, version)
  const project = ownProject(call)
  if (project !== undefined && selfOwned) {
    if (values.owner !== null && values.owner !== project) {
      throw new InvalidInput(`Cannot create a node for project ${values.owner}: expected the caller's own, ${project}`)
    }
    values.owner = project
  }
  checkValues(values)
  checkReasons(values)
  values.conductor_group = String(values.conductor_group || config.DEFAULT.default_conductor_group).toLowerCase()
  values.resource_class ??= config.DEFAULT.default_resource_class
  await checkChassis(call, values.chassis_uuid)
  values.parent_node = await parentOf(call, values.parent_node, values.owner as string | null) // by its schema
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

const createPolicies = ['baremetal:node:create', 'baremetal:node:create:self_owned_node']
const deletePolicies = ['baremetal:node:delete', 'baremetal:node:delete:self_owned_node']

async function deleteNode(call: Call<{ node_ident: string }>): Promise<undefined> {
  const node = await mustSeeNode(call, call.params.node_ident)
  const policies = call.config.api.project_admin_can_manage_own_nodes ? deletePolicies : ['baremetal:node:delete']
  demand(call, policies, node)
  const options = { availableToo: call.config.conductor.allow_deleting_available_nodes }
  checkDeletable(node, options)
  await call.conductor.withNode(node.uuid, 'delete', async held => {
    demand(call, policies, held.node)
    checkDeletable(held.node, options)
    await held.delete()
  })
  await call.conductor.portsChanged(node, [])
}

const validated: Record<string, TSchema> = {}
for (const type of interfaceTypes) {
  if (type === 'vendor') continue
  validated[type] = Type.Object({ result: Nullable(Type.Boolean()), reason: Type.Optional(Type.String()) })
}
const ValidateAnswer = Type.Object(validated, { additionalProperties: false })

async function validateNode(call: Call, node: string): Promise<Answer> {
  // Ironic's answer has no word on the vendor interface.
  const { vendor: _, ...interfaces } = await call.conductor.validate(await mustFindNode(call, node), call.caller)
  return { json: JSON.stringify(interfaces) }
}

export const nodes: readonly Endpoint[] = [
  endpoint({
    id: 'node.list',
    method: 'GET',
    path: '/v1/nodes',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:list_all', 'baremetal:node:list'],
    query: { ...paging, ...nodeFilters, ...choosing },
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
    query: { ...paging, ...nodeFilters },
    response: listSchema('nodes', NodeAnswer),
    handle: call => listNodes(call, nodeView.full(call.version)),
  }),
  endpoint({
    id: 'node.create',
    method: 'POST',
    path: '/v1/nodes',
    from: '1.1',
    status: 201,
    policy: createPolicies,
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
    policy: allPatchPolicies,
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
    policy: deletePolicies,
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
      const filters = { parent: node.uuid, project: listScope(call, 'node') }
      const children = await listNodeRows(call.db, { own: ['uuid'], joined: false }, filters, page)
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
      const found = await call.conductor.inventory(node.uuid)
      if (!found) throw new NotFound(`Node ${node.uuid} has no inventory: it was never inspected`)
      const { inventory = {}, plugin_data = {} } = found
      return { json: JSON.stringify({ inventory, plugin_data }) }
    },
  }),
]
