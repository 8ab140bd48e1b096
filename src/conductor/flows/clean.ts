/**
 * Cleaning: automated on the way to available, manual when an operator lists steps. Undeploying ends with it, too, so
 * the work is a function of its own that both flows call.
 *
 * Source: cleaning facts, "Cleaning" (ironic/conductor/cleaning.py restated).
 */
import type { Config } from '#config/options.ts'
import { collectLogs } from '#drivers/agent/collect-logs.ts'
import type { FlowContext, NodeContext } from '#drivers/driver.ts'
import { Conflict } from '#lib/fault.ts'
import { awaitPlace } from '../admission.ts'
import { ownDeployPatch } from '../deploy-choice.ts'
import type { Args, Failure, FlowDefinition } from '../flow-definition.ts'
import { readHardwareSettings } from '../hardware-settings.ts'
import {
  type AskedStep,
  type Offer,
  own,
  type PlannedStep,
  planAsAsked,
  planByPriority,
  withAgent,
} from '../steps/plan.ts'
import { planAndRun } from '../steps/run.ts'
import { automatedSteps, type ListedSteps } from './automated-clean.ts'
import { hasStep, stepFailed } from './failed-step.ts'
import { checkListed, checkName, usedRamdisk } from './listed-steps.ts'

export const clean: FlowDefinition = {
  kind: 'clean',
  run: (ctx, args) => cleaning(ctx, args),
  undo: undoCleaning,
  failed: (node, failure) => stepFailed('clean', node, failure),
  succeeded: ownDeployPatch,
  target: args => (args.clean_steps ? 'manageable' : undefined),
}

/** Boots the ramdisk if it is needed, runs the steps, switches off; returns the event that ends it. */
export async function cleaning(ctx: FlowContext, args: Args): Promise<string> {
  const { flow, config } = ctx
  const manual = args.clean_steps as AskedStep[] | undefined // checked against its schema by the API
  const { end, enabled, listed } = await flow.once('what to clean', async () => {
    const now = await ctx.fresh()
    const { node } = now
    const enabled = manual !== undefined || cleansByItself(now)
    if (enabled && node.maintenance && !config.conductor.allow_provisioning_in_maintenance) {
      throw new Conflict(`Cannot clean node ${node.uuid} while it is in maintenance`)
    }
    const asked: ListedSteps | null = manual
      ? { steps: manual, disable_ramdisk: args.disable_ramdisk === true }
      : enabled
        ? await automatedSteps(now)
        : null
    return { end: manual || node.retired ? 'manage' : 'done', enabled, listed: asked }
  })
  if (!enabled) return end
  await awaitPlace(ctx, 'clean')

  const { deploy } = ctx.interfaces
  const { ramdisk } = await flow.once(checkName, async () =>
    listed ? checkListed(await ctx.fresh(), 'clean', listed) : { ramdisk: true },
  )
  if (ramdisk) await deploy.prepareCleaning(ctx)
  await planAndRun(ctx, {
    kind: 'clean',
    prefix: 'clean ',
    planName: 'plan cleaning',
    async plan() {
      const now = await ctx.fresh()
      const offer = ramdisk && deploy.usesAgent ? await withAgent(now, 'clean') : own(now, 'clean')
      return { steps: stepsOfCleaning(offer, { config, listed, ramdisk }), versions: offer.versions }
    },
    // What a list names is not run twice; steps that other hardware managers chose may all be others now.
    rest: (steps, ran) => (listed ? steps.slice(ran.length) : steps),
    ramdiskAt: () => ramdisk && deploy.usesAgent,
  })
  if (ramdisk) {
    await collectLogs(ctx, { of: 'cleaning', failed: false })
    await deploy.tearDownCleaning(ctx, { powerOff: true, fastTrack: true })
  }
  await readHardwareSettings(ctx, 'read BIOS settings and firmware after cleaning')
  return end
}

/**
 * After a failed or aborted cleaning: boot files go. A machine whose step failed stays on for a look unless configured
 * otherwise.
 */
export async function undoCleaning(ctx: FlowContext, _args: Args, failure: Failure): Promise<void> {
  if (!usedRamdisk(ctx)) return
  if (!failure.aborted) await collectLogs(ctx, { of: 'cleaning', failed: true })
  const inStep = !failure.aborted && hasStep(ctx.node, 'clean')
  const powerOff = !inStep || ctx.config.conductor.poweroff_in_cleanfail
  await ctx.interfaces.deploy.tearDownCleaning(ctx, { powerOff })
}

/** Is the node cleaned where nobody lists steps? */
export function cleansByItself({ node, config }: Pick<NodeContext, 'node' | 'config'>): boolean {
  return node.automated_clean ?? config.conductor.automated_clean
}

/** The steps of a cleaning, in their order. @param cleaning.listed null: by their priorities @throws InvalidInput */
export function stepsOfCleaning(
  offer: Offer,
  { config, listed, ramdisk }: { config: Config; listed: ListedSteps | null; ramdisk: boolean },
): PlannedStep[] {
  if (listed) return planAsAsked(offer, listed.steps, 'clean', { complete: true, ramdisk })
  const { disallow_clean_steps: disallowed } = config.api
  return planByPriority(offer, 'clean', { overrides: overrides(config), disallowed })
}

/** Priorities that the configuration sets over those of driver and agent. */
function overrides({ deploy, conductor }: Config): Record<string, number> {
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
