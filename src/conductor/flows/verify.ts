/** Checks that the machine can be managed: enroll to manageable. Drivers may add steps to it. */
import { Unsupported } from '#drivers/driver.ts'
import { bmcPatienceMs, patiently } from '#drivers/patience.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { readHardwareSettings } from '../hardware-settings.ts'
import { nameOf, offered, own, planByPriority, same } from '../steps/plan.ts'
import { standing } from '../told.ts'

export const verify: FlowDefinition = {
  kind: 'verify',
  async run(ctx) {
    const { flow, config } = ctx
    await flow.once('read power state', async () => {
      const now = await ctx.fresh()
      const { power, management } = now.interfaces
      await power.validate(now)
      const power_state = await patiently(now, bmcPatienceMs, () => power.get(now))
      // A BMC that cannot tell the boot mode is no reason to refuse the machine.
      const boot_mode = await management.getBootMode(now).catch(error => {
        if (error instanceof Unsupported) return null
        throw error
      })
      await flow.write({ power_state, boot_mode })
    })
    const steps = await flow.once('plan verification', async () => {
      const entries = Object.entries(config.conductor.verify_step_priority_override)
      const overrides = Object.fromEntries(entries.map(([name, priority]) => [name, Number(priority)]))
      return planByPriority(own(await ctx.fresh(), 'verify'), 'verify', { overrides })
    })
    for (const step of steps) {
      await offered(ctx, 'verify')
        .find(other => same(other, step))
        ?.run(ctx, {})
      await flow.once(`verified: ${nameOf(step)}`, () =>
        flow.event('step finished', { kind: 'verify', step: nameOf(step), ...standing(ctx.node) }),
      )
    }
    await readHardwareSettings(ctx, 'read BIOS settings and firmware')
    return 'done'
  },
}
