/**
 * Rescue: a system beside the instance for a user who cannot get in any more, and the way back. The password's hash
 * comes in the flow's arguments, which are forgotten when it ends; it is in no column of the node, no event and no log.
 *
 * Source: cleaning facts, "Rescue" (ironic/conductor/manager.py, do_node_rescue and do_node_unrescue, restated).
 */
import type { RescueSecret } from '#drivers/driver.ts'
import { powerTo } from '#drivers/power.ts'
import type { FlowDefinition } from '../flow-definition.ts'

export const rescue: FlowDefinition = {
  kind: 'rescue',
  async run(ctx, args) {
    await ctx.interfaces.rescue.rescue(ctx, args.secret as RescueSecret) // made by provisioning.ts
    return 'done'
  },

  /** Whoever aborts may want to look at the machine; after a failure nothing of the ramdisk may go on. */
  async undo(ctx, _args, failure) {
    try {
      if (!failure.aborted && !ctx.node.disable_power_off) await powerTo(ctx, 'power off after rescue', 'power off')
    } finally {
      await ctx.interfaces.rescue.cleanUp(ctx)
    }
  },

  failed(node, failure) {
    if (!failure.aborted || !failure.undoFailed) return {}
    const maintenance_reason = node.maintenance_reason ?? failure.message
    return { maintenance: true, maintenance_reason, fault: 'rescue abort failure' }
  },
}

export const unrescue: FlowDefinition = {
  kind: 'unrescue',
  async run(ctx) {
    await ctx.interfaces.rescue.unrescue(ctx)
    return 'done'
  },
}
