/** Finds out what the machine is: manageable to manageable. How is the inspect interface's business. */
import { timestamp } from '#protocol/field.ts'
import type { FlowDefinition } from '../flow-definition.ts'

export const inspect: FlowDefinition = {
  kind: 'inspect',
  async run(ctx) {
    await ctx.interfaces.inspect.inspect(ctx)
    const finished = await ctx.flow.once('finished', async () => timestamp(ctx.clock.now()))
    await ctx.flow.once('note the end', () =>
      ctx.flow.write({ inspection_finished_at: finished, inspection_started_at: null }),
    )
    return 'done'
  },
  undo: ctx => ctx.interfaces.inspect.cleanUp(ctx),
}
