/** Moves of a node along the state table, as the fields they write. Decides nothing and writes nothing itself. */
import type { Node, NodePatch } from '#db/nodes.ts'
import { Conflict } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import { type ProvisionState, stateTarget, target } from '#protocol/states.ts'

/** The fields that the move `event` from the node's state writes; `towards` overrides the state's own target. */
export function movedFields(
  node: Node,
  event: string,
  towards: ProvisionState | undefined,
  nowMs: number,
): NodePatch & { provision_state: ProvisionState } {
  const to = target(node.provision_state, event)
  if (to === undefined) {
    throw new Conflict(
      `Cannot move node ${node.uuid} by the event "${event}": provision state "${node.provision_state}" has no such move`,
    )
  }
  const goal = stateTarget(to)
  return {
    provision_state: to,
    target_provision_state: goal !== null && towards !== undefined ? towards : goal,
    provision_updated_at: timestamp(nowMs),
    ...(to === 'inspecting' && event !== 'resume' ? { inspection_started_at: timestamp(nowMs) } : {}),
  }
}
