/** A power change that an operator asked for. It moves no provision state. */
import { forgetAgent } from '#db/agents.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { bootInstanceAgain } from '#drivers/instance.ts'
import { isSwitchable, PowerStateTimeout, powerCycle, powerTo } from '#drivers/power.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type PowerTarget, powerTargets } from '#protocol/states.ts'
import type { FlowDefinition } from '../flow-definition.ts'

export const power: FlowDefinition = {
  kind: 'power',
  stateless: true,
  about: args => String(args.target),
  async run(ctx, args) {
    const target = args.target as PowerTarget // one of the table, checked by the API
    if (powerTargets[target] === 'power on') {
      await ctx.flow.once('boot device again', async () => bootInstanceAgain(await ctx.fresh()))
    }
    const limitMs = Number(args.timeout_s ?? ctx.config.conductor.soft_power_off_timeout) * 1000
    const isRestart = target === 'rebooting' || (target === 'soft rebooting' && !isSwitchable(ctx))
    if (isRestart) await powerCycle(ctx, 'reboot')
    else if (target === 'soft power off') await softOff(ctx, limitMs)
    else if (target === 'soft rebooting') {
      await softOff(ctx, limitMs)
      await powerTo(ctx, 'on again', 'power on')
    } else await powerTo(ctx, target, target)
    return null
  },
  failed: () => ({ target_power_state: null }),
  succeeded: () => ({ target_power_state: null }),
}

/** Asks the operating system to go down, by the BMC's button. @throws PowerStateTimeout when it does not */
async function softOff(ctx: FlowContext, timeoutMs: number): Promise<void> {
  const { flow } = ctx
  await flow.once('soft power off: ask', async () => {
    const now = await ctx.fresh()
    if (!now.interfaces.power.supported.includes('soft power off')) {
      throw new InvalidInput(
        `Power interface ${now.node.power_interface} of node ${now.node.uuid} has no soft power off`,
      )
    }
    await now.interfaces.power.set(now, 'soft power off')
  })
  const onTimeout = () =>
    new PowerStateTimeout(
      `Node ${flow.nodeUuid} did not switch itself off within ${timeoutMs / 1000} s: ` +
        'its operating system ignored the request; use "power off" to force it',
    )
  await flow.until('soft power off: wait', { everyMs: 1000, timeoutMs, onTimeout }, async () => {
    const now = await ctx.fresh()
    return (await now.interfaces.power.get(now)) === 'power off' ? true : undefined
  })
  await flow.once('soft power off: done', async () => {
    await forgetAgent(ctx.db, flow.nodeUuid, { keepPregenerated: true })
    await flow.write({ power_state: 'power off' })
    await flow.event('power', { state: 'power off' })
  })
}
