/**
 * Changes of a system's boot override: the one PATCH behind boot device, boot mode and the URL of an HTTP boot.
 *
 * Source: DMTF DSP2046, ComputerSystem (Boot); ironic/drivers/modules/redfish/management.py (retries, restated).
 */
import { type NodeContext, Unsupported } from '../driver.ts'
import { BmcRefused } from './faults.ts'
import { quirksFor } from './quirks.ts'
import { type Located, readSystem } from './system.ts'

/** While firmware starts, some BMCs refuse any change and say so; it passes. */
export async function patchBoot(ctx: NodeContext, located: Located, boot: Record<string, unknown>): Promise<void> {
  const { post_boot_retry_attempts: attempts, post_boot_retry_delay: delayS } = ctx.config.redfish
  for (let attempt = 1; ; attempt += 1) {
    const current = attempt === 1 ? located : await readSystem(ctx, { fresh: true })
    try {
      await current.client.patch(current.path, { Boot: boot }, { signal: ctx.signal, etag: current.etag })
      return
    } catch (error) {
      const passes = error instanceof BmcRefused && /UnableToModifyDuringSystemPOST/i.test(error.said)
      if (!passes || attempt >= attempts) throw error
      ctx.log.info({ attempt }, 'the BMC takes no boot device while firmware starts')
      await ctx.clock.sleep(Math.min(delayS * 2 ** (attempt - 1), 30) * 1000, ctx.signal)
    }
  }
}

/** Makes the next boot, and that one alone, fetch this URL over HTTP. @throws Unsupported */
export async function bootOnceFromUrl(ctx: NodeContext, url: string): Promise<void> {
  const located = await readSystem(ctx, { fresh: true })
  const { Boot } = located.system
  const offered = Boot?.['BootSourceOverrideTarget@Redfish.AllowableValues'] ?? []
  if (!offered.includes('UefiHttp')) {
    throw new Unsupported(
      `Cannot boot ${located.path} at ${located.client.origin} over HTTP: its BMC offers ${offered.join(', ') || 'no boot targets'}; expected UefiHttp`,
    )
  }
  const { wholeBootOverride } = await quirksFor(ctx, located)
  await patchBoot(ctx, located, {
    ...(wholeBootOverride ? { BootSourceOverrideMode: 'UEFI' } : {}),
    BootSourceOverrideTarget: 'UefiHttp',
    BootSourceOverrideEnabled: 'Once',
    HttpBootUri: url,
  })
}
