/** Takes the instance off a node and cleans it: active (or a failed state) to available. */
import type { FlowDefinition } from '../engine.ts'
import { cleaning, cleaningFailed, undoCleaning } from './clean.ts'

export const undeploy: FlowDefinition = {
  kind: 'undeploy',
  async run(ctx, args) {
    await ctx.interfaces.deploy.tearDown(ctx)
    await ctx.flow.once('forget the instance', async () => {
      const { node } = await ctx.fresh()
      const { instance, root_uuid_or_disk_id, ...internal } = node.driver_internal_info
      await ctx.flow.write({
        instance_info: {},
        instance_uuid: null,
        instance_name: null,
        deploy_step: {},
        driver_internal_info: internal,
      })
    })
    await ctx.flow.move('to cleaning', 'clean')
    return cleaning(ctx, args)
  },
  async undo(ctx) {
    if (ctx.node.provision_state === 'deleting') return
    await undoCleaning(ctx)
  },
  failed: (node, failure) => (node.provision_state === 'deleting' ? {} : cleaningFailed(node, failure)),
}
