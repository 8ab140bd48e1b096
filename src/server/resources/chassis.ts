/** Chassis: where nodes stand. Source: REST API reference, "Chassis". */
import { chassisInUse, chassisTable } from '#db/chassis.ts'
import { InvalidInput } from '#lib/fault.ts'
import { chassisFields } from '#protocol/chassis.ts'
import { choosing, listSchema, paging, selectionOf } from '../collection.ts'
import { creationSchema, readCreation } from '../creation.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { selfAndBookmark } from '../links.ts'
import { applyPatch, JsonPatch, readPatch } from '../patch.ts'
import { resourceOf } from '../resource.ts'
import { listNodes, nodeFilters } from './node-list.ts'
import { NodeAnswer, nodeView } from './node-view.ts'

const resource = resourceOf({
  table: chassisTable,
  fields: chassisFields,
  noun: 'Chassis',
  key: 'chassis',
  path: '/chassis',
  short: ['uuid', 'description', 'links'],
  computed: {
    nodes: { columns: ['uuid'], print: ({ uuid }, { base }) => `[${selfAndBookmark(base, `/chassis/${uuid}/nodes`)}]` },
  },
})
const { view } = resource

/** The chassis of a path, which the caller may see. @throws NotFound */
function mustFind(call: Call<{ chassis_uuid: string }>) {
  call.allow(null)
  return resource.find(call, call.params.chassis_uuid)
}

const { chassis_uuid: _, ...filtersBelow } = nodeFilters

export const chassis: readonly Endpoint[] = [
  endpoint({
    id: 'chassis.list',
    method: 'GET',
    path: '/v1/chassis',
    from: '1.1',
    status: 200,
    policy: ['baremetal:chassis:get'],
    query: { ...paging, ...choosing },
    response: resource.List,
    handle(call) {
      call.allow(null)
      return resource.list(call, selectionOf(call, call.query, view), {})
    },
  }),
  endpoint({
    id: 'chassis.listDetail',
    method: 'GET',
    path: '/v1/chassis/detail',
    from: '1.1',
    status: 200,
    policy: ['baremetal:chassis:get'],
    query: paging,
    response: resource.List,
    handle(call) {
      call.allow(null)
      return resource.list(call, view.full(call.version), {})
    },
  }),
  endpoint({
    id: 'chassis.create',
    method: 'POST',
    path: '/v1/chassis',
    from: '1.1',
    status: 201,
    policy: ['baremetal:chassis:create'],
    body: creationSchema(chassisFields),
    response: resource.Answer,
    handle(call) {
      call.allow(null)
      return resource.add(call, readCreation(chassisFields, call.body, call.version))
    },
  }),
  endpoint({
    id: 'chassis.get',
    method: 'GET',
    path: '/v1/chassis/{chassis_uuid}',
    from: '1.1',
    status: 200,
    policy: ['baremetal:chassis:get'],
    query: { fields: choosing.fields },
    response: resource.Answer,
    async handle(call) {
      const selection = resource.selection(call, call.query.fields)
      const { uuid } = await mustFind(call)
      return resource.show(call, uuid, selection)
    },
  }),
  endpoint({
    id: 'chassis.update',
    method: 'PATCH',
    path: '/v1/chassis/{chassis_uuid}',
    from: '1.1',
    status: 200,
    policy: ['baremetal:chassis:update'],
    body: JsonPatch,
    response: resource.Answer,
    async handle(call) {
      const operations = readPatch(chassisFields, call.body, call.version)
      const { uuid } = await mustFind(call)
      await resource.patch(call, uuid, found => applyPatch(chassisFields, found, operations))
      return resource.show(call, uuid)
    },
  }),
  endpoint({
    id: 'chassis.delete',
    method: 'DELETE',
    path: '/v1/chassis/{chassis_uuid}',
    from: '1.1',
    status: 204,
    policy: ['baremetal:chassis:delete'],
    response: null,
    async handle(call) {
      const { uuid } = await mustFind(call)
      if (await chassisInUse(call.db, uuid)) {
        throw new InvalidInput(`Cannot delete chassis ${uuid}: nodes stand in it; expected it to be empty`)
      }
      await resource.remove(call, uuid)
      return undefined
    },
  }),
  endpoint({
    id: 'chassis.listNodes',
    method: 'GET',
    path: '/v1/chassis/{chassis_uuid}/nodes',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:list_all', 'baremetal:node:list'],
    query: { ...paging, ...filtersBelow, ...choosing },
    response: listSchema('nodes', NodeAnswer),
    async handle(call) {
      const { uuid } = await mustFind(call)
      return listNodes(call, selectionOf(call, call.query, nodeView), uuid)
    },
  }),
  endpoint({
    id: 'chassis.listNodesDetail',
    method: 'GET',
    path: '/v1/chassis/{chassis_uuid}/nodes/detail',
    from: '1.1',
    status: 200,
    policy: ['baremetal:node:list_all', 'baremetal:node:list'],
    query: { ...paging, ...filtersBelow },
    response: listSchema('nodes', NodeAnswer),
    async handle(call) {
      const { uuid } = await mustFind(call)
      return listNodes(call, nodeView.full(call.version), uuid)
    },
  }),
]
