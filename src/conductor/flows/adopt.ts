/**
 * Takes a machine that was deployed by others as it stands: manageable to active. Boot files become ours; power, disk and
 * boot order stay as they are.
 *
 * Source: cleaning facts, "Adoption" (ironic/conductor/manager.py, _do_adoption, restated).
 */
import type { FlowDefinition } from '../flow-definition.ts'

export const adopt: FlowDefinition = {
  kind: 'adopt',
  async run(ctx) {
    await ctx.interfaces.deploy.adopt(ctx)
    await ctx.flow.once('start the console', async () => {
      const now = await ctx.fresh()
      if (now.node.console_enabled) await now.interfaces.console.start(now)
    })
    return 'done'
  },
  // What was known of the power of a machine that could not be adopted is worth nothing.
  failed: () => ({ power_state: null }),
}
