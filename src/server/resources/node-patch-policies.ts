/**
 * Which policies a patch of a node needs: each path has its own, and all must pass.
 * Source: REST API reference, "PATCH of a node: policy by path"
 */
import { isTrue } from '#lib/truth.ts'
import type { Operation } from '../patch.ts'
import { interfaceFields } from './node-rules.ts'

const general = 'baremetal:node:update'

/** By the field that a path begins with. */
const byField: Readonly<Record<string, string>> = {
  instance_info: 'baremetal:node:update_instance_info',
  instance_name: 'baremetal:node:update_instance_info',
  extra: 'baremetal:node:update_extra',
  driver_info: 'baremetal:node:update:driver_info',
  properties: 'baremetal:node:update:properties',
  chassis_uuid: 'baremetal:node:update:chassis_uuid',
  instance_uuid: 'baremetal:node:update:instance_uuid',
  lessee: 'baremetal:node:update:lessee',
  owner: 'baremetal:node:update:owner',
  driver: 'baremetal:node:update:driver_interfaces',
  ...Object.fromEntries(interfaceFields.map(name => [name, 'baremetal:node:update:driver_interfaces'])),
  network_data: 'baremetal:node:update:network_data',
  conductor_group: 'baremetal:node:update:conductor_group',
  name: 'baremetal:node:update:name',
  retired: 'baremetal:node:update:retired',
  retired_reason: 'baremetal:node:update:retired',
  shard: 'baremetal:node:update:shard',
  parent_node: 'baremetal:node:update:parent_node',
  disable_power_off: 'baremetal:node:update:disable_power_off',
}

/** Every policy that an endpoint with a patch of nodes may ask for. */
export const allPatchPolicies: readonly string[] = [
  general,
  ...new Set(Object.values(byField)),
  'baremetal:node:disable_cleaning',
]

/** The policies of a patch; the general one where it touches anything that has none of its own, and for an empty one. */
export function patchPolicies(operations: readonly Operation[]): ReadonlySet<string> {
  if (operations.length === 0) return new Set([general])
  return new Set(operations.map(policyOf))
}

function policyOf({ root, op, value }: Operation): string {
  if (root === 'automated_clean' && op !== 'remove' && isTrue(value) === false) return 'baremetal:node:disable_cleaning'
  return (Object.hasOwn(byField, root) ? byField[root] : undefined) ?? general
}
