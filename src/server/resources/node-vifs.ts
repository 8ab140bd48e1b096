/**
 * VIFs: ports of a virtual network that a node's own ports are to be connected to. They are kept in `internal_info` of
 * the node's ports and portgroups, where network interfaces other than `noop` look for them; `noop` connects nothing and remembers
 * nothing.
 *
 * Source: REST API reference, "VIFs"; networking reference, "VIFs".
 */
import { Type } from 'typebox'
import type { Node } from '#db/nodes.ts'
import { placesOf, vifsAt } from '#db/vifs.ts'
import { InvalidInput } from '#lib/fault.ts'
import { Nullable, namePattern, Uuid } from '#protocol/field.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { holding, mustFindNode } from '../find-node.ts'
import { attachVif, detachVif } from '../vifs/attach.ts'
import type { WantedVif } from '../vifs/places.ts'

const path = '/v1/nodes/{node_ident}/vifs'

const VifBody = Type.Object({
  id: Type.String({ pattern: namePattern }),
  port_uuid: Type.Optional(Uuid),
  portgroup_uuid: Type.Optional(Uuid),
  name: Type.Optional(Nullable(Type.String({ maxLength: 255 }))),
  tags: Type.Optional(Nullable(Type.Array(Type.String({ maxLength: 255 }), { maxItems: 1000 }))),
})

function remembers(node: Node): boolean {
  return node.network_interface !== 'noop'
}

async function attach(call: Call<{ node_ident: string }, unknown, WantedVif>): Promise<undefined> {
  const { body } = call
  const node = await mustFindNode(call, call.params.node_ident)
  if (body.port_uuid !== undefined && body.portgroup_uuid !== undefined) {
    throw new InvalidInput('Cannot attach the VIF: found port_uuid and portgroup_uuid, expected one of them at most')
  }
  if (!remembers(node)) return
  const action = { purpose: 'attach VIF', told: `attach VIF ${body.id}` }
  await holding(call, node, action, held => attachVif(call, held.node, body))
}

async function detach(call: Call<{ node_ident: string; vif_id: string }>): Promise<undefined> {
  const { params } = call
  const node = await mustFindNode(call, params.node_ident)
  if (!remembers(node)) return
  const action = { purpose: 'detach VIF', told: `detach VIF ${params.vif_id}` }
  await holding(call, node, action, held => detachVif(call, held.node, params.vif_id))
}

export const nodeVifs: readonly Endpoint[] = [
  endpoint({
    id: 'node.listVifs',
    method: 'GET',
    path,
    from: '1.28',
    status: 200,
    policy: ['baremetal:node:vif:list'],
    response: Type.Object({ vifs: Type.Array(Type.Object({ id: Type.String() })) }),
    async handle(call) {
      const node = await mustFindNode(call, call.params.node_ident)
      const places = remembers(node) ? await placesOf(call.db, node.uuid) : []
      return { json: JSON.stringify({ vifs: vifsAt(places).map(id => ({ id })) }) }
    },
  }),
  endpoint({
    id: 'node.attachVif',
    method: 'POST',
    path,
    from: '1.28',
    status: 204,
    policy: ['baremetal:node:vif:attach'],
    body: VifBody,
    response: null,
    handle: attach,
  }),
  endpoint({
    id: 'node.detachVif',
    method: 'DELETE',
    path: `${path}/{vif_id}`,
    from: '1.28',
    status: 204,
    policy: ['baremetal:node:vif:detach'],
    response: null,
    handle: detach,
  }),
]
