/**
 * Taking a machine away from its instance for a while, and giving it back: the same for servicing and rescue, whatever
 * boots meanwhile. The disk is never touched.
 */
import { Fault } from '#lib/fault.ts'
import type { BootDevice } from '#protocol/states.ts'
import type { RamdiskMode } from './boot-interfaces.ts'
import type { FlowContext } from './driver.ts'
import { bmcPatienceMs, patiently } from './patience.ts'
import { powerTo, startMachine } from './power.ts'

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

/**
 * Makes the next boots start the instance, inside a step of a flow. A BMC that keeps a boot device for one boot only is
 * noted: whoever switches the machine on later has to say it again.
 */
export async function prepareInstanceBoot(ctx: FlowContext): Promise<void> {
  await patiently(ctx, bmcPatienceMs, () => ctx.interfaces.boot.prepareInstance(ctx))
  const { boot_device, persistent } = await bootDeviceOf(ctx)
  const { boot_device_once: _, ...internal } = (await ctx.flow.node()).driver_internal_info
  const once = boot_device !== null && persistent === false ? { boot_device_once: boot_device } : {}
  await ctx.flow.write({ driver_internal_info: { ...internal, ...once } })
}

async function bootDeviceOf(ctx: FlowContext) {
  try {
    return await ctx.interfaces.management.getBootDevice(ctx)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    ctx.log.info({}, `whether the boot device lasts is not known: ${error.message}`)
    return { boot_device: null, persistent: null }
  }
}

/** Says the boot device of an instance again to a BMC that keeps it for one boot only; inside a step of a flow. */
export async function bootInstanceAgain(ctx: FlowContext): Promise<void> {
  const device = ctx.node.driver_internal_info.boot_device_once
  if (typeof device !== 'string' || ctx.node.provision_state !== 'active') return
  const known = device as BootDevice // written above
  await patiently(ctx, bmcPatienceMs, () => ctx.interfaces.management.setBootDevice(ctx, known, { persistent: true }))
}

/** Boots the instance from its disk, in its network. What booted meanwhile has been removed. */
export async function returnToInstance(ctx: FlowContext): Promise<void> {
  const { flow } = ctx
  if (!ctx.node.disable_power_off) await powerTo(ctx, 'switch off for the instance', 'power off')
  await flow.once('give the machine back', async () => {
    const now = await ctx.fresh()
    await now.interfaces.network.attach(now, 'tenant')
    await prepareInstanceBoot(now)
  })
  await startMachine(ctx, 'boot the instance again')
}

/** Makes what boots a running instance this service's own; neither power nor disk are touched. */
export async function takeOverBoot(ctx: FlowContext): Promise<void> {
  const now = await ctx.fresh()
  await patiently(now, bmcPatienceMs, () => now.interfaces.boot.prepareInstance(now))
}
