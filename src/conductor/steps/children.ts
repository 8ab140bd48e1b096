/**
 * Steps on the nodes that a node contains: one after the other, each under a lease of its own, recorded in the flow of
 * the containing node. Only steps of the conductor's side: a contained node has no ramdisk that belongs to this flow.
 *
 * Source: "Step engine" of the cleaning facts (ironic/conductor/cleaning.py, execute_step_on_child_nodes, restated).
 */
import { childrenOf } from '#db/children.ts'
import type { FlowContext } from '#drivers/driver.ts'
import type { StepKind } from '#drivers/step.ts'
import { InvalidInput } from '#lib/fault.ts'
import { nameOf, offered, type PlannedStep, problemsWith, same } from './plan.ts'
import { isReserved, reservedSpec, runReserved } from './reserved.ts'

/** Runs the step on each contained node, or on those that it is limited to; `id` is unique in the flow. */
export async function runOnChildren(ctx: FlowContext, kind: StepKind, id: string, step: PlannedStep): Promise<void> {
  const children = await ctx.flow.once(`${id}: contained nodes`, async () => {
    const all = await childrenOf(ctx.db, ctx.node.uuid)
    return step.children ? all.filter(uuid => step.children?.includes(uuid)) : all
  })
  for (const uuid of children) {
    const inner = await ctx.child(uuid, `${id} on ${uuid}: `)
    await runOnChild(inner, kind, step)
  }
}

async function runOnChild(ctx: FlowContext, kind: StepKind, step: PlannedStep): Promise<void> {
  const where = `Cannot run the ${kind} step ${nameOf(step)} on the contained node ${ctx.node.uuid}`
  if (isReserved(step.step)) {
    if (step.step === 'hold' || step.step === 'wait') {
      throw new InvalidInput(`${where}: only the containing node can hold or wait`)
    }
    refuse(where, problemsWith({ ...reservedSpec(step.step), interface: step.interface, priority: 0 }, step.args))
    await runReserved(ctx, { id: 'power', step: step.step, args: step.args, ramdisk: null, callbackTimeoutS: 0 })
    return
  }
  const found = offered(ctx, kind).find(other => same(other, step))
  if (!found)
    throw new InvalidInput(`${where}: its interfaces have no such step, and steps of an agent run on their own node`)
  refuse(where, problemsWith(found, step.args))
  await found.run(ctx, step.args)
}

function refuse(where: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new InvalidInput(`${where}: ${problems.join('; ')}`)
}
