/**
 * Servicing: listed steps on a machine that has an instance, which is switched off for them and comes back afterwards.
 *
 * Source: cleaning facts, "Servicing" (ironic/conductor/servicing.py restated).
 */
import { collectLogs } from '#drivers/agent/collect-logs.ts'
import type { FlowContext } from '#drivers/driver.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { type AskedStep, own, planAsAsked, withAgent } from '../steps/plan.ts'
import { planAndRun } from '../steps/run.ts'
import { hasStep, stepFailed } from './failed-step.ts'
import { checkListed, checkName, usedRamdisk } from './listed-steps.ts'

export const service: FlowDefinition = {
  kind: 'service',
  async run(ctx, args) {
    const { deploy } = ctx.interfaces
    const steps = args.service_steps as AskedStep[] // checked against its schema by the API
    const listed = { steps, disable_ramdisk: args.disable_ramdisk === true }
    const { ramdisk } = await ctx.flow.once(checkName, async () => {
      const checked = checkListed(await ctx.fresh(), 'service', listed)
      if (checked.ramdisk) await noteRamdisk(ctx, true)
      return checked
    })
    if (ramdisk) await deploy.prepareService(ctx)
    await planAndRun(ctx, {
      kind: 'service',
      prefix: 'service ',
      planName: 'plan servicing',
      async plan() {
        const now = await ctx.fresh()
        const offer = ramdisk && deploy.usesAgent ? await withAgent(now, 'service') : own(now, 'service')
        return { steps: planAsAsked(offer, steps, 'service', { complete: true, ramdisk }), versions: offer.versions }
      },
      rest: (all, ran) => all.slice(ran.length),
      ramdiskAt: () => ramdisk && deploy.usesAgent,
    })
    if (ramdisk) {
      await collectLogs(ctx, { of: 'service', failed: false })
      await giveBack(ctx)
    }
    return 'done'
  },

  /** The instance comes back, unless a step failed: then the machine is left as the step left it, for a look. */
  async undo(ctx, _args, failure) {
    if (!usedRamdisk(ctx)) return
    if (!failure.aborted) await collectLogs(ctx, { of: 'service', failed: true })
    if (failure.aborted || !hasStep(ctx.node, 'service')) return giveBack(ctx)
    const powerOff = ctx.config.conductor.poweroff_in_servicefail
    await ctx.interfaces.deploy.tearDownService(ctx, { instance: false, powerOff })
  },
  failed: (node, failure) => stepFailed('service', node, failure),
  afterAbort: 'abort',
}

/** What an operator asks for after a failure, when the machine is to be as it was: back to its instance. */
export const serviceAbort: FlowDefinition = {
  kind: 'service abort',
  async run(ctx) {
    const isOut = await ctx.flow.once('is the ramdisk in', async () => {
      const { node } = await ctx.fresh()
      return node.driver_internal_info.service_ramdisk === true
    })
    if (isOut) await giveBack(ctx)
    return null
  },
  succeeded: () => ({ service_step: {} }),
}

async function giveBack(ctx: FlowContext): Promise<void> {
  await ctx.interfaces.deploy.tearDownService(ctx, { instance: true, powerOff: true })
  await ctx.flow.once('the instance is back', () => noteRamdisk(ctx, false))
}

/** Whether the machine may be in the ramdisk instead of its instance; outlives the flow. */
async function noteRamdisk(ctx: FlowContext, isIn: boolean): Promise<void> {
  const { driver_internal_info: internal } = (await ctx.fresh()).node
  await ctx.flow.write({ driver_internal_info: { ...internal, service_ramdisk: isIn } })
}
