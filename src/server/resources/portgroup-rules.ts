/**
 * When a portgroup may change, and when a port may belong to one. Plain functions; they read nothing and write nothing.
 * Source: REST API reference, "Portgroups", "Ports".
 */
import type { Node } from '#db/nodes.ts'
import type { Port } from '#db/ports.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import type { Minor } from '#protocol/microversion.ts'
import { rewiring } from './port-rules.ts'

type Values = Readonly<Record<string, unknown>>

/** @throws Conflict, InvalidInput */
export function checkPortgroupChanges(
  { uuid, node, members, changed }: { uuid: string; node: Node; members: readonly Port[]; changed: Values },
  version: Minor,
): void {
  const state = node.provision_state
  if (state === 'inspecting' && version >= 39) {
    throw new Conflict(`Cannot update portgroup ${uuid} while node ${node.uuid} is in state "inspecting"`)
  }
  if ('node_uuid' in changed) {
    if (members.length > 0) {
      throw new InvalidInput(`Cannot move portgroup ${uuid} to another node: it has ports, expected none`)
    }
    if (!rewiring.includes(state) && !node.maintenance) {
      const expected = `expected one of ${rewiring.join(', ')}, or maintenance`
      throw new Conflict(`Cannot move portgroup ${uuid} while node ${node.uuid} is in state "${state}"; ${expected}`)
    }
  }
  const booting = members.find(port => port.pxe_enabled)
  if (changed.standalone_ports_supported === false && booting) {
    throw new Conflict(`Cannot unset standalone_ports_supported: port ${booting.uuid} of the group has pxe_enabled`)
  }
}

/**
 * May a port like this belong to the group?
 * @param port as it would be
 * @param members all ports of the group
 * @throws InvalidInput, Conflict
 */
export function checkMembership(
  port: Values,
  group: { readonly uuid: string; readonly node_uuid: string; readonly standalone_ports_supported: boolean },
  members: readonly Port[],
): void {
  if (port.node_uuid !== group.node_uuid) {
    throw new InvalidInput(`Cannot put the port into portgroup ${group.uuid}: the group belongs to another node`)
  }
  if (port.pxe_enabled === true && !group.standalone_ports_supported) {
    throw new Conflict(
      `Cannot put the port into portgroup ${group.uuid} with pxe_enabled: the group has no standalone ports`,
    )
  }
  const other = members.find(one => one.uuid !== port.uuid && one.physical_network !== (port.physical_network ?? null))
  if (other) {
    throw new Conflict(
      `Cannot put the port into portgroup ${group.uuid}: its physical network differs from that of port ${other.uuid}`,
    )
  }
}
