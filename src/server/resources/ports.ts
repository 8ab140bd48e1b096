/** Ports: the network interfaces of nodes. Source: REST API reference, "Ports". */
import { randomUUID } from 'node:crypto'
import { Type } from 'typebox'
import { findNode, type Node } from '#db/nodes.ts'
import { findPortRow, listPortRows, type PortFilters } from '#db/port-rows.ts'
import { memberPorts, portgroupTable } from '#db/portgroups.ts'
import {
  AddressTaken,
  deletePort,
  findPort,
  insertPort,
  type Port,
  type PortPatch,
  portsByAddress,
  portsOf,
  updatePort,
} from '#db/ports.ts'
import { Conflict, Forbidden, InvalidInput, NotFound } from '#lib/fault.ts'
import { namePattern, timestamp, uuidPattern } from '#protocol/field.ts'
import { portFields } from '#protocol/port.ts'
import { type Collection, choosing, listJson, listSchema, pageOf, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { NotAcceptable } from '../faults.ts'
import { candidates, holding, mustFindNamedNode, mustFindNextNode, mustFindNode } from '../find-node.ts'
import { escaped, selfAndBookmark } from '../links.ts'
import { ident, list, mac, text, uuid, type ValuesOf } from '../parameters.ts'
import { applyPatch, changedNames, JsonPatch, type Operation, readPatch } from '../patch.ts'
import { listScope, seesNode } from '../policy/access.ts'
import { answerSchema } from '../schemas.ts'
import { type Selection, type ViewContext, viewOf } from '../view.ts'
import { maskerFor } from './node-view.ts'
import { checkPortChanges, checkPortDeletable, checkPortNode, checkPortValues } from './port-rules.ts'
import { checkMembership } from './portgroup-rules.ts'

export const PortAnswer = answerSchema(portFields)

export const portView = viewOf({
  fields: portFields,
  key: 'uuid',
  short: ['uuid', 'address', 'links'],
  computed: {
    links: { columns: ['uuid'], print: ({ uuid }, { base }) => selfAndBookmark(base, `/ports/${uuid}`) },
  },
})
const collection: Collection = { key: 'ports', view: portView, marker: 'uuid' }

const ownFilters = { description_contains: text({}) }
const filters = {
  node: ident({}),
  node_uuid: uuid({}),
  address: mac({}),
  portgroup: ident({ from: '1.24' }),
  shard: list({ from: '1.82' }),
  conductor_groups: list({ doc: 'of the nodes' }),
  ...ownFilters,
}
type Query = Partial<ValuesOf<typeof filters>> & ValuesOf<typeof paging>

async function listPorts(call: Call<unknown, Query>, selection: Selection, below: PortFilters = {}): Promise<Answer> {
  const { query } = call
  const project = listScope(call, 'port')
  const page = pageOf(call, query, portView)
  const wanted = { ...(await filtersOf(call, query)), ...below, project }
  const paged = await listPortRows(call.db, selection.own, wanted, page)
  return { json: listJson(call, collection, selection, contextOf(call), paged, page) }
}

async function filtersOf(call: Call<unknown, Query>, query: Query): Promise<PortFilters> {
  const { node, node_uuid, portgroup, shard, conductor_groups: groups, address } = query
  const named = node ?? node_uuid
  if ([named, portgroup, shard].filter(one => one !== undefined).length > 1) {
    throw new Forbidden('Cannot list ports by more than one of node, portgroup and shard')
  }
  if (groups !== undefined && (named ?? portgroup ?? address) !== undefined) {
    throw new InvalidInput('Cannot list ports by conductor_groups together with node, portgroup or address')
  }
  if (named !== undefined && call.version < 5 && !uuidRegex.test(named)) {
    throw new NotAcceptable('Naming a node by its name needs version 1.5')
  }
  return {
    node: named === undefined ? undefined : (await mustFindNode(call, named)).uuid,
    address,
    portgroup: portgroup === undefined ? undefined : (await mustFindPortgroup(call, portgroup)).uuid,
    shards: shard,
    conductorGroups: groups,
    descriptionContains: query.description_contains,
  }
}

function contextOf(call: Pick<Call, 'links' | 'conductor'>): ViewContext {
  return { base: escaped(call.links.base), masker: maskerFor(call.conductor.secretKeys()) }
}

const uuidRegex = new RegExp(uuidPattern)
const nameRegex = new RegExp(namePattern)

async function portJson(call: Call, portIdent: string, selection = portView.full(call.version)): Promise<string> {
  for (const one of candidates(portIdent, call.version, 1)) {
    const row = await findPortRow(call.db, selection.own, one)
    if (row) return selection.print(row, contextOf(call))
  }
  throw new NotFound(`Port ${portIdent} could not be found.`)
}

async function createPort(call: Call): Promise<Answer> {
  const { node_ident = null, node_uuid = null, ...body } = call.body as Readonly<Record<string, unknown>> // by its schema
  const { version } = call
  if (node_ident !== null && version < 94) throw new NotAcceptable('Setting node_ident needs version 1.94')
  if ((node_ident === null) === (node_uuid === null)) {
    throw new InvalidInput('Cannot create a port: expected exactly one of node_uuid and node_ident')
  }
  const values = readCreation(portFields, { ...body, node_uuid }, version)
  checkName(values.name)
  checkPortValues(values, version)
  const node = await mustFindNamedNode(call, String(node_ident ?? values.node_uuid), 'Cannot attach the port to node')
  await checkPortgroup(call, { ...values, node_uuid: node.uuid })
  const port = {
    ...values,
    uuid: values.uuid ?? randomUUID(),
    address: String(values.address).toLowerCase(),
    node_uuid: node.uuid,
    created_at: timestamp(call.clock.now()),
  } as Parameters<typeof insertPort>[1] // readCreation gave every column a value that fits its field
  await tellingHolder(call, () => insertPort(call.db, port))
  await tellConductor(call, node)
  return { json: await portJson(call, port.uuid), location: `${call.links.base}/v1/ports/${port.uuid}` }
}

/** Writes a port; where its address is taken, callers who may see the port that has it are told which it is. @throws Conflict */
async function tellingHolder(call: Call, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (!(error instanceof AddressTaken)) throw error
    const [other] = await portsByAddress(call.db, [error.address])
    const node = other && (await findNode(call.db, other.node_uuid))
    if (!other || !node || !seesNode(call, node)) throw error
    throw new Conflict(`${error.message}: port ${other.uuid} of node ${node.uuid}`, { cause: error })
  }
}

function checkName(name: unknown): void {
  if (typeof name !== 'string' || (nameRegex.test(name) && !uuidRegex.test(name))) return
  throw new InvalidInput(
    `Cannot name a port ${JSON.stringify(name)}: expected letters, digits and - . _ ~, and no UUID`,
  )
}

/** May a port like this be in the portgroup that it names, if any? @throws InvalidInput, Conflict */
async function checkPortgroup(call: Call, port: Readonly<Record<string, unknown>>): Promise<void> {
  const { portgroup_uuid: named } = port
  if (typeof named !== 'string') return
  const group = await portgroupTable.find(call.db, named)
  if (!group) throw new InvalidInput(`Cannot put the port into portgroup ${named}: it could not be found`)
  checkMembership(port, group, await memberPorts(call.db, group.uuid))
}

/** The portgroup that a path or a query names. @throws NotFound */
async function mustFindPortgroup(call: Call, groupIdent: string) {
  for (const one of candidates(groupIdent, call.version, 1)) {
    const group = await portgroupTable.find(call.db, one)
    const node = group && (await findNode(call.db, group.node_uuid))
    if (!group || !node || !seesNode(call, node)) continue
    call.allow(node)
    return group
  }
  throw new NotFound(`Portgroup ${groupIdent} could not be found.`)
}

/** Boot files and DHCP follow the ports of a node. */
async function tellConductor(call: Call, ...nodes: Node[]): Promise<void> {
  for (const node of nodes) await call.conductor.portsChanged(node, await portsOf(call.db, node.uuid))
}

async function patchPort(call: Call<{ port_ident: string }, unknown, JsonPatch>): Promise<Answer> {
  const operations = readPatch(portFields, call.body, call.version)
  const { port, node } = await mustFindPort(call, call.params.port_ident)
  const foreseen = await planPatch(call, port, node, operations)
  if (Object.keys(foreseen).length > 0) {
    const told = `change ${changedNames(foreseen)} of port ${port.uuid}`
    await holding(call, node, { purpose: 'update port', told }, async held => {
      const now = await mustBeAt(call, port.uuid, node)
      const patch = await planPatch(call, now, held.node, operations)
      if (Object.keys(patch).length === 0) return
      await tellingHolder(call, () => updatePort(call.db, port.uuid, patch, call.clock.now()))
    })
    const moved = foreseen.node_uuid === undefined ? undefined : await findNode(call.db, foreseen.node_uuid)
    await tellConductor(call, node, ...(moved ? [moved] : []))
  }
  return { json: await portJson(call, port.uuid) }
}

/** What decides whether a port may be in a portgroup. */
const membership = ['portgroup_uuid', 'node_uuid', 'pxe_enabled', 'physical_network']

async function planPatch(call: Call, port: Port, node: Node, operations: readonly Operation[]): Promise<PortPatch> {
  checkPortNode(node, call.version)
  const changed = applyPatch(portFields, port as unknown as Record<string, unknown>, operations) // its fields are its columns
  if (typeof changed.address === 'string') changed.address = changed.address.toLowerCase()
  if (changed.address === port.address) delete changed.address
  if ('name' in changed) checkName(changed.name)
  checkPortValues({ ...port, ...changed }, call.version, new Set(Object.keys(changed)))
  if (typeof changed.node_uuid === 'string') {
    const next = { from: node, attempt: 'Cannot attach the port to node' }
    changed.node_uuid = (await mustFindNextNode(call, changed.node_uuid, next)).uuid
  }
  if ('physical_network' in changed && port.portgroup_uuid !== null && call.version >= 102) {
    throw new InvalidInput(`Cannot set physical_network: it is that of portgroup ${port.portgroup_uuid}`)
  }
  if (membership.some(name => name in changed)) await checkPortgroup(call, { ...port, ...changed })
  checkPortChanges(node, changed)
  return changed as PortPatch // the changes passed their fields' schemas
}

async function mustFindPort(call: Call, portIdent: string): Promise<{ port: Port; node: Node }> {
  for (const one of candidates(portIdent, call.version, 1)) {
    const port = await findPort(call.db, one)
    const node = port && (await findNode(call.db, port.node_uuid))
    if (!port || !node || !seesNode(call, node)) continue
    call.allow(node)
    return { port, node }
  }
  throw new NotFound(`Port ${portIdent} could not be found.`)
}

/** The port as it is now, still of the node that is held for it. @throws NotFound, Conflict */
async function mustBeAt(call: Call, uuid: string, node: Node): Promise<Port> {
  const now = await findPort(call.db, uuid)
  if (!now) throw new NotFound(`Port ${uuid} could not be found.`)
  if (now.node_uuid === node.uuid) return now
  throw new Conflict(`Cannot change port ${uuid}: it has just been moved from node ${node.uuid} to another; try again`)
}

async function removePort(call: Call<{ port_uuid: string }>): Promise<undefined> {
  const { port, node } = await mustFindPort(call, call.params.port_uuid)
  checkPortDeletable(port, node)
  await holding(call, node, { purpose: 'delete port', told: `delete port ${port.uuid}` }, async held => {
    checkPortDeletable(await mustBeAt(call, port.uuid, node), held.node)
    await deletePort(call.db, port.uuid)
  })
  await tellConductor(call, node)
}

const onNode = { ...paging, ...ownFilters }

export const ports: readonly Endpoint[] = [
  endpoint({
    id: 'port.list',
    method: 'GET',
    path: '/v1/ports',
    from: '1.1',
    status: 200,
    policy: ['baremetal:port:list_all', 'baremetal:port:list'],
    query: { ...paging, ...filters, ...choosing },
    response: listSchema('ports', PortAnswer),
    handle: call => listPorts(call, selectionOf(call, call.query, portView)),
  }),
  endpoint({
    id: 'port.listDetail',
    method: 'GET',
    path: '/v1/ports/detail',
    from: '1.1',
    status: 200,
    policy: ['baremetal:port:list_all', 'baremetal:port:list'],
    query: { ...paging, ...filters },
    response: listSchema('ports', PortAnswer),
    handle: call => listPorts(call, portView.full(call.version)),
  }),
  endpoint({
    id: 'port.create',
    method: 'POST',
    path: '/v1/ports',
    from: '1.1',
    status: 201,
    policy: ['baremetal:port:create'],
    body: creationSchema(portFields, {
      optional: ['node_uuid'],
      extra: { node_ident: { from: '1.94', schema: Type.String() } },
    }),
    response: PortAnswer,
    handle: createPort,
  }),
  endpoint({
    id: 'port.get',
    method: 'GET',
    path: '/v1/ports/{port_ident}',
    from: '1.1',
    status: 200,
    policy: ['baremetal:port:get'],
    query: { fields: choosing.fields },
    response: PortAnswer,
    async handle(call) {
      const { version, query, params } = call
      const selection = query.fields === undefined ? portView.full(version) : portView.chosen(query.fields, version)
      const { port } = await mustFindPort(call, params.port_ident)
      return { json: await portJson(call, port.uuid, selection) }
    },
  }),
  endpoint({
    id: 'port.update',
    method: 'PATCH',
    path: '/v1/ports/{port_ident}',
    from: '1.1',
    status: 200,
    policy: ['baremetal:port:update'],
    body: JsonPatch,
    response: PortAnswer,
    handle: patchPort,
  }),
  endpoint({
    id: 'port.delete',
    method: 'DELETE',
    // By UUID only, unlike GET and PATCH: Ironic's clients know no other way.
    path: '/v1/ports/{port_uuid}',
    from: '1.1',
    status: 204,
    policy: ['baremetal:port:delete'],
    response: null,
    handle: removePort,
  }),
  endpoint({
    id: 'node.listPorts',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/ports',
    from: '1.1',
    status: 200,
    policy: ['baremetal:port:list_all', 'baremetal:port:list'],
    query: { ...onNode, ...choosing },
    response: listSchema('ports', PortAnswer),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      return listPorts(call, selectionOf(call, call.query, portView), { node: node.uuid })
    },
  }),
  endpoint({
    id: 'node.listPortsDetail',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/ports/detail',
    from: '1.1',
    status: 200,
    policy: ['baremetal:port:list_all', 'baremetal:port:list'],
    query: onNode,
    response: listSchema('ports', PortAnswer),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      return listPorts(call, portView.full(call.version), { node: node.uuid })
    },
  }),
  endpoint({
    id: 'portgroup.listPorts',
    method: 'GET',
    path: '/v1/portgroups/{portgroup_ident}/ports',
    from: '1.24',
    status: 200,
    policy: ['baremetal:port:list_all', 'baremetal:port:list'],
    query: { ...onNode, ...choosing },
    response: listSchema('ports', PortAnswer),
    async handle(call) {
      const group = await mustFindPortgroup(call, call.params.portgroup_ident)
      return listPorts(call, selectionOf(call, call.query, portView), { portgroup: group.uuid })
    },
  }),
  endpoint({
    id: 'portgroup.listPortsDetail',
    method: 'GET',
    path: '/v1/portgroups/{portgroup_ident}/ports/detail',
    from: '1.24',
    status: 200,
    policy: ['baremetal:port:list_all', 'baremetal:port:list'],
    query: onNode,
    response: listSchema('ports', PortAnswer),
    async handle(call) {
      const group = await mustFindPortgroup(call, call.params.portgroup_ident)
      return listPorts(call, portView.full(call.version), { portgroup: group.uuid })
    },
  }),
]
