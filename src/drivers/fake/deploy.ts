/**
 * A deployment without agent or disk: the steps are there with Ironic's names and priorities, so that the course of a
 * deployment can be watched, and nothing is written anywhere. Power and boot device go through the node's interfaces.
 *
 * Source: ironic/drivers/modules/fake.py (behaviour).
 */
import type { DeployInterface, NodeContext } from '../driver.ts'
import { leaveInstance, returnToInstance, takeOverBoot } from '../instance.ts'
import { plannedOff, plannedStart } from '../planned-power.ts'
import { powerTo } from '../power.ts'
import type { DeployPart, PowerChange, Step } from '../step.ts'
import { takeTime } from './machine.ts'

const deploy: Step = {
  interface: 'deploy',
  step: 'deploy',
  priority: 100,
  kinds: ['deploy'],
  plannedPower: () => ['power on'],
  async run(ctx) {
    await ctx.flow.once('fake deploy', () => takeTime(ctx, 'deploy'))
    await ctx.flow.once('fake instance boot', async () => {
      const now = await ctx.fresh()
      await now.interfaces.boot.prepareInstance(now)
    })
    await powerTo(ctx, 'boot the fake instance', 'power on')
  },
}

function plannedPower(ctx: NodeContext, part: DeployPart): readonly PowerChange[] {
  if (part === 'tear down' || part === 'service') return plannedOff(ctx)
  return part === 'after service' ? [...plannedOff(ctx), ...plannedStart(ctx)] : []
}

export default {
  usesAgent: false,
  steps: [deploy],
  validate: async () => {},
  plannedPower,
  prepare: async () => {},
  cleanUp: async () => {},

  async tearDown(ctx) {
    if (!ctx.node.disable_power_off) await powerTo(ctx, 'power off the fake instance', 'power off')
    await ctx.flow.once('remove the fake instance', () => takeTime(ctx, 'deploy'))
  },

  async prepareCleaning(ctx) {
    await ctx.flow.once('prepare fake cleaning', () => takeTime(ctx, 'deploy'))
  },

  tearDownCleaning: async () => {},

  async prepareService(ctx) {
    await leaveInstance(ctx, 'service')
    await ctx.flow.once('prepare fake servicing', () => takeTime(ctx, 'deploy'))
  },

  async tearDownService(ctx, { instance, powerOff }) {
    if (powerOff && !instance) await powerTo(ctx, 'power off after fake servicing', 'power off')
    if (instance) await returnToInstance(ctx)
  },

  adopt: ctx => ctx.flow.once('take over the fake boot', () => takeOverBoot(ctx)),
} satisfies DeployInterface
