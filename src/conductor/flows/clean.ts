/**
 * Cleaning: automated on the way to available, manual when an operator lists steps. Undeploying ends with it, too, so
 * the work is a function of its own that both flows call.
 */
import type { Config } from '#config/options.ts'
import type { Node, NodePatch } from '#db/nodes.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Args, FlowDefinition } from '../engine.ts'
import { available, planAsAsked, planAutomatedClean, runSteps, type UserStep } from '../steps.ts'

export const clean: FlowDefinition = {
  kind: 'clean',
  run: (ctx, args) => cleaning(ctx, args),
  undo: undoCleaning,
  failed: cleaningFailed,
  target: args => (args.clean_steps ? 'manageable' : undefined),
}

/** Boots the ramdisk, runs the steps, switches off; returns the event that ends it. */
export async function cleaning(ctx: FlowContext, args: Args): Promise<string> {
  const { flow, config } = ctx
  const asked = args.clean_steps as UserStep[] | undefined // checked against its schema by the API
  const { end, enabled } = await flow.once('what to clean', async () => {
    const { node } = await ctx.fresh()
    const enabled = asked !== undefined || (node.automated_clean ?? config.conductor.automated_clean)
    if (enabled) checkMaintenance(node, config)
    return { end: asked || node.retired ? 'manage' : 'done', enabled }
  })
  if (!enabled) return end

  const { deploy } = ctx.interfaces
  await deploy.prepareCleaning(ctx)
  const plan = await flow.once('plan cleaning', async () => {
    const offer = await available(await ctx.fresh(), 'clean', { agent: deploy.usesAgent })
    const steps = asked ? planAsAsked(offer, asked, 'clean') : planAutomatedClean(offer, overrides(ctx))
    return { steps, versions: offer.versions }
  })
  await runSteps(ctx, 'clean', plan.steps, { prefix: 'clean ', versions: plan.versions })
  await deploy.tearDownCleaning(ctx, { powerOff: true })
  return end
}

/** Undeploying in maintenance is allowed; the automated cleaning behind it is not, where the option says so. */
function checkMaintenance(node: Node, config: Config): void {
  if (!node.maintenance || config.conductor.allow_provisioning_in_maintenance) return
  throw new InvalidInput(`Cannot clean node ${node.uuid} while it is in maintenance`)
}

/** After a failed or aborted cleaning: boot files go; the machine stays on for a look unless configured otherwise. */
export async function undoCleaning(ctx: FlowContext): Promise<void> {
  await ctx.interfaces.deploy.tearDownCleaning(ctx, { powerOff: ctx.config.conductor.poweroff_in_cleanfail })
}

/** A step that failed may have left the machine in any shape: maintenance keeps everybody off it. */
export function cleaningFailed(
  node: { clean_step: Record<string, unknown>; maintenance_reason: string | null },
  failure: { message: string; aborted: boolean },
): NodePatch {
  if (failure.aborted || Object.keys(node.clean_step).length === 0) return { clean_step: {} }
  return {
    clean_step: {},
    maintenance: true,
    maintenance_reason: node.maintenance_reason ?? failure.message,
    fault: 'clean failure',
  }
}

/** Priorities that the configuration sets over those of driver and agent. */
function overrides(ctx: FlowContext): Record<string, number> {
  const { deploy, conductor } = ctx.config
  const out: Record<string, number> = {}
  const set = (name: string, priority: number | null) => {
    if (priority !== null) out[name] = priority
  }
  set('deploy.erase_devices', deploy.erase_devices_priority)
  set('deploy.erase_devices_metadata', deploy.erase_devices_metadata_priority)
  set('raid.delete_configuration', deploy.delete_configuration_priority)
  set('raid.create_configuration', deploy.create_configuration_priority)
  for (const [name, priority] of Object.entries(conductor.clean_step_priority_override)) out[name] = Number(priority)
  return out
}
