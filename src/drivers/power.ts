/**
 * Power changes as parts of a flow: ask the BMC for a state, wait until it reports it, write it down. Used by every
 * flow and deploy interface, so that all of them wait, give up and explain in the same way.
 */
import { forgetAgent } from '#db/agents.ts'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import type { PowerState } from '#protocol/states.ts'
import { type FlowContext, Unsupported } from './driver.ts'
import { bmcPatienceMs, mayPass, patiently } from './patience.ts'

/** The BMC accepted the request, but the machine did not get there in time. */
export class PowerStateTimeout extends Fault {
  readonly status = 500
  readonly code = 'power-state-timeout'
}

const pollMs = 1000
/** A BMC that restarted forgot what it was asked, so it is asked again while the machine does not get there. */
const askAgainMs = 15_000

/** Can this machine be switched on and off at all? One that is reached through its own agent only restarts. */
export function isSwitchable({ interfaces }: Pick<FlowContext, 'interfaces'>): boolean {
  return interfaces.power.restart === undefined
}

/**
 * Brings the machine to `wanted`; `name` is unique in the flow. Off also forgets the agent, whose address, token and
 * certificate died with it.
 * @throws PowerStateTimeout after [conductor] power_state_change_timeout seconds; Unsupported where it only restarts
 */
export async function powerTo(ctx: FlowContext, name: string, wanted: 'power on' | 'power off'): Promise<void> {
  const { flow, config } = ctx
  await flow.once(`${name}: ask`, async () => {
    const now = await ctx.fresh()
    if (!isSwitchable(now)) throw notSwitchable(now, wanted)
    await flow.write({ target_power_state: wanted })
    const askedAt = timestamp(ctx.clock.now())
    await patiently(now, bmcPatienceMs, () => now.interfaces.power.set(now, wanted))
    await flow.event('power asked', { state: wanted, at: askedAt })
  })
  await reached(ctx, name, wanted, config.conductor.power_state_change_timeout * 1000)
  await flow.once(`${name}: done`, async () => {
    if (wanted === 'power off') await forgetAgent(ctx.db, flow.nodeUuid, { keepPregenerated: true })
    await flow.write({ power_state: wanted, target_power_state: null })
    await flow.event('power', { state: wanted })
  })
}

/** Off, then on; a machine that must never be off is reset instead, one that only restarts is restarted. */
export async function powerCycle(ctx: FlowContext, name: string): Promise<void> {
  const { power } = ctx.interfaces
  if (power.restart) return power.restart(ctx, name)
  if (ctx.node.disable_power_off) {
    await ctx.flow.once(`${name}: reset`, async () => {
      const now = await ctx.fresh()
      await forgetAgent(ctx.db, ctx.flow.nodeUuid, { keepPregenerated: true })
      await patiently(now, bmcPatienceMs, () => now.interfaces.power.set(now, 'reset'))
      await ctx.flow.event('power', { state: 'reset' })
    })
    return
  }
  await powerTo(ctx, `${name}: off`, 'power off')
  await powerTo(ctx, `${name}: on`, 'power on')
}

/** On; a machine that must never be off, and so runs, is reset. */
export async function startMachine(ctx: FlowContext, name: string): Promise<void> {
  if (ctx.node.disable_power_off) await powerCycle(ctx, name)
  else await powerTo(ctx, name, 'power on')
}

/**
 * Waits for a machine that was told to go off by itself, until `endMs`; one that did not is left to what follows. So is
 * a BMC that cannot be asked: it is asked again, and then it has to answer.
 */
export async function awaitOffByItself(ctx: FlowContext, name: string, endMs: number): Promise<void> {
  const wait = {
    everyMs: pollMs,
    timeoutMs: 0,
    onTimeout: () => new InvalidInput('unreachable: this wait has no limit'),
  }
  await ctx.flow.until(name, wait, async () => {
    const now = await ctx.fresh()
    try {
      if ((await now.interfaces.power.get(now)) === 'power off') return 'off'
    } catch (error) {
      if (!mayPass(error)) throw error
    }
    return ctx.clock.now() > endMs ? 'still on' : undefined
  })
}

/** Waits until the BMC reports `wanted`, and asks for it again now and then. */
async function reached(
  ctx: FlowContext,
  name: string,
  wanted: 'power on' | 'power off',
  timeoutMs: number,
): Promise<void> {
  const { flow, clock } = ctx
  const asked = ctx.shared(askedKey, () => new Map<number, number>())
  let seen = 'reports no power state'
  const onTimeout = () => {
    asked.delete(flow.id)
    return new PowerStateTimeout(
      `Node ${flow.nodeUuid} did not reach "${wanted}" within ${timeoutMs / 1000} s: ` +
        `its BMC accepted the request and then ${seen}`,
    )
  }
  await flow.until(`${name}: wait`, { everyMs: pollMs, timeoutMs, onTimeout }, async () => {
    const now = await ctx.fresh()
    const askedMs = asked.get(flow.id) ?? clock.now()
    asked.set(flow.id, askedMs)
    try {
      const state: PowerState | null = await now.interfaces.power.get(now)
      if (state === wanted) {
        asked.delete(flow.id)
        return true
      }
      if (state !== null) seen = `still reports "${state}"`
    } catch (error) {
      // A BMC that is away for a moment tells at the next look; the wait has its own limit.
      if (!mayPass(error)) throw error
      seen = `could not be asked: ${messageOf(error)}`
    }
    if (clock.now() - askedMs < askAgainMs) return undefined
    asked.set(flow.id, clock.now())
    await askAgain(now, wanted)
    return undefined
  })
}

/** By flow: when this process last asked for the power state that is awaited. */
const askedKey = Symbol('when power states were asked for')

/** @throws LeaseLost where somebody else has the node by now: looks may go on for a while without it, changes may not */
async function askAgain(now: FlowContext, wanted: 'power on' | 'power off'): Promise<void> {
  await now.flow.write({ target_power_state: wanted })
  try {
    await now.interfaces.power.set(now, wanted)
  } catch (error) {
    // It accepted the first request: while it carries that out it may refuse another.
    if (!(error instanceof Fault)) throw error
    now.log.info({ node: now.node.uuid }, `"${wanted}" was asked for again: ${messageOf(error)}`)
  }
}

function notSwitchable({ node }: FlowContext, wanted: string): Unsupported {
  return new Unsupported(
    `Cannot bring node ${node.uuid} to "${wanted}": its power interface ${node.power_interface} can only restart it; ` +
      'somebody has to switch it, or its power interface has to be one with a BMC',
  )
}
