/**
 * Vendor passthru: calls of methods that only one driver has, for one node. Methods of a whole driver exist as paths
 * only: no driver has any, and a call names what it did not find. Source: REST API reference, "Vendor passthru".
 */
import { Type } from 'typebox'
import { InvalidInput } from '#lib/fault.ts'
import { type Answer, type Call, type Endpoint, endpoint } from '../endpoint.ts'
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

/** The method in the query is for callers who leave it out of the path. @throws InvalidInput where it is in neither */
function methodOf(owner: string, inPath: string | undefined, inQuery: string | undefined): string {
  const method = inPath ?? inQuery
  if (method !== undefined) return method
  throw new InvalidInput(`Cannot call ${owner}: expected a method in the path or the query`)
}

async function callNode(
  call: Call & { params: { node_ident: string; method?: string }; query: { method?: string | undefined } },
  httpMethod: string,
): Promise<Answer> {
  const node = await mustFindNode(call, call.params.node_ident)
  const method = methodOf(`node ${node.uuid}`, call.params.method, call.query.method)
  const args = argsOf(call.body)
  const { async, result } = await call.conductor.callVendor(node, { method, httpMethod, args }, call.caller)
  return async ? { accepted: true } : { json: JSON.stringify(result ?? null) }
}

function argsOf(body: unknown): Record<string, unknown> {
  if (body === undefined || body === null) return {}
  if (typeof body === 'object' && !Array.isArray(body)) return body as Record<string, unknown> // a JSON object
  throw new InvalidInput('Cannot call a vendor method: the body is no object, expected its arguments by name')
}

async function refuseDriver(
  call: Call & { params: { driver_name: string; method?: string }; query: { method?: string | undefined } },
): Promise<never> {
  const { name } = await mustFindDriver(call)
  const method = methodOf(`driver ${name}`, call.params.method, call.query.method)
  throw new InvalidInput(`Cannot call driver ${name}: it has no vendor method ${JSON.stringify(method.slice(0, 80))}`)
}

const calls = ways.flatMap(([word, method]) => {
  const hasBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
  const body = hasBody ? { body: Type.Unknown() } : {}
  const common = { method, from: '1.1', status: 200, query: { method: text({}) }, response: Type.Unknown() } as const
  return [
    endpoint({
      ...common,
      ...body,
      mayAccept: true,
      id: `node.callVendor${word}`,
      path: '/v1/nodes/{node_ident}/vendor_passthru/{method}',
      policy: ofNode,
      handle: call => callNode(call, method),
    }),
    endpoint({
      ...common,
      ...body,
      mayAccept: true,
      id: `node.callVendor${word}ByQuery`,
      path: '/v1/nodes/{node_ident}/vendor_passthru',
      policy: ofNode,
      handle: call => callNode(call, method),
    }),
    endpoint({
      ...common,
      id: `driver.callVendor${word}`,
      path: '/v1/drivers/{driver_name}/vendor_passthru/{method}',
      policy: ofDriver,
      handle: refuseDriver,
    }),
    endpoint({
      ...common,
      id: `driver.callVendor${word}ByQuery`,
      path: '/v1/drivers/{driver_name}/vendor_passthru',
      policy: ofDriver,
      handle: refuseDriver,
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
      const node = await mustFindNode(call, call.params.node_ident)
      return { json: JSON.stringify(await call.conductor.vendorMethods(node)) }
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
