/**
 * Taking a machine away from its instance for a while, and giving it back: the same for servicing and rescue, whatever
 * boots meanwhile. The disk is never touched.
 */
import type { FlowContext, RamdiskMode } from './driver.ts'
import { bmcPatienceMs, patiently } from './patience.ts'
import { powerCycle, powerTo } from './power.ts'

/** Switches the instance off and takes it from its network, for a ramdisk that boots next. */
export async function leaveInstance(ctx: FlowContext, mode: RamdiskMode): Promise<void> {
  const { flow } = ctx
  if (!ctx.node.disable_power_off) await powerTo(ctx, `switch the instance off for ${mode}`, 'power off')
  await flow.once(`leave the instance for ${mode}`, async () => {
    const now = await ctx.fresh()
    await now.interfaces.boot.cleanUpInstance(now)
    await now.interfaces.network.detach(now, 'tenant')
  })
}

/** Boots the instance from its disk, in its network. What booted meanwhile has been removed. */
export async function returnToInstance(ctx: FlowContext): Promise<void> {
  const { flow } = ctx
  if (!ctx.node.disable_power_off) await powerTo(ctx, 'switch off for the instance', 'power off')
  await flow.once('give the machine back', async () => {
    const now = await ctx.fresh()
    await now.interfaces.network.attach(now, 'tenant')
    await patiently(now, bmcPatienceMs, () => now.interfaces.boot.prepareInstance(now))
  })
  if (ctx.node.disable_power_off) await powerCycle(ctx, 'boot the instance again')
  else await powerTo(ctx, 'boot the instance again', 'power on')
}

/** Makes what boots a running instance this service's own; neither power nor disk are touched. */
export async function takeOverBoot(ctx: FlowContext): Promise<void> {
  const now = await ctx.fresh()
  await patiently(now, bmcPatienceMs, () => now.interfaces.boot.prepareInstance(now))
}
