/** Checks that the machine can be managed: enroll to manageable. */
import { Unsupported } from '#drivers/driver.ts'
import type { FlowDefinition } from '../engine.ts'

export const verify: FlowDefinition = {
  kind: 'verify',
  async run(ctx) {
    await ctx.flow.once('read power state', async () => {
      const now = await ctx.fresh()
      const { power, management } = now.interfaces
      await power.validate(now)
      const power_state = await power.get(now)
      // A BMC that cannot tell the boot mode is no reason to refuse the machine.
      const boot_mode = await management.getBootMode(now).catch(error => {
        if (error instanceof Unsupported) return null
        throw error
      })
      await ctx.flow.write({ power_state, boot_mode })
    })
    return 'done'
  },
}
