/** Lists of nodes: their filters, and the page that a request asks for. Serves every path that lists nodes. */
import { chassisTable } from '#db/chassis.ts'
import { listNodeRows, type NodeFilters } from '#db/node-rows.ts'
import type { RawRow } from '#db/page.ts'
import { InvalidInput, NotFound } from '#lib/fault.ts'
import { isProvisionState } from '#protocol/states.ts'
import { type Collection, listJson, pageOf, type paging } from '../collection.ts'
import type { Answer, Call } from '../endpoint.ts'
import { boolean, list, text, uuid, type ValuesOf } from '../parameters.ts'
import { listScope } from '../policy/access.ts'
import type { Selection } from '../view.ts'
import { nodeContext, nodeView } from './node-view.ts'

const collection: Collection = { key: 'nodes', view: nodeView, marker: 'uuid' }
const faults = ['power failure', 'clean failure', 'rescue abort failure', 'service failure']

/** Parameters that narrow a list of nodes; all that are given must hold. */
export const nodeFilters = {
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
type Query = Partial<ValuesOf<typeof nodeFilters>> & ValuesOf<typeof paging>

/** A page of nodes: all, or those of a chassis. */
export async function listNodes(call: Call<unknown, Query>, selection: Selection, chassis?: string): Promise<Answer> {
  const { query } = call
  const project = listScope(call, 'node', query.project) ?? query.project
  const page = pageOf(call, query, nodeView)
  const { chassis_uuid: named } = query
  if (named !== undefined && !(await chassisTable.find(call.db, named))) {
    throw new NotFound(`Chassis ${named} could not be found.`)
  }
  const filters = { ...filtersOf(query, chassis ?? named), project }
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
function withServed({ own, joined }: Selection): Pick<Selection, 'own' | 'joined'> {
  return { own: [...new Set([...own, 'driver', 'conductor_group'])], joined }
}

function filtersOf(query: Query, chassis: string | undefined): NodeFilters {
  const { provision_state, fault } = query
  if (provision_state !== undefined && !isProvisionState(provision_state)) {
    throw new InvalidInput(
      `Cannot filter by provision_state ${JSON.stringify(provision_state)}: there is no such state`,
    )
  }
  if (fault !== undefined && !faults.includes(fault)) {
    throw new InvalidInput(`Cannot filter by fault ${JSON.stringify(fault)}: expected one of ${faults.join(', ')}`)
  }
  const flag = (value: boolean | undefined) => (value === undefined ? undefined : Number(value))
  return {
    equal: {
      instance_uuid: query.instance_uuid,
      chassis_uuid: chassis,
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
    descriptionContains: query.description_contains,
    parent: query.parent_node,
    includeChildren: query.include_children,
  }
}

/** What the choice of a node's conductor depends on. */
function servedBy(row: RawRow) {
  return { uuid: String(row.uuid), driver: String(row.driver), conductor_group: String(row.conductor_group) }
}
