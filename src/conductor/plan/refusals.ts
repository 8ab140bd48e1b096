/** All reasons why a verb would be refused now: the checks that its start makes, none of which ends the asking. */
import type { Node } from '#db/nodes.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { Fault, NodeLocked } from '#lib/fault.ts'
import type { Refusal } from '#protocol/plan.ts'
import type { Verb } from '#protocol/states.ts'
import type { ProvisionRequest } from '../conductor.ts'
import { objections, validations } from '../provisioning.ts'
import type { PlanWorld } from './plan.ts'

export async function refusalsOf(
  world: PlanWorld,
  ctx: NodeContext,
  { verb, flow, request }: { verb: Verb; flow: string | null; request: ProvisionRequest },
): Promise<Refusal[]> {
  const { node } = ctx
  const found: Fault[] = [...objections(node, verb, world.config)]
  if (flow !== null) found.push(...held(node, found))
  const checks = [() => void world.ownerOf(node), ...(flow === null ? [] : validations(ctx, world.db, flow, request))]
  for (const check of checks) {
    try {
      await check()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      found.push(error)
    }
  }
  const told = found.map(({ code, message }) => ({ code, message }))
  return told.filter(({ message }, index) => told.findIndex(other => other.message === message) === index)
}

/** Whoever works on the node keeps it; where the state says so already, once is enough. */
function held(node: Node, found: readonly Fault[]): Fault[] {
  if (node.reservation === null || found.some(fault => fault instanceof NodeLocked)) return []
  return [new NodeLocked(`Node ${node.uuid} is locked by host ${node.reservation}, which works on it`)]
}
