/** Rescue of a machine that is not there: it takes its time, and forgets the password at once. */
import type { RescueInterface } from '../driver.ts'
import { leaveInstance, returnToInstance } from '../instance.ts'
import { powerTo } from '../power.ts'
import { takeTime } from './machine.ts'

export default {
  validate: async () => {},

  async rescue(ctx) {
    await leaveInstance(ctx, 'rescue')
    await powerTo(ctx, 'boot the fake rescue system', 'power on')
    await ctx.flow.once('fake rescue', () => takeTime(ctx, 'rescue'))
  },

  unrescue: ctx => returnToInstance(ctx),

  async cleanUp(ctx) {
    await ctx.flow.once('clean up the fake rescue', () => takeTime(ctx, 'rescue'))
  },
} satisfies RescueInterface
