/** Portgroups: ports of a node that act as one. Source: REST API reference, "Portgroups". */
import { findNode, type Node } from '#db/nodes.ts'
import { ofNode, ofNodes, ofProject } from '#db/port-rows.ts'
import { memberPorts, portgroupTable, writeMembersNetwork } from '#db/portgroups.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { portgroupFields as fields } from '#protocol/portgroup.ts'
import { choosing, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { holding, mustFindNamedNode, mustFindNextNode, mustFindNode } from '../find-node.ts'
import { selfAndBookmark } from '../links.ts'
import { ident, list, mac, type ValuesOf } from '../parameters.ts'
import { applyPatch, changedNames, JsonPatch, type Operation, readPatch } from '../patch.ts'
import { listScope, seesNode } from '../policy/access.ts'
import { checkObjectName, resourceOf } from '../resource.ts'
import type { Selection } from '../view.ts'
import { checkPortgroupChanges } from './portgroup-rules.ts'

const resource = resourceOf({
  table: portgroupTable,
  fields,
  noun: 'Portgroup',
  key: 'portgroups',
  path: '/portgroups',
  short: ['uuid', 'address', 'name', 'links'],
  computed: {
    ports: { columns: ['uuid'], print: ({ uuid }, { base }) => selfAndBookmark(base, `/portgroups/${uuid}/ports`) },
  },
})
const { view } = resource

const filters = {
  node: ident({}),
  address: mac({}),
  shard: list({ from: '1.106', doc: 'of the node' }),
  conductor_groups: list({ doc: 'of the node' }),
}
type Query = ValuesOf<typeof filters> & ValuesOf<typeof paging>

async function listPortgroups(call: Call<unknown, Query>, selection: Selection): Promise<Answer> {
  const project = listScope(call, 'portgroup')
  const { node, address, shard, conductor_groups: groups } = call.query
  if ([node, address, shard, groups].filter(one => one !== undefined).length > 1) {
    throw new InvalidInput('Cannot list portgroups by more than one of node, address, shard and conductor_groups')
  }
  const node_uuid = node === undefined ? undefined : (await mustFindNode(call, node)).uuid
  const visible = project === undefined ? undefined : ofProject('portgroups', project)
  const where = [
    ...(shard ? [ofNodes('portgroups', 'lower(shard)', shard)] : []),
    ...(groups ? [ofNodes('portgroups', 'conductor_group', groups)] : []),
  ]
  return resource.list(call, selection, { equal: { node_uuid, address }, where, visible })
}

/** The portgroup of a path and its node. @throws NotFound */
async function mustFind(call: Call<{ portgroup_ident: string }>) {
  const found = await resource.find(call, call.params.portgroup_ident)
  const node = await findNode(call.db, found.node_uuid)
  if (!node || !seesNode(call, node)) throw new NotFound(`Portgroup ${call.params.portgroup_ident} could not be found.`)
  call.allow(node)
  return { found, node }
}

const attempt = 'Cannot give the portgroup to node'

async function createPortgroup(call: Call): Promise<Answer> {
  const values = readCreation(fields, call.body as Readonly<Record<string, unknown>>, call.version) // an object by its schema
  checkObjectName('portgroup', values.name)
  const node = await mustFindNamedNode(call, String(values.node_uuid), attempt)
  return resource.add(call, {
    ...values,
    address: lower(values.address),
    mode: values.mode ?? call.config.DEFAULT.default_portgroup_mode,
    node_uuid: node.uuid,
  })
}

function lower(address: unknown): unknown {
  return typeof address === 'string' ? address.toLowerCase() : address
}

async function patchPortgroup(call: Call<{ portgroup_ident: string }, unknown, JsonPatch>): Promise<Answer> {
  const operations = readPatch(fields, call.body, call.version)
  const { found, node } = await mustFind(call)
  // What cannot be is refused before the node is waited for; under the lease all of it is checked again.
  const foreseen = await planPatch(call, found.uuid, node, operations)
  if (Object.keys(foreseen).length === 0) return resource.show(call, found.uuid)
  const told = `change ${changedNames(foreseen)} of portgroup ${found.uuid}`
  await holding(call, node, { purpose: 'update portgroup', told }, async held => {
    const changed = await planPatch(call, found.uuid, held.node, operations)
    await call.db.transaction().execute(async trx => {
      await resource.change({ ...call, db: trx }, found.uuid, changed)
      if ('physical_network' in changed) {
        await writeMembersNetwork(trx, found.uuid, changed.physical_network as string | null, call.clock.now()) // by its schema
      }
    })
  })
  return resource.show(call, found.uuid)
}

async function planPatch(call: Call, uuid: string, node: Node, operations: readonly Operation[]) {
  if (operations.some(one => one.op === 'remove' && one.root === 'mode' && one.rest.length === 0)) {
    throw new InvalidInput('Cannot remove mode: a portgroup always has one')
  }
  const changed = applyPatch(fields, await resource.find(call, uuid), operations)
  checkObjectName('portgroup', changed.name)
  if ('address' in changed) changed.address = lower(changed.address)
  const members = await memberPorts(call.db, uuid)
  checkPortgroupChanges({ uuid, node, members, changed }, call.version)
  if (typeof changed.node_uuid === 'string') {
    changed.node_uuid = (await mustFindNextNode(call, changed.node_uuid, { from: node, attempt })).uuid
  }
  return changed
}

async function removePortgroup(call: Call<{ portgroup_ident: string }>): Promise<undefined> {
  const { found, node } = await mustFind(call)
  const checkEmpty = async () => {
    const [port] = await memberPorts(call.db, found.uuid)
    if (port) throw new InvalidInput(`Cannot delete portgroup ${found.uuid}: port ${port.uuid} belongs to it`)
  }
  await checkEmpty()
  const action = { purpose: 'delete portgroup', told: `delete portgroup ${found.uuid}` }
  await holding(call, node, action, async () => {
    await checkEmpty()
    await resource.remove(call, found.uuid)
  })
}

const path = '/v1/portgroups'
const one = `${path}/{portgroup_ident}` as const
const below = '/v1/nodes/{node_ident}/portgroups'
const listPolicy = ['baremetal:portgroup:list_all', 'baremetal:portgroup:list']

export const portgroups: readonly Endpoint[] = [
  endpoint({
    id: 'portgroup.list',
    method: 'GET',
    path,
    from: '1.23',
    status: 200,
    policy: listPolicy,
    query: { ...paging, ...filters, ...choosing },
    response: resource.List,
    handle: call => listPortgroups(call, selectionOf(call, call.query, view)),
  }),
  endpoint({
    id: 'portgroup.listDetail',
    method: 'GET',
    path: `${path}/detail`,
    from: '1.23',
    status: 200,
    policy: listPolicy,
    query: { ...paging, ...filters },
    response: resource.List,
    handle: call => listPortgroups(call, view.full(call.version)),
  }),
  endpoint({
    id: 'portgroup.create',
    method: 'POST',
    path,
    from: '1.23',
    status: 201,
    policy: ['baremetal:portgroup:create'],
    body: creationSchema(fields),
    response: resource.Answer,
    handle: createPortgroup,
  }),
  endpoint({
    id: 'portgroup.get',
    method: 'GET',
    path: one,
    from: '1.23',
    status: 200,
    policy: ['baremetal:portgroup:get'],
    query: { fields: choosing.fields },
    response: resource.Answer,
    async handle(call) {
      const selection = resource.selection(call, call.query.fields)
      const { found } = await mustFind(call)
      return resource.show(call, found.uuid, selection)
    },
  }),
  endpoint({
    id: 'portgroup.update',
    method: 'PATCH',
    path: one,
    from: '1.23',
    status: 200,
    policy: ['baremetal:portgroup:update'],
    body: JsonPatch,
    response: resource.Answer,
    handle: patchPortgroup,
  }),
  endpoint({
    id: 'portgroup.delete',
    method: 'DELETE',
    path: one,
    from: '1.23',
    status: 204,
    policy: ['baremetal:portgroup:delete'],
    response: null,
    handle: removePortgroup,
  }),
  endpoint({
    id: 'node.listPortgroups',
    method: 'GET',
    path: below,
    from: '1.24',
    status: 200,
    policy: listPolicy,
    query: { ...paging, ...choosing },
    response: resource.List,
    async handle(call) {
      const { uuid } = await mustFindNode(call, call.params.node_ident)
      return resource.list(call, selectionOf(call, call.query, view), { visible: ofNode('portgroups', uuid) })
    },
  }),
  endpoint({
    id: 'node.listPortgroupsDetail',
    method: 'GET',
    path: `${below}/detail`,
    from: '1.24',
    status: 200,
    policy: listPolicy,
    query: paging,
    response: resource.List,
    async handle(call) {
      const { uuid } = await mustFindNode(call, call.params.node_ident)
      return resource.list(call, view.full(call.version), { visible: ofNode('portgroups', uuid) })
    },
  }),
]
