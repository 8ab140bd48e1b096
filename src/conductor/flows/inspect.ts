/**
 * Finds out what the machine is: manageable to manageable. How is the inspect interface's business; what is made of it,
 * the inspection rules'.
 */
import { dropFound } from '#db/inspections.ts'
import { messageOf } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { finishInspection, type RuleDrivers } from '../inspection/finish.ts'

export interface InspectWorld extends RuleDrivers {
  /** Lets machines that are inspected now boot, where a filter keeps them from it. */
  allowBoots(): Promise<void>
}

export function inspect(world: InspectWorld): FlowDefinition {
  return {
    kind: 'inspect',
    async run(ctx) {
      await ctx.flow.once('forget what was found before', () => dropFound(ctx.db, ctx.flow.nodeUuid))
      await ctx.flow.once('let the machine boot', async () => {
        // The filter is brought up to date again and again: this is only sooner.
        await world.allowBoots().catch(error => ctx.log.warn({ node: ctx.flow.nodeUuid }, messageOf(error)))
      })
      await ctx.interfaces.inspect.inspect(ctx)
      await finishInspection(ctx, world)
      const finished = await ctx.flow.once('finished', async () => timestamp(ctx.clock.now()))
      await ctx.flow.once('note the end', () =>
        ctx.flow.write({ inspection_finished_at: finished, inspection_started_at: null }),
      )
      return 'done'
    },
    undo: ctx => ctx.interfaces.inspect.cleanUp(ctx),
  }
}
