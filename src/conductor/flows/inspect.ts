/**
 * Finds out what the machine is: manageable to manageable. How is the inspect interface's business; what is made of it,
 * the inspection rules'.
 */
import { dropFound } from '#db/inspections.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { finishInspection, type RuleDrivers } from '../inspection/finish.ts'

export function inspect(drivers: RuleDrivers): FlowDefinition {
  return {
    kind: 'inspect',
    async run(ctx) {
      await ctx.flow.once('forget what was found before', () => dropFound(ctx.db, ctx.flow.nodeUuid))
      await ctx.interfaces.inspect.inspect(ctx)
      await finishInspection(ctx, drivers)
      const finished = await ctx.flow.once('finished', async () => timestamp(ctx.clock.now()))
      await ctx.flow.once('note the end', () =>
        ctx.flow.write({ inspection_finished_at: finished, inspection_started_at: null }),
      )
      return 'done'
    },
    undo: ctx => ctx.interfaces.inspect.cleanUp(ctx),
  }
}
