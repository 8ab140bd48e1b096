/**
 * Vendor passthru: calls of methods that only one driver has. No driver has any yet: the lists are empty, and a call
 * names what it did not find. Source: REST API reference, "Vendor passthru".
 */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import { type Endpoint, endpoint } from '../endpoint.ts'
import { mustFindNode } from '../find-node.ts'
import { text } from '../parameters.ts'
import { mustFindDriver } from './drivers.ts'

const VendorMethods = Type.Record(
  Type.String(),
  Type.Object({
    http_methods: Type.Array(Type.String()),
    async: Type.Boolean(),
    attach: Type.Boolean(),
    require_exclusive_lock: Type.Boolean(),
    description: Type.String(),
  }),
)

const ways = [
  ['Get', 'GET'],
  ['Post', 'POST'],
  ['Put', 'PUT'],
  ['Patch', 'PATCH'],
  ['Delete', 'DELETE'],
] as const

const ofNode = ['baremetal:node:vendor_passthru']
const ofDriver = ['baremetal:driver:vendor_passthru']

/** The method in the query is for callers who leave it out of the path. @throws InvalidInput always */
function refuse(owner: string, inPath: string | undefined, inQuery: string | undefined): never {
  const method = inPath ?? inQuery
  if (method === undefined) throw new InvalidInput(`Cannot call ${owner}: expected a method in the path or the query`)
  throw new InvalidInput(`Cannot call ${owner}: it has no vendor method ${JSON.stringify(method.slice(0, 80))}`)
}

const calls = ways.flatMap(([word, method]) => {
  const common = { method, from: '1.1', status: 200, query: { method: text({}) }, response: Type.Unknown() } as const
  return [
    endpoint({
      ...common,
      id: `node.callVendor${word}`,
      path: '/v1/nodes/{node_ident}/vendor_passthru/{method}',
      policy: ofNode,
      async handle(call) {
        const node = await mustFindNode(call, call.params.node_ident)
        return refuse(`node ${node.uuid}`, call.params.method, call.query.method)
      },
    }),
    endpoint({
      ...common,
      id: `node.callVendor${word}ByQuery`,
      path: '/v1/nodes/{node_ident}/vendor_passthru',
      policy: ofNode,
      async handle(call) {
        const node = await mustFindNode(call, call.params.node_ident)
        return refuse(`node ${node.uuid}`, undefined, call.query.method)
      },
    }),
    endpoint({
      ...common,
      id: `driver.callVendor${word}`,
      path: '/v1/drivers/{driver_name}/vendor_passthru/{method}',
      policy: ofDriver,
      async handle(call) {
        const { name } = await mustFindDriver(call)
        return refuse(`driver ${name}`, call.params.method, call.query.method)
      },
    }),
    endpoint({
      ...common,
      id: `driver.callVendor${word}ByQuery`,
      path: '/v1/drivers/{driver_name}/vendor_passthru',
      policy: ofDriver,
      async handle(call) {
        const { name } = await mustFindDriver(call)
        return refuse(`driver ${name}`, undefined, call.query.method)
      },
    }),
  ]
})

export const vendorPassthru: readonly Endpoint[] = [
  endpoint({
    id: 'node.listVendorMethods',
    method: 'GET',
    path: '/v1/nodes/{node_ident}/vendor_passthru/methods',
    from: '1.1',
    status: 200,
    policy: ofNode,
    response: VendorMethods,
    async handle(call) {
      await mustFindNode(call, call.params.node_ident)
      return { json: '{}' }
    },
  }),
  endpoint({
    id: 'driver.listVendorMethods',
    method: 'GET',
    path: '/v1/drivers/{driver_name}/vendor_passthru/methods',
    from: '1.1',
    status: 200,
    policy: ofDriver,
    response: VendorMethods,
    async handle(call) {
      await mustFindDriver(call)
      return { json: '{}' }
    },
  }),
  ...calls,
]
