/** What the BMC says of a machine whose boot is in question; what it does not tell is left out. */
import type { BmcView } from '#boot/diagnosis.ts'
import { Fault } from '#lib/fault.ts'
import type { NodeContext } from './driver.ts'

export async function bmcView(ctx: NodeContext): Promise<BmcView> {
  const { power, management } = ctx.interfaces
  const [state, macs, macsWithoutLink, device, slots, firmware] = await Promise.all([
    told(() => power.get(ctx)),
    told(() => management.macAddresses(ctx)),
    told(async () => management.macsWithoutLink?.(ctx)),
    told(() => management.getBootDevice(ctx)),
    told(async () => management.virtualMedia?.list(ctx)),
    told(async () => management.firmwareState?.(ctx)),
  ])
  return {
    power: state ?? null,
    macs: macs ?? [],
    macsWithoutLink: macsWithoutLink ?? [],
    bootDevice: device?.boot_device ?? null,
    hasMedia: slots ? slots.some(({ inserted }) => inserted) : null,
    ...(firmware ? { firmware } : {}),
  }
}

/** A value that is nice to have: undefined when the BMC cannot tell it, or not now. */
export async function told<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return undefined
  }
}
