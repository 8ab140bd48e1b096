/**
 * VIFs: ports of a virtual network that a node's own ports are to be connected to. They are kept in `internal_info` of
 * the node's ports, where network interfaces other than `noop` look for them; `noop` connects nothing and remembers
 * nothing.
 *
 * Source: REST API reference, "VIFs"; networking reference, "VIFs".
 */
import { Type } from 'typebox'
import type { Node } from '#db/nodes.ts'
import { type Port, portsOf, updatePort } from '#db/ports.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import { namePattern, Uuid } from '#protocol/field.ts'
import { vifOf } from '#protocol/port.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { mustFindNode } from '../find-node.ts'

const path = '/v1/nodes/{node_ident}/vifs'

const VifBody = Type.Object({
  id: Type.String({ pattern: namePattern }),
  port_uuid: Type.Optional(Uuid),
  portgroup_uuid: Type.Optional(Uuid),
})

interface Wanted {
  readonly id: string
  readonly port_uuid?: string
  readonly portgroup_uuid?: string
}

/** The port that gets the VIF. @throws InvalidInput, Conflict */
function portFor(node: Node, ports: readonly Port[], { id, port_uuid, portgroup_uuid }: Wanted): Port {
  const attempt = `Cannot attach VIF ${id} to node ${node.uuid}`
  if (port_uuid !== undefined && portgroup_uuid !== undefined) {
    throw new InvalidInput(`${attempt}: found port_uuid and portgroup_uuid, expected one of them at most`)
  }
  const holder = ports.find(port => vifOf(port) === id)
  if (holder) throw new Conflict(`${attempt}: port ${holder.uuid} has it`)
  if (portgroup_uuid !== undefined) {
    throw new InvalidInput(`${attempt}: attaching to a portgroup is not supported, expected a port`)
  }
  const free = ports.filter(port => vifOf(port) === null && port.portgroup_uuid === null)
  const [best] =
    port_uuid === undefined
      ? free.toSorted((a, b) => Number(b.pxe_enabled) - Number(a.pxe_enabled))
      : free.filter(port => port.uuid === port_uuid)
  if (best) return best
  const found = port_uuid === undefined ? 'it has no free port' : `port ${port_uuid} is none of its free ports`
  throw new InvalidInput(`${attempt}: ${found}`)
}

function remembers(node: Node): boolean {
  return node.network_interface !== 'noop'
}

async function attach(call: Call<{ node_ident: string }, unknown, Wanted>): Promise<undefined> {
  const { db, body, clock } = call
  const node = await mustFindNode(call, call.params.node_ident)
  if (body.port_uuid !== undefined && body.portgroup_uuid !== undefined) portFor(node, [], body)
  if (!remembers(node)) return
  await call.conductor.withNode(node.uuid, 'attach VIF', async () => {
    const port = portFor(node, await portsOf(db, node.uuid), body)
    const internal_info = { ...port.internal_info, tenant_vif_port_id: body.id }
    await updatePort(db, port.uuid, { internal_info }, clock.now())
  })
}

async function detach(call: Call<{ node_ident: string; vif_id: string }>): Promise<undefined> {
  const { db, params, clock } = call
  const node = await mustFindNode(call, params.node_ident)
  if (!remembers(node)) return
  await call.conductor.withNode(node.uuid, 'detach VIF', async () => {
    const port = (await portsOf(db, node.uuid)).find(one => vifOf(one) === params.vif_id)
    if (!port) {
      const shown = JSON.stringify(params.vif_id.slice(0, 80))
      throw new InvalidInput(`Cannot detach VIF ${shown} from node ${node.uuid}: none of its ports has it`)
    }
    const { tenant_vif_port_id: _, ...internal_info } = port.internal_info
    await updatePort(db, port.uuid, { internal_info }, clock.now())
  })
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
      const ports = remembers(node) ? await portsOf(call.db, node.uuid) : []
      const vifs = ports.map(vifOf).filter(id => id !== null)
      return { json: JSON.stringify({ vifs: vifs.map(id => ({ id })) }) }
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
