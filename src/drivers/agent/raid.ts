/**
 * The `agent` RAID interface: the agent in the ramdisk builds RAID and takes it apart, by software or by a hardware manager
 * that knows the controller. Here configurations are checked before a machine boots for them, and what was built is
 * written into the node.
 *
 * Source: RAID reference, "agent" (ironic/drivers/modules/agent.py, AgentRAID, restated).
 */

import { isTrue } from '#lib/truth.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowContext, NodeContext, PlainInterface } from '../driver.ts'
import { checkRaidConfig, raidBuilt, raidGone, wantedRaid } from '../raid-config.ts'
import type { Step } from '../step.ts'
import { AgentCommandFailed, type AgentStepKind, runAgentStep } from './steps.ts'

type Args = Readonly<Record<string, unknown>>

/** A step that the agent runs, between what is to be done before and after. */
interface Work {
  spec: Pick<Step, 'step' | 'abortable' | 'argsinfo'>
  /** What the agent finds in the node as what is wanted; absent: what the row has. @throws InvalidInput */
  target?(now: FlowContext, args: Args): Record<string, unknown>
  /** @throws InvalidInput */
  check?(args: Args): void
  /** What is left for the agent to read. */
  passed(args: Args): Record<string, unknown>
  after(now: FlowContext, result: Record<string, unknown> | null): Parameters<FlowContext['flow']['write']>[0]
}

const create: Work = {
  spec: {
    step: 'create_configuration',
    abortable: true,
    argsinfo: {
      create_root_volume: { description: 'Build the root volume. Default: true.', required: false },
      create_nonroot_volumes: { description: 'Build the other volumes. Default: true.', required: false },
    },
  },
  target: ({ node }, { create_root_volume: root, create_nonroot_volumes: others }) => {
    checkRaidConfig(node.target_raid_config)
    return wantedRaid(node, { root: isTrue(root ?? true) ?? true, others: isTrue(others ?? true) ?? true })
  },
  passed: () => ({}),
  after: built,
}

const remove: Work = {
  spec: { step: 'delete_configuration', abortable: true },
  passed: () => ({}),
  after: ({ node }) => raidGone(node),
}

const apply: Work = {
  spec: {
    step: 'apply_configuration',
    argsinfo: {
      raid_config: { description: 'The RAID configuration to apply.', required: true },
      delete_existing: { description: 'Delete what there is before. Default: true.', required: false },
    },
  },
  check: ({ raid_config }) => checkRaidConfig(raid_config),
  passed: ({ raid_config, delete_existing }) => ({
    raid_config,
    delete_existing: isTrue(delete_existing ?? true) ?? true,
  }),
  after: built,
}

export default {
  steps: [
    ...[create, remove].flatMap(work => [stepOf(work, 'clean'), stepOf(work, 'service')]),
    ...[stepOf(apply, 'deploy'), stepOf(apply, 'service')],
  ],
  async validate({ node }) {
    checkRaidConfig(node.target_raid_config)
  },
  validateConfig: (_ctx, config) => checkRaidConfig(config),
} satisfies PlainInterface & {
  /** Asked when an operator sets a configuration. @throws InvalidInput */
  validateConfig(ctx: NodeContext, config: Record<string, unknown>): void
}

function stepOf(work: Work, kind: AgentStepKind): Step {
  const step: Step = {
    interface: 'raid',
    priority: 0,
    kinds: [kind],
    ...work.spec,
    async run(ctx, args) {
      work.check?.(args)
      const { target } = work
      // The agent reads what is wanted from the node.
      const asked: FlowContext = target
        ? {
            ...ctx,
            async fresh() {
              const now = await ctx.fresh()
              return { ...now, node: { ...now.node, target_raid_config: target(now, args) } }
            },
          }
        : ctx
      const id = ctx.stepId ?? `raid.${step.step}`
      const { versionsChanged, raid } = await runAgentStep(asked, kind, id, step, async () => work.passed(args))
      if (versionsChanged) return 'versions changed'
      await ctx.flow.once(`${id}: raid_config`, async () => {
        const now = await ctx.fresh()
        await ctx.flow.write(work.after(now, raid))
      })
      return 'done'
    },
  }
  return step
}

function built({ node, clock }: FlowContext, result: Record<string, unknown> | null) {
  if (result !== null && Object.keys(result).length > 0) return raidBuilt(node, result, timestamp(clock.now()))
  throw new AgentCommandFailed(
    `The agent of node ${node.uuid} built RAID and did not say which: found ${JSON.stringify(result)}, expected logical_disks`,
  )
}
