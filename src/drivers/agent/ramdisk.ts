/** Booting a node into the ramdisk, and out of it again: the same for deploying, cleaning and inspecting. */
import { timestamp } from '#protocol/field.ts'
import type { RamdiskMode } from '../boot-interfaces.ts'
import type { FlowContext } from '../driver.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { isSwitchable, powerCycle, powerTo } from '../power.ts'
import { type AwaitedBoot, awaitBoot, prepareNextBoot, watchingSinceMs } from './await-boot.ts'
import { leaveNetwork, noteNetwork } from './fast-track.ts'
import { hasCalled } from './steps.ts'

/** Kernel parameters beyond those that the boot interface adds. */
export type Parameters = Readonly<Record<string, string>>

/** Powers off, connects the network and makes the next boot start the ramdisk. */
export async function prepareRamdisk(
  ctx: FlowContext,
  mode: RamdiskMode,
  parameters: Parameters = callHome(ctx),
): Promise<void> {
  const { flow } = ctx
  if (!ctx.node.disable_power_off) await powerTo(ctx, `power off before ${mode}`, 'power off')
  await flow.once(`attach ${mode} network`, async () => {
    const now = await ctx.fresh()
    await leaveNetwork(now)
    await now.interfaces.network.attach(now, mode)
  })
  await prepareBoot(ctx, `prepare ${mode} boot`, mode, parameters)
}

/** Makes the next boot start the ramdisk. */
async function prepareBoot(ctx: FlowContext, name: string, mode: RamdiskMode, parameters: Parameters): Promise<void> {
  await ctx.flow.once(name, async () => {
    const now = await ctx.fresh()
    await patiently(now, bmcPatienceMs, () => prepareNextBoot(now, mode, parameters))
  })
}

/** Boots a running ramdisk anew; `name` is unique in the flow. */
export async function rebootRamdisk(ctx: FlowContext, mode: RamdiskMode, name: string): Promise<void> {
  await prepareBoot(ctx, `${name}: prepare boot`, mode, callHome(ctx))
  await powerCycle(ctx, `${name}: reboot`)
}

/** Waits for the agent of a ramdisk that was booted anew; `name` is unique in the flow. @throws NoAgent */
export async function awaitAgentAgain(
  ctx: FlowContext,
  mode: RamdiskMode,
  name: string,
  timeoutS: number,
): Promise<void> {
  const since = await ctx.flow.once(`${name}: awaited from`, async () => timestamp(ctx.clock.now()))
  await awaitHeartbeat(ctx, mode, { name: `${name}: agent`, since, timeoutS })
}

/** Powers on into the ramdisk; returns when it was on, in the API's time. */
export async function bootRamdisk(ctx: FlowContext, mode: RamdiskMode): Promise<string> {
  const since = await ctx.flow.once(`boot ${mode}: at`, async () => {
    watchingSinceMs(ctx)
    return timestamp(ctx.clock.now())
  })
  if (ctx.node.disable_power_off) await powerCycle(ctx, `boot ${mode}`)
  else await powerTo(ctx, `boot ${mode}: on`, 'power on')
  return since
}

/** Waits for the agent's first heartbeat. @throws NoAgent with the first missing hop of the boot */
export async function awaitAgent(ctx: FlowContext, mode: RamdiskMode, since: string, timeoutS: number): Promise<void> {
  await awaitHeartbeat(ctx, mode, { name: `agent of ${mode}`, since, timeoutS })
}

async function awaitHeartbeat(
  ctx: FlowContext,
  mode: RamdiskMode,
  boot: Pick<AwaitedBoot, 'name' | 'since' | 'timeoutS'>,
): Promise<void> {
  await awaitBoot(ctx, mode, {
    ...boot,
    on: 'heartbeat',
    everyMs: 15_000,
    parameters: callHome(ctx),
    isThere: () => hasCalled(ctx),
  })
}

function callHome({ config }: FlowContext): Parameters {
  return { 'ipa-api-url': config.ferrite.api_url }
}

/**
 * Powers off and takes boot files and network of the ramdisk away.
 * @param options.stays for the next flow, which goes on with it: what runs keeps its network
 */
export async function removeRamdisk(
  ctx: FlowContext,
  mode: RamdiskMode,
  options: { powerOff: boolean; stays?: boolean },
): Promise<void> {
  const { flow } = ctx
  try {
    const off = options.powerOff && !ctx.node.disable_power_off && isSwitchable(ctx)
    if (off) await powerTo(ctx, `power off after ${mode}`, 'power off')
  } finally {
    // Also when the BMC cannot be reached: nothing may be left for the machine to boot.
    await flow.once(`remove ${mode} boot`, async () => {
      const now = await ctx.fresh()
      await now.interfaces.boot.cleanUpRamdisk(now)
      if (options.stays) await noteNetwork(now, mode)
      else await now.interfaces.network.detach(now, mode)
    })
  }
}
