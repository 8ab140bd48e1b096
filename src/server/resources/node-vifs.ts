/**
 * VIFs: ports of a virtual network that a node's own ports are to be connected to. They are kept in `internal_info` of
 * the node's ports and portgroups, where network interfaces other than `noop` look for them; `noop` connects nothing and remembers
 * nothing.
 *
 * Source: REST API reference, "VIFs"; networking reference, "VIFs".
 */
import { Type } from 'typebox'
import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { type Portgroup, portgroupsOf, portgroupTable } from '#db/portgroups.ts'
import { type Port, portsOf, updatePort } from '#db/ports.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import { namePattern, Uuid } from '#protocol/field.ts'
import { vifOf } from '#protocol/port.ts'
import { type Call, type Endpoint, endpoint } from '../endpoint.ts'
import { holding, mustFindNode } from '../find-node.ts'

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

/** What a VIF can be attached to. */
type Place = { readonly kind: 'port'; readonly of: Port } | { readonly kind: 'portgroup'; readonly of: Portgroup }

async function placesOf(db: Db, node: Node): Promise<Place[]> {
  const ports = (await portsOf(db, node.uuid)).map(of => ({ kind: 'port' as const, of }))
  const groups = (await portgroupsOf(db, node.uuid)).map(of => ({ kind: 'portgroup' as const, of }))
  return [...ports, ...groups]
}

/** Where the VIF goes: a group before a port, and a port that boots from the network first. @throws InvalidInput, Conflict */
function placeFor(node: Node, places: readonly Place[], { id, port_uuid, portgroup_uuid }: Wanted): Place {
  const attempt = `Cannot attach VIF ${id} to node ${node.uuid}`
  const holder = places.find(({ of }) => vifOf(of) === id)
  if (holder) throw new Conflict(`${attempt}: ${holder.kind} ${holder.of.uuid} has it`)
  const wanted = port_uuid ?? portgroup_uuid
  const kind = port_uuid !== undefined ? 'port' : portgroup_uuid !== undefined ? 'portgroup' : undefined
  const free = freePlaces(places).filter(one => wanted === undefined || (one.kind === kind && one.of.uuid === wanted))
  const rank = (one: Place) => (one.kind === 'portgroup' ? 2 : Number(one.of.pxe_enabled))
  const [best] = free.toSorted((a, b) => rank(b) - rank(a))
  if (best) return best
  const found = kind === undefined ? 'it has no free port' : `${kind} ${wanted} is none of its free ones`
  throw new InvalidInput(`${attempt}: ${found}`)
}

/** A group is one place. It is none while one of its ports has a VIF of its own: then its other ports are. */
function freePlaces(places: readonly Place[]): Place[] {
  const ports = places.flatMap(one => (one.kind === 'port' ? [one.of] : []))
  const split = new Set(ports.filter(port => vifOf(port) !== null).map(port => port.portgroup_uuid))
  return places.filter(one => {
    if (vifOf(one.of) !== null) return false
    if (one.kind === 'portgroup') {
      return !split.has(one.of.uuid) && ports.some(port => port.portgroup_uuid === one.of.uuid)
    }
    return one.of.portgroup_uuid === null || split.has(one.of.portgroup_uuid)
  })
}

async function writeInfo(
  call: Pick<Call, 'db' | 'clock'>,
  { kind, of }: Place,
  internal_info: Place['of']['internal_info'],
) {
  const now = call.clock.now()
  if (kind === 'port') await updatePort(call.db, of.uuid, { internal_info }, now)
  else await portgroupTable.update(call.db, of.uuid, { internal_info }, now)
}

function remembers(node: Node): boolean {
  return node.network_interface !== 'noop'
}

async function attach(call: Call<{ node_ident: string }, unknown, Wanted>): Promise<undefined> {
  const { db, body } = call
  const node = await mustFindNode(call, call.params.node_ident)
  if (body.port_uuid !== undefined && body.portgroup_uuid !== undefined) {
    throw new InvalidInput('Cannot attach the VIF: found port_uuid and portgroup_uuid, expected one of them at most')
  }
  if (!remembers(node)) return
  const action = { purpose: 'attach VIF', told: `attach VIF ${body.id}` }
  await holding(call, node, action, async () => {
    const place = placeFor(node, await placesOf(db, node), body)
    await writeInfo(call, place, { ...place.of.internal_info, tenant_vif_port_id: body.id })
  })
}

async function detach(call: Call<{ node_ident: string; vif_id: string }>): Promise<undefined> {
  const { db, params } = call
  const node = await mustFindNode(call, params.node_ident)
  if (!remembers(node)) return
  const action = { purpose: 'detach VIF', told: `detach VIF ${params.vif_id}` }
  await holding(call, node, action, async () => {
    const place = (await placesOf(db, node)).find(({ of }) => vifOf(of) === params.vif_id)
    if (!place) {
      const shown = JSON.stringify(params.vif_id.slice(0, 80))
      throw new InvalidInput(`Cannot detach VIF ${shown} from node ${node.uuid}: none of its ports has it`)
    }
    const { tenant_vif_port_id: _, ...internal_info } = place.of.internal_info
    await writeInfo(call, place, internal_info)
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
      const places = remembers(node) ? await placesOf(call.db, node) : []
      const vifs = places.map(({ of }) => vifOf(of)).filter(id => id !== null)
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
