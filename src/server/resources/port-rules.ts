/**
 * What a port must be like, and when it may change. Plain functions; they read nothing and write nothing.
 * Source: REST API reference, "Ports".
 */
import type { Node } from '#db/nodes.ts'
import type { Port } from '#db/ports.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import type { Minor } from '#protocol/microversion.ts'
import { vifOf } from '#protocol/port.ts'
import { NotAcceptable } from '../faults.ts'

type Values = Readonly<Record<string, unknown>>

const linkKeys = [
  'port_id',
  'switch_id',
  'hostname',
  'switch_info',
  'network_type',
  'vtep-logical-switch',
  'vtep-physical-switch',
]
const vtep = ['vtep-logical-switch', 'vtep-physical-switch']
const mac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i
const datapath = /^(0x)?[0-9a-f]{16}$/i

/**
 * Checks what fields' schemas cannot say. `touched`: names that this request sets; default all.
 * @throws InvalidInput, NotAcceptable
 */
export function checkPortValues(values: Values, version: Minor, touched?: ReadonlySet<string>): void {
  const link = values.local_link_connection as Values // an object by its schema
  if (touched?.has('local_link_connection') ?? true) checkLink(link, version)
  const smart = touched ? touched.has('is_smartnic') || touched.has('local_link_connection') : true
  if (smart && values.is_smartnic === true && !(has(link, 'port_id') && has(link, 'hostname'))) {
    throw new InvalidInput('Cannot use the port as a smart NIC: local_link_connection needs port_id and hostname')
  }
}

function checkLink(link: Values, version: Minor): void {
  const keys = Object.keys(link)
  if (keys.length === 0) return
  const unknown = keys.filter(key => !linkKeys.includes(key))
  const refuse = (why: string) => new InvalidInput(`Cannot set local_link_connection: ${why}`)
  if (unknown.length > 0)
    throw refuse(`unknown keys ${unknown.slice(0, 5).join(', ')}; expected ${linkKeys.join(', ')}`)
  if (keys.some(key => typeof link[key] !== 'string')) throw refuse('expected texts')
  if (has(link, 'network_type') && version < 64) {
    throw new NotAcceptable('local_link_connection.network_type needs version 1.64')
  }
  if (vtep.some(key => has(link, key)) && (version < 90 || version > 104)) {
    throw new NotAcceptable('The VTEP keys of local_link_connection exist in versions 1.90 to 1.104')
  }
  const type = link.network_type
  if (type !== undefined && type !== 'managed' && type !== 'unmanaged') {
    throw refuse('network_type is one of managed, unmanaged')
  }
  const id = link.switch_id
  if (typeof id === 'string' && !mac.test(id) && !datapath.test(id)) {
    throw refuse('switch_id is a MAC address or an OpenFlow datapath id')
  }
  if (type === 'unmanaged') return
  const complete =
    (has(link, 'port_id') && (has(link, 'switch_id') || has(link, 'hostname') || vtep.every(key => has(link, key)))) ||
    vtep.every(key => has(link, key))
  if (!complete) throw refuse('expected port_id and switch_id, or port_id and hostname, or network_type unmanaged')
}

function has(object: Values, key: string): boolean {
  return Object.hasOwn(object, key)
}

/** May a port of this node be patched now? @throws Conflict */
export function checkPortNode(node: Node, version: Minor): void {
  if (node.provision_state === 'inspecting' && version >= 39) {
    throw new Conflict(`Cannot update a port of node ${node.uuid} while it is in state "inspecting"`)
  }
}

/** May a port of this node be deleted now? @throws Conflict */
export function checkPortDeletable(port: Port, node: Node): void {
  const vif = vifOf(port)
  if (vif === null || node.maintenance) return
  throw new Conflict(`Cannot delete port ${port.uuid}: VIF ${vif} is attached; expected maintenance, or none attached`)
}

const connectivity = ['portgroup_uuid', 'pxe_enabled', 'local_link_connection', 'physical_network']
/** States in which the wiring of a node may change. */
export const rewiring = ['enroll', 'inspecting', 'inspect wait', 'manageable']

/** @throws Conflict */
export function checkPortChanges(node: Node, changed: Values): void {
  if (node.maintenance) return
  const state = node.provision_state
  if ('address' in changed && (node.instance_uuid !== null || state === 'active')) {
    throw new Conflict(`Cannot change the MAC address: node ${node.uuid} is in use; expected maintenance`)
  }
  const moved = connectivity.filter(name => name in changed)
  if (moved.length > 0 && !rewiring.includes(state)) {
    const expected = `expected one of ${rewiring.join(', ')}, or maintenance`
    throw new Conflict(`Cannot change ${moved.join(', ')} while node ${node.uuid} is in state "${state}"; ${expected}`)
  }
}
