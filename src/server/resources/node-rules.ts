/**
 * What a node must be like to be created, changed or deleted. Plain functions of the node and the request; they read
 * nothing and write nothing.
 *
 * Source: REST API reference, "The node object" and "When may a node be patched".
 */
import type { Node } from '#db/nodes.ts'
import { Conflict, Forbidden, InvalidInput } from '#lib/fault.ts'
import { namePattern, uuidPattern } from '#protocol/field.ts'
import { interfaceTypes } from '#protocol/interfaces.ts'
import type { Minor } from '#protocol/microversion.ts'
import { deletable, interfacesChangeable, type ProvisionState, provision } from '#protocol/states.ts'
import { NotAcceptable } from '../faults.ts'
import type { Operation } from '../patch.ts'

type Values = Readonly<Record<string, unknown>>

/** Names that are parts of paths. */
export const reservedNames: readonly string[] = [
  'maintenance',
  'management',
  'states',
  'vendor_passthru',
  'detail',
  'validate',
]

export const interfaceFields = interfaceTypes.map(type => `${type}_interface` as const)

const nameRegex = new RegExp(namePattern)
const uuidRegex = new RegExp(uuidPattern)
const hostName =
  /^(?=.{1,255}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/

/** @throws InvalidInput */
export function checkName(name: unknown, version: Minor): void {
  if (typeof name !== 'string') return
  if (version < 10 && !hostName.test(name)) {
    throw new InvalidInput(`Cannot name a node ${JSON.stringify(name)}: below version 1.10 a name is a host name`)
  }
  if (!nameRegex.test(name)) {
    throw new InvalidInput(
      `Cannot name a node ${JSON.stringify(name)}: expected 1 to 255 of letters, digits and - . _ ~`,
    )
  }
  if (uuidRegex.test(name)) throw new InvalidInput(`Cannot name a node ${name}: a name must not look like a UUID`)
  if (reservedNames.includes(name)) throw new InvalidInput(`Cannot name a node ${name}: the word is reserved`)
}

/** Rules on values that hold at creation and after a patch alike. @throws InvalidInput */
export function checkValues(values: Values): void {
  const properties = values.properties
  if (typeof properties === 'object' && properties !== null) checkSizes(properties as Values) // an object, just tested
  const group = values.conductor_group
  if (typeof group === 'string' && !/^[a-z0-9_.-]{0,255}$/i.test(group)) {
    throw new InvalidInput(`Cannot set conductor_group to ${JSON.stringify(group)}: expected letters, digits and _ - .`)
  }
}

function checkSizes(properties: Values): void {
  for (const key of ['memory_mb', 'local_gb']) {
    const value = properties[key]
    if (value === undefined || value === null) continue
    if (!/^\d{1,15}$/.test(String(value))) {
      throw new InvalidInput(`Cannot set properties.${key} to ${JSON.stringify(value)}: expected a whole number`)
    }
  }
}

/** @throws InvalidInput when properties.capabilities asks for a boot mode that the operator does not allow */
export function checkBootMode(values: Values, disallowed: readonly string[]): void {
  const properties = values.properties as Values | undefined // an object by its schema
  const mode = capability(properties?.capabilities, 'boot_mode')
  if (mode !== undefined && disallowed.includes(mode)) {
    throw new InvalidInput(
      `Cannot create the node: boot mode ${mode} is disallowed by disallowed_enrollment_boot_modes`,
    )
  }
}

/** `key:value,key:value`, or an object. */
function capability(capabilities: unknown, key: string): string | undefined {
  if (typeof capabilities === 'object' && capabilities !== null) {
    const value = (capabilities as Values)[key]
    return typeof value === 'string' ? value : undefined
  }
  if (typeof capabilities !== 'string') return undefined
  for (const pair of capabilities.split(',')) {
    const [name, value] = pair.split(':', 2)
    if (name?.trim() === key) return value?.trim()
  }
  return undefined
}

/** May this node be patched with this at all? @throws Conflict */
export function checkPatchable(node: Node, operations: readonly Operation[], version: Minor): void {
  const [only] = operations
  const releases =
    operations.length === 1 && only?.op === 'remove' && only.root === 'instance_uuid' && only.rest.length === 0
  if (node.maintenance && releases) return
  const { provision_state: state, target_provision_state: target } = node
  if (target !== null && !provision[state].patch) {
    throw new Conflict(`Cannot update node ${node.uuid} while it is in state "${state}", on its way to "${target}"`)
  }
  if (state === 'inspecting' && version >= 39) {
    throw new Conflict(`Cannot update node ${node.uuid} while it is in state "inspecting"`)
  }
}

/** Checks the changed values of a patch against the node. @throws InvalidInput, Conflict, NotAcceptable */
export function checkChanges(node: Node, changed: Values, version: Minor): void {
  const state = node.provision_state
  const after = { ...node, ...changed } as Node // the changes passed their fields' schemas
  if ('name' in changed) checkName(changed.name, version)
  checkValues(changed)
  if (changed.chassis_uuid === null && version < 25) throw new NotAcceptable('Removing chassis_uuid needs version 1.25')
  if ('driver' in changed && node.console_enabled) {
    throw new Conflict(`Cannot change the driver of node ${node.uuid} while its console is enabled`)
  }
  if (changed.protected === true && state !== 'active' && state !== 'rescue') {
    throw new Conflict(`Cannot protect node ${node.uuid}: it is in state "${state}", expected active or rescue`)
  }
  if (typeof changed.protected_reason === 'string' && !after.protected) {
    throw new InvalidInput('Cannot set protected_reason: the node is not protected')
  }
  if (typeof changed.retired_reason === 'string' && !after.retired) {
    throw new InvalidInput('Cannot set retired_reason: the node is not retired')
  }
  if (changed.retired === true && state === 'available') {
    throw new Conflict(`Cannot retire node ${node.uuid} in state "available"; expected it to be managed first`)
  }
  const free = interfacesChangeable.includes(state)
  const interfaces = [...interfaceFields, 'driver'].filter(name => name in changed)
  if (interfaces.length > 0 && !free && !node.maintenance) {
    const expected = `expected one of ${interfacesChangeable.join(', ')}, or maintenance`
    throw new Conflict(`Cannot change ${interfaces.join(', ')} of node ${node.uuid} in state "${state}"; ${expected}`)
  }
  if (node.instance_uuid !== null && typeof changed.instance_uuid === 'string') {
    throw new Conflict(`Cannot give node ${node.uuid} to an instance: instance ${node.instance_uuid} has it`)
  }
  if ('resource_class' in changed && node.resource_class !== null && !free) {
    throw new Conflict(`Cannot change resource_class of node ${node.uuid} in state "${state}"`)
  }
}

/** What follows from changes without being named. */
export function consequences(node: Node, changed: Values): Record<string, unknown> {
  const more: Record<string, unknown> = {}
  if (changed.maintenance === false) Object.assign(more, { maintenance_reason: null, fault: null })
  if (changed.protected === false) more.protected_reason = null
  if (changed.retired === false) more.retired_reason = null
  if (typeof changed.conductor_group === 'string') more.conductor_group = changed.conductor_group.toLowerCase()
  const display = (changed.instance_info as Values | undefined)?.display_name // an object by its schema
  const named = 'instance_name' in changed ? changed.instance_name : node.instance_name
  if (typeof display === 'string' && display !== '' && named === null) more.instance_name = display.slice(0, 255)
  return more
}

/** @throws Forbidden, Conflict */
export function checkDeletable(node: Node, options: { availableToo: boolean }): void {
  if (node.protected)
    throw new Forbidden(
      `Cannot delete node ${node.uuid}: it is protected (${node.protected_reason ?? 'no reason given'})`,
    )
  if (node.maintenance) return
  if (node.instance_uuid !== null) {
    throw new Conflict(`Cannot delete node ${node.uuid}: instance ${node.instance_uuid} has it`)
  }
  const allowed: readonly ProvisionState[] = deletable.filter(state => options.availableToo || state !== 'available')
  if (allowed.includes(node.provision_state)) return
  const expected = `expected one of ${allowed.join(', ')}, or maintenance`
  throw new Conflict(`Cannot delete node ${node.uuid} in state "${node.provision_state}"; ${expected}`)
}
