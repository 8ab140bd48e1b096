/**
 * PATCH of a node: what the patch would write, and whether the caller may, checked before the node is waited for and again
 * under its lease: it may have got another owner meanwhile.
 */
import { allocationOfNode } from '#db/allocations.ts'
import type { Node, NodePatch } from '#db/nodes.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import { nodeFields } from '#protocol/node.ts'
import type { Answer, Call } from '../endpoint.ts'
import { mustSeeNode } from '../find-node.ts'
import { applyPatch, changedNames, type JsonPatch, type Operation, readPatch } from '../patch.ts'
import { demand } from '../policy/access.ts'
import { checkAllocatedChanges } from './allocation-rules.ts'
import { patchPolicies } from './node-patch-policies.ts'
import { checkChassis, parentOf } from './node-references.ts'
import { checkChanges, checkPatchable, consequences, interfaceFields } from './node-rules.ts'
import { nodeJson } from './node-view.ts'

export async function patchNode(
  call: Call<{ node_ident: string }, { reset_interfaces?: boolean | undefined }, JsonPatch>,
): Promise<Answer> {
  const { version, conductor } = call
  const operations = readPatch(nodeFields, call.body, version)
  const resets = call.query.reset_interfaces === true
  if (resets && !operations.some(one => one.root === 'driver')) {
    throw new InvalidInput('Cannot reset interfaces: the patch does not change /driver')
  }
  const node = await mustSeeNode(call, call.params.node_ident)
  // What cannot be is refused before the node is waited for; under the lease all of it is checked again.
  const foreseen = await planPatch(call, node, operations, resets)
  if (Object.keys(foreseen).length > 0) {
    const action = { purpose: 'update', told: `change ${changedNames(foreseen)}`, caller: call.caller }
    await conductor.withNode(node.uuid, action, async held => {
      const patch = await planPatch(call, held.node, operations, resets)
      if (Object.keys(patch).length > 0) await held.write(patch)
    })
  }
  return { json: await nodeJson(call, node.uuid) }
}

/** What the patch writes. @throws Forbidden, InvalidInput, Conflict, NotAcceptable */
async function planPatch(
  call: Call,
  node: Node,
  operations: readonly Operation[],
  resets: boolean,
): Promise<NodePatch> {
  for (const policy of patchPolicies(operations)) demand(call, [policy], node)
  checkPatchable(node, operations, call.version)
  const changed = applyPatch(nodeFields, node as unknown as Record<string, unknown>, operations) // its fields are its columns
  await checkChassis(call, changed.chassis_uuid)
  if (typeof changed.parent_node === 'string') {
    changed.parent_node = await parentOf(call, changed.parent_node, node.owner)
  }
  checkChanges(node, changed, call.version)
  if ('owner' in changed && node.provision_state === 'active') {
    if (!call.may('baremetal:node:update_owner_provisioned', node)) {
      throw new Conflict(`Cannot change the owner of node ${node.uuid} while it is in state "active"`)
    }
  }
  if ('instance_uuid' in changed || 'owner' in changed) {
    const allocation = await allocationOfNode(call.db, node.uuid)
    if (allocation) checkAllocatedChanges(node, allocation, changed)
  }
  Object.assign(changed, consequences(node, changed))
  const touchesDriver = 'driver' in changed || interfaceFields.some(name => name in changed)
  if (touchesDriver) Object.assign(changed, interfacesAfter(call, node, changed, operations, resets))
  return changed as NodePatch // the changes passed their fields' schemas
}

function interfacesAfter(
  call: Call,
  node: Node,
  changed: Readonly<Record<string, unknown>>,
  operations: readonly Operation[],
  resets: boolean,
): Record<string, string> {
  const named = new Set(operations.map(one => one.root))
  const chosen = interfaceFields.map(name => {
    const kept = resets && !named.has(name) ? null : node[name]
    return [name, name in changed ? (changed[name] as string | null) : kept] as const // by its schema
  })
  const driver = String(changed.driver ?? node.driver)
  const resolved = call.conductor.interfacesFor(driver, Object.fromEntries(chosen))
  // What was taken back is named too, even when the default is what it was: the change holds null for it.
  const differs = ([name, value]: [string, string]) => name in changed || node[name as keyof Node] !== value
  return Object.fromEntries(Object.entries(resolved).filter(differs))
}
