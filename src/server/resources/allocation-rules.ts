/** What an allocation, and the node it has, must be like. Plain functions; they read nothing and write nothing. */
import type { Allocation } from '#db/allocations.ts'
import type { Node } from '#db/nodes.ts'
import { Conflict, InvalidInput } from '#lib/fault.ts'
import { namePattern, uuidPattern } from '#protocol/field.ts'
import { interfacesChangeable, provision } from '#protocol/states.ts'

const nameRegex = new RegExp(namePattern)
const uuidRegex = new RegExp(uuidPattern)

/** @throws InvalidInput */
export function checkAllocationName(name: unknown): void {
  if (typeof name !== 'string' || (nameRegex.test(name) && !uuidRegex.test(name))) return
  throw new InvalidInput(
    `Cannot name an allocation ${JSON.stringify(name)}: expected letters, digits and - . _ ~, and no UUID`,
  )
}

/** May this node be given, as it stands, to an allocation that names it? @throws Conflict */
export function checkBackfill(
  node: Node,
  wanted: Pick<Allocation, 'uuid' | 'resource_class' | 'traits' | 'candidate_nodes'>,
): void {
  const refuse = (found: string) => new Conflict(`Cannot allocate node ${node.uuid} to ${wanted.uuid}: ${found}`)
  if (node.provision_state !== 'active') {
    throw refuse(`it is in state "${node.provision_state}", expected active`)
  }
  if (node.instance_uuid !== null && node.instance_uuid !== wanted.uuid) {
    throw refuse(`instance ${node.instance_uuid} has it`)
  }
  if (wanted.resource_class !== null && wanted.resource_class !== node.resource_class) {
    throw refuse(`its resource class is ${node.resource_class}, expected ${wanted.resource_class}`)
  }
  const missing = wanted.traits.filter(trait => !node.traits.includes(trait))
  if (missing.length > 0) throw refuse(`it lacks the traits ${missing.join(', ')}`)
  if (wanted.candidate_nodes.length > 0 && !wanted.candidate_nodes.includes(node.uuid)) {
    throw refuse('it is none of the candidate nodes')
  }
}

/** May the node be taken from its allocation? @throws Conflict */
export function checkRelease(node: Node): void {
  if (node.maintenance) return
  const { provision_state: state, target_provision_state: target } = node
  if (state !== 'active' && (target === null || provision[state].patch)) return
  throw new Conflict(
    `Cannot take node ${node.uuid} from its allocation in state "${state}"; expected it at rest, or maintenance`,
  )
}

/** Checks a patch of a node that an allocation has. @throws Conflict */
export function checkAllocatedChanges(
  node: Node,
  allocation: Allocation,
  changed: Readonly<Record<string, unknown>>,
): void {
  if ('owner' in changed && allocation.owner !== null) {
    throw new Conflict(`Cannot change the owner of node ${node.uuid}: allocation ${allocation.uuid} has an owner`)
  }
  if (changed.instance_uuid !== null || node.maintenance || interfacesChangeable.includes(node.provision_state)) return
  const expected = `expected one of ${interfacesChangeable.join(', ')}, or maintenance`
  throw new Conflict(
    `Cannot remove instance_uuid of node ${node.uuid}, which allocation ${allocation.uuid} has, ` +
      `in state "${node.provision_state}"; ${expected}`,
  )
}
