/**
 * Starting a machine anew so that its firmware takes over what waits for that (settings, volumes, images), as a part of a
 * step, and putting things back as they were. A ramdisk that was in use boots again, and its agent is waited for.
 */
import { prepareNextBoot } from '../agent/await-boot.ts'
import { awaitAgentAgain, rebootRamdisk } from '../agent/ramdisk.ts'
import type { FlowContext } from '../driver.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { powerCycle, powerTo } from '../power.ts'

/** Switches the machine off and on; `name` is unique in the flow. Nothing is known of how far its boot is. */
export async function startAnew(ctx: FlowContext, name: string): Promise<void> {
  await ctx.flow.once(`${name}: power before`, async () => {
    const now = await ctx.fresh()
    return patiently(now, bmcPatienceMs, () => now.interfaces.power.get(now))
  })
  if (ctx.ramdisk && hasAgent(ctx)) return await rebootRamdisk(ctx, ctx.ramdisk, name)
  await powerCycle(ctx, name)
}

/** After startAnew() of this name, when the firmware has done its work: agent there again, or power as it was before. */
export async function settleDown(ctx: FlowContext, name: string): Promise<void> {
  const { flow, config, ramdisk } = ctx
  if (ramdisk && hasAgent(ctx)) {
    return await awaitAgentAgain(ctx, ramdisk, name, config.conductor[`${ramdisk}_callback_timeout`])
  }
  const before = flow.recall<string | null>(`${name}: power before`)
  if (before === 'power on' || ctx.node.disable_power_off) return
  await powerTo(ctx, `${name}: off again`, 'power off')
  // What was prepared for the next boot is used up by this one.
  if (!ramdisk) return
  await flow.once(`${name}: prepare boot again`, async () => {
    const now = await ctx.fresh()
    const parameters = { 'ipa-api-url': now.config.ferrite.api_url }
    await patiently(now, bmcPatienceMs, () => prepareNextBoot(now, ramdisk, parameters))
  })
}

/** An agent has told its steps in this flow. */
const hasAgent = (ctx: FlowContext) => ctx.agentVersions !== null
