/**
 * What is kept of a node's BIOS settings and firmware: read from its drivers and written down. That a BMC cannot tell is no
 * reason to stop what goes on.
 */
import { saveBiosSettings, saveFirmware } from '#db/hardware-settings.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { Fault } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'

/** Reads both anew, inside a step of a flow; `name` is unique in the flow. */
export async function readHardwareSettings(ctx: FlowContext, name: string): Promise<void> {
  const { bios, firmware } = ctx.interfaces
  if (!bios.readSettings && !firmware.readComponents) return
  await ctx.flow.once(name, async () => {
    const now = await ctx.fresh()
    const at = timestamp(now.clock.now())
    const settings = await told(now, 'BIOS settings', () => now.interfaces.bios.readSettings?.(now))
    if (settings) await saveBiosSettings(now.db, now.node.uuid, settings, at)
    const components = await told(now, 'firmware', () => now.interfaces.firmware.readComponents?.(now))
    if (components) await saveFirmware(now.db, now.node.uuid, components, at)
  })
}

async function told<T>(
  { log, node }: FlowContext,
  what: string,
  read: () => Promise<T> | undefined,
): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    log.info({ node: node.uuid }, `${what} could not be read: ${error.message}`)
    return undefined
  }
}
