/** Booting a node into the ramdisk, and out of it again: the same for deploying, cleaning and inspecting. */
import { explainSilence } from '#boot/hops.ts'
import { Fault } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowContext, RamdiskMode } from '../driver.ts'
import { powerCycle, powerTo } from '../power.ts'
import { agentAlive } from './steps.ts'

/** The machine was powered on and nothing was heard of its agent in time. */
export class NoAgent extends Fault {
  readonly status = 500
  readonly code = 'no-agent'
}

/** Powers off, connects the network and makes the next boot start the ramdisk. */
export async function prepareRamdisk(
  ctx: FlowContext,
  mode: RamdiskMode,
  parameters: Record<string, string> = { 'ipa-api-url': ctx.config.ferrite.api_url },
): Promise<void> {
  const { flow } = ctx
  if (!ctx.node.disable_power_off) await powerTo(ctx, `power off before ${mode}`, 'power off')
  await flow.once(`attach ${mode} network`, async () => {
    const now = await ctx.fresh()
    await now.interfaces.network.attach(now, mode)
  })
  await flow.once(`prepare ${mode} boot`, async () => {
    const now = await ctx.fresh()
    await now.interfaces.boot.prepareRamdisk(now, { mode, parameters })
  })
}

/** Powers on into the ramdisk; returns when it was on, in the API's time. */
export async function bootRamdisk(ctx: FlowContext, mode: RamdiskMode): Promise<string> {
  const since = await ctx.flow.once(`boot ${mode}: at`, async () => timestamp(ctx.clock.now()))
  if (ctx.node.disable_power_off) await powerCycle(ctx, `boot ${mode}`)
  else await powerTo(ctx, `boot ${mode}: on`, 'power on')
  return since
}

/** Waits for the agent's first heartbeat. @throws NoAgent with the first missing hop of the boot */
export async function awaitAgent(ctx: FlowContext, mode: RamdiskMode, since: string, timeoutS: number): Promise<void> {
  await agentAlive(ctx, `agent of ${mode}`, {
    timeoutMs: timeoutS * 1000,
    onTimeout: () => silent(ctx, since, timeoutS),
  })
}

/** The fault for a ramdisk that was not heard of. */
export async function silent(ctx: FlowContext, since: string, timeoutS: number): Promise<NoAgent> {
  const why = await explainSilence(ctx.db, ctx.flow.nodeUuid, {
    since,
    managed: ctx.config.ferrite.manage_dnsmasq,
    dhcpInterface: ctx.config.ferrite.dhcp_interface,
  })
  return new NoAgent(`The agent did not call within ${timeoutS} s of power-on. ${why}`)
}

/** Powers off and takes boot files and network of the ramdisk away. */
export async function removeRamdisk(
  ctx: FlowContext,
  mode: RamdiskMode,
  options: { powerOff: boolean },
): Promise<void> {
  const { flow } = ctx
  try {
    if (options.powerOff && !ctx.node.disable_power_off) await powerTo(ctx, `power off after ${mode}`, 'power off')
  } finally {
    // Also when the BMC cannot be reached: nothing may be left for the machine to boot.
    await flow.once(`remove ${mode} boot`, async () => {
      const now = await ctx.fresh()
      await now.interfaces.boot.cleanUpRamdisk(now)
      await now.interfaces.network.detach(now, mode)
    })
  }
}
