/** Puts an image on a node and boots it: available to active; rebuilding is the same from active. */
import { configDrive } from '#images/config-drive.ts'
import type { FlowDefinition } from '../engine.ts'
import { available, planDeploy, runSteps, type UserStep } from '../steps.ts'

export const deploy: FlowDefinition = {
  kind: 'deploy',
  async run(ctx, args) {
    const { flow } = ctx
    const asked = (args.deploy_steps ?? []) as UserStep[] // checked against its schema by the API
    await flow.once('store config drive', async () => {
      if (args.configdrive === undefined) return
      const { node } = await ctx.fresh()
      const configdrive = await configDrive(args.configdrive as string | Record<string, unknown>, node) // as above
      await flow.write({ instance_info: { ...node.instance_info, configdrive } })
    })
    const { deploy: way } = ctx.interfaces
    await way.prepare(ctx)

    // What can be done before the agent is there; the last of these steps boots it.
    const early = await flow.once('plan', async () => {
      const steps = planDeploy(await available(ctx, 'deploy', { agent: false }), asked, { complete: false })
      return way.usesAgent ? steps.filter(step => step.priority >= agentFrom) : steps
    })
    await runSteps(ctx, 'deploy', early, { prefix: 'deploy ', versions: null })
    if (!way.usesAgent) return 'done'

    const late = await flow.once('plan with agent', async () => {
      const offer = await available(await ctx.fresh(), 'deploy', { agent: true })
      const steps = planDeploy(offer, asked, { complete: true })
      const ran = (step: { interface: string; step: string }) =>
        early.some(other => other.interface === step.interface && other.step === step.step)
      return { steps: steps.filter(step => !ran(step)), versions: offer.versions }
    })
    await runSteps(ctx, 'deploy', late.steps, { prefix: 'deploy with agent ', versions: late.versions })
    return 'done'
  },
  undo: ctx => ctx.interfaces.deploy.cleanUp(ctx),
  failed: () => ({ deploy_step: {} }),
}

/** Steps of this priority and above run without an agent; `deploy.deploy` itself boots it. */
const agentFrom = 100
