/** Inspection of a machine that is not there: it takes its time and finds what the node says already. */
import type { InspectInterface } from '../driver.ts'
import { takeTime } from './machine.ts'

export default {
  validate: async () => {},

  async inspect(ctx) {
    await ctx.flow.once('fake inspection', () => takeTime(ctx, 'inspect'))
  },

  cleanUp: async () => {},
} satisfies InspectInterface
