/**
 * For settings that firmware takes over when the machine starts: looks whether one is there, else starts the machine, waits,
 * and leaves its power as it was. Within one call, for settings that any flow may need.
 *
 * Source: drivers facts, "Boot mode" (ironic/drivers/modules/redfish/management.py restated).
 */
import { HardwareFault, type NodeContext } from '../driver.ts'
import { mayPass } from '../patience.ts'

/** The machine started anew and does not show the setting. */
export class SettingNotApplied extends HardwareFault {
  override readonly code = 'setting-not-applied'
}

const pollMs = 15_000
/** What shows at once shows by then. */
const promptMs = 1000

/** @throws SettingNotApplied after [redfish] boot_mode_config_timeout; 0 waits for nothing and starts nothing */
export async function restartUntil(ctx: NodeContext, what: string, isThere: () => Promise<boolean>): Promise<void> {
  const { boot_mode_config_timeout: limitS } = ctx.config.redfish
  if (limitS === 0) return
  if (await isThere()) return
  await ctx.clock.sleep(promptMs, ctx.signal)
  if (await isThere()) return
  const { power } = ctx.interfaces
  const before = await power.get(ctx)
  ctx.log.info({ what }, 'the machine is started for a setting that shows after a start alone')
  await power.set(ctx, before === 'power off' ? 'power on' : 'reset')
  const endMs = ctx.clock.now() + limitS * 1000
  for (;;) {
    await ctx.clock.sleep(pollMs, ctx.signal)
    try {
      if (await isThere()) break
    } catch (error) {
      if (!mayPass(error)) throw error
    }
    if (ctx.clock.now() >= endMs) {
      throw new SettingNotApplied(
        `Node ${ctx.node.uuid} was started for ${what} and does not show it ${limitS} s later`,
      )
    }
  }
  if (before === 'power off') await power.set(ctx, 'power off')
}
