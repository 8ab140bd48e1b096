/**
 * The steps of software RAID. Which arrays are wanted comes from the node (`target_raid_config`) or from the step's
 * argument; the conductor records what a step returns as the node's `raid_config`.
 */
import { AgentFault } from '../../errors.ts'
import type { Step } from '../manager.ts'
import { createRaid } from './create.ts'
import { deleteRaid } from './delete.ts'
import { assembleArrays } from './md.ts'
import { isSoftware, readRaidConfig } from './plan.ts'

export const raidSteps: readonly Step[] = [
  {
    step: 'delete_configuration',
    interface: 'raid',
    offered: { clean: { priority: 0, abortable: true }, service: { priority: 0, abortable: true } },
    run: async (_args, context) => await deleteRaid(context),
  },
  {
    step: 'create_configuration',
    interface: 'raid',
    offered: { clean: { priority: 0, abortable: true }, service: { priority: 0, abortable: true } },
    run: async (_args, context) => {
      const config = context.node.target_raid_config ?? {}
      if (!isSoftware(config)) return {}
      await assembleArrays(context.agent.settings)
      return await createRaid(config, context)
    },
  },
  {
    step: 'apply_configuration',
    interface: 'raid',
    offered: { deploy: { priority: 0 }, service: { priority: 0, abortable: true } },
    argsinfo: {
      raid_config: { description: 'The RAID configuration to apply.', required: true },
      delete_existing: { description: 'Delete what there is before. Default: true.', required: false },
    },
    run: async ({ raid_config: config, delete_existing: deleteExisting = true }, context) => {
      if (typeof config !== 'object' || config === null) {
        throw new AgentFault('SoftwareRAIDError', `raid_config is ${JSON.stringify(config)}, expected an object`)
      }
      // A configuration that cannot be made deletes nothing.
      if (isSoftware(config)) readRaidConfig(config, context.node)
      if (deleteExisting === true) await deleteRaid(context)
      return await createRaid(config, context)
    },
  },
]
