/**
 * The `custom-agent` deploy interface: the ramdisk brings a hardware manager of the operator's that knows how to put the
 * instance on the disk. The conductor boots that ramdisk, runs the steps that its agent offers, and hands over as for any
 * other deployment; of images it knows nothing.
 *
 * Source: deploy interfaces, "custom-agent" (ironic/drivers/modules/agent.py restated).
 */
import { InvalidInput } from '#lib/fault.ts'
import type { DeployInterface, NodeContext } from '../driver.ts'
import type { StepSpec } from '../step.ts'
import { agentLife } from './agent-deploy.ts'
import { validateCapabilities } from './capabilities.ts'
import { deployStep, handOverSteps, prepareInstanceBootStep } from './deploy-steps.ts'
import { validateRootDevice } from './root-device.ts'

async function validate(ctx: NodeContext): Promise<void> {
  await ctx.interfaces.boot.validate(ctx)
  validateCapabilities(ctx)
  validateRootDevice(ctx)
}

/** Steps of these priorities have the disk to themselves: the agent is there, and nothing boots from the disk yet. */
const writing = { least: 61, most: 99 }

function checkAgentSteps({ node }: NodeContext, steps: readonly StepSpec[]): void {
  if (steps.some(({ priority }) => priority >= writing.least && priority <= writing.most)) return
  const found = steps.map(({ interface: type, step, priority }) => `${type}.${step} with priority ${priority}`)
  throw new InvalidInput(
    `Cannot deploy node ${node.uuid} with custom-agent: no step of its agent writes the image. ` +
      `Of the agent's steps these would run: ${found.join(', ') || 'none'}; expected at least one with a priority from ` +
      `${writing.least} to ${writing.most}, from a hardware manager in the ramdisk, or asked for in deploy_steps or a template`,
  )
}

export default {
  ...agentLife,
  steps: [deployStep, prepareInstanceBootStep, ...handOverSteps],
  validate,
  checkAgentSteps,
} satisfies DeployInterface
