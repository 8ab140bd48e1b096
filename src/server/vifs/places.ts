/**
 * Where a VIF can be attached to a node: to a port, or to a port group as one, if nothing is there yet. It chooses the
 * usual way, by what the caller names or the best that is free, and writes nothing.
 *
 * Source: networking reference, "VIFs".
 */
import type { Node } from '#db/nodes.ts'
import type { Place } from '#db/vifs.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import { vifOf } from '#protocol/port.ts'

/** What somebody asks for. */
export interface WantedVif {
  readonly id: string
  readonly port_uuid?: string
  readonly portgroup_uuid?: string
  /** Of the network, for rules that ask. */
  readonly name?: string | null
  readonly tags?: readonly string[] | null
  /** Those that the network is in; empty, absent: any. */
  readonly physical_networks?: readonly string[]
}

/** @throws Conflict */
export function checkUnattached(node: Node, places: readonly Place[], { id }: WantedVif): void {
  const holder = places.find(({ of }) => vifOf(of) === id)
  if (holder)
    throw new Conflict(`Cannot attach VIF ${id} to node ${node.uuid}: ${holder.kind} ${holder.of.uuid} has it`)
}

/**
 * Where the VIF goes: only to what is in one of its physical networks, or in none that is known; that which is in one first,
 * then a group before a port, and a port that boots from the network before others.
 * @throws InvalidInput
 */
export function placeFor(
  node: Node,
  places: readonly Place[],
  { id, port_uuid, portgroup_uuid, physical_networks: physical = [] }: WantedVif,
): Place {
  const wanted = port_uuid ?? portgroup_uuid
  const kind = port_uuid !== undefined ? 'port' : portgroup_uuid !== undefined ? 'portgroup' : undefined
  const named = freePlaces(places).filter(one => wanted === undefined || (one.kind === kind && one.of.uuid === wanted))
  const network = (one: Place) => one.of.physical_network
  const free = named.filter(
    one => physical.length === 0 || network(one) === null || physical.includes(network(one) ?? ''),
  )
  const rank = (one: Place) =>
    (network(one) === null ? 0 : 4) + (one.kind === 'portgroup' ? 2 : Number(one.of.pxe_enabled))
  const [best] = free.toSorted((a, b) => rank(b) - rank(a))
  if (best) return best
  if (named.length > 0) {
    throw new InvalidInput(
      `Cannot attach VIF ${id} to node ${node.uuid}: its network is in ${physical.join(', ')}, and none of the free ports is`,
    )
  }
  const found = kind === undefined ? 'it has no free port' : `${kind} ${wanted} is none of its free ones`
  throw new InvalidInput(`Cannot attach VIF ${id} to node ${node.uuid}: ${found}`)
}

/** A group is one place. It is none while one of its ports has a VIF of its own: then its other ports are. */
export function freePlaces(places: readonly Place[]): Place[] {
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
