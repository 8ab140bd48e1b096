/**
 * Puts an image on a node and boots it: available to active; rebuilding is the same from active.
 *
 * Source: deploy interfaces, "Common flow of a deployment" (ironic/conductor/deployments.py restated).
 */
import { collectLogs } from '#drivers/agent/collect-logs.ts'
import type { DeployInterface } from '#drivers/driver.ts'
import { configDrive } from '#images/config-drive.ts'
import { InvalidInput } from '#lib/fault.ts'
import { awaitPlace } from '../admission.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { type AskedStep, type Offer, own, type PlannedStep, planDeploy, same, withAgent } from '../steps/plan.ts'
import { planAndRun } from '../steps/run.ts'
import { templateSteps } from './deploy-templates.ts'

export const deploy: FlowDefinition = {
  kind: 'deploy',
  async run(ctx, args) {
    const { flow, config } = ctx
    await awaitPlace(ctx, 'deploy')
    await flow.once('store config drive', async () => {
      if (args.configdrive === undefined) return
      const now = await ctx.fresh()
      const { node } = now
      const configdrive = await configDrive(args.configdrive as string | Record<string, unknown>, now) // by its schema
      await flow.write({ instance_info: { ...node.instance_info, configdrive } })
    })
    const { deploy: way } = ctx.interfaces
    await way.prepare(ctx)

    const asked = (args.deploy_steps ?? []) as AskedStep[] // checked against its schema by the API
    const templates = await flow.once('steps of templates', async () => templateSteps(await ctx.fresh()))
    const wishes = { asked, templates }
    const { disallow_deploy_steps: disallowed } = config.api
    // A ramdisk that is in use boots again whenever the machine is switched on; after that step its disk does.
    const byAgent = deploysByAgent(way)
    const ramdiskAt = (step: PlannedStep) => byAgent && step.priority > instanceFrom

    // What can be done before the agent is there; the last of these steps boots it.
    const early = await planAndRun(ctx, {
      kind: 'deploy',
      prefix: 'deploy ',
      planName: 'plan',
      async plan() {
        const offer = own(await ctx.fresh(), 'deploy')
        return { steps: stepsBeforeAgent(offer, wishes, { byAgent, disallowed }), versions: null }
      },
      rest: steps => steps,
      ramdiskAt,
    })
    if (!byAgent) return 'done'

    await planAndRun(ctx, {
      kind: 'deploy',
      prefix: 'deploy with agent ',
      planName: 'plan with agent',
      async plan() {
        const now = await ctx.fresh()
        if (!now.agent?.url) {
          throw new InvalidInput(
            `Cannot deploy node ${now.node.uuid}: no agent runs on it, and no step has booted one; ` +
              'expected the step deploy.deploy, which was left out, or an agent that runs already (fast track)',
          )
        }
        const offer = await withAgent(now, 'deploy')
        const steps = planDeploy(offer, wishes, { complete: true, disallowed })
        way.checkAgentSteps?.(
          now,
          steps.filter(step => step.side === 'agent'),
        )
        return { steps: notIn(early, steps), versions: offer.versions }
      },
      rest: (steps, ran) => notIn(ran, steps),
      ramdiskAt,
    })
    return 'done'
  },
  async undo(ctx, _args, failure) {
    if (!failure.aborted) await collectLogs(ctx, { of: 'deployment', failed: true })
    await ctx.interfaces.deploy.cleanUp(ctx)
  },
  failed: () => ({ deploy_step: {} }),
}

/** Steps of this priority and above run without an agent; `deploy.deploy` itself boots it. */
const agentFrom = 100
/** At this priority the machine's boot becomes that of its instance. */
const instanceFrom = 60

export function deploysByAgent({ deploysByAgent, usesAgent }: Pick<DeployInterface, 'deploysByAgent' | 'usesAgent'>) {
  return deploysByAgent ?? usesAgent
}

/** What a deployment does before its agent is there: all, where there is none. @throws InvalidInput */
export function stepsBeforeAgent(
  offer: Offer,
  wishes: { asked: readonly AskedStep[]; templates: readonly AskedStep[] },
  { byAgent, disallowed }: { byAgent: boolean; disallowed: readonly string[] },
): PlannedStep[] {
  const steps = planDeploy(offer, wishes, { complete: !byAgent, disallowed })
  return byAgent ? steps.filter(step => step.priority >= agentFrom) : steps
}

/** Those of `steps` that have not run. */
export function notIn(ran: readonly PlannedStep[], steps: readonly PlannedStep[]): PlannedStep[] {
  return steps.filter(step => !ran.some(done => same(done, step)))
}
