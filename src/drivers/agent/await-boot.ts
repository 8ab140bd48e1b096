/**
 * Waiting for a ramdisk that was powered on. A boot that stands still is begun again: firmware that found no answer for
 * a moment goes on with the next boot device, and nothing but a power cycle brings it back. What it saw of the boot
 * decides; the hops are recorded elsewhere.
 *
 * Source: [pxe] boot_retry_timeout (ironic/drivers/modules/pxe_base.py restated); the rest is Ferrite's own.
 */
import { randomBytes } from 'node:crypto'
import { explainSilence, inWords } from '#boot/diagnosis.ts'
import { findAgent, forgetAgent, pregenerateToken } from '#db/agents.ts'
import { lastHopMs } from '#db/sightings.ts'
import { Fault } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import { logUrlParameter } from '#protocol/ramdisk-log.ts'
import { told } from '../bmc-view.ts'
import type { RamdiskMode } from '../boot-interfaces.ts'
import { bootSetting } from '../boot-setting.ts'
import type { FlowContext } from '../driver.ts'
import { powerCycle } from '../power.ts'

/** The machine was powered on and nothing was heard of its agent in time. */
export class NoAgent extends Fault {
  readonly status = 500
  readonly code = 'no-agent'
}

export interface AwaitedBoot {
  /** Of the wait; unique in the flow. */
  name: string
  /** The event that may end it. */
  on: string
  everyMs: number
  /** When the machine was powered on, in the API's time. */
  since: string
  /** For all attempts together. */
  timeoutS: number
  /** Of the kernel, for another attempt. */
  parameters: Readonly<Record<string, string>>
  isThere(): Promise<boolean>
}

/** Waits until the ramdisk is there. @throws NoAgent with the first missing hop of the last boot */
export async function awaitBoot(ctx: FlowContext, mode: RamdiskMode, boot: AwaitedBoot): Promise<void> {
  const { flow, config, clock } = ctx
  const endMs = Date.parse(boot.since) + boot.timeoutS * 1000
  let { since } = boot
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt >= config.ferrite.boot_attempts
    const name = attempt === 1 ? boot.name : `${boot.name}, boot ${attempt}`
    const wait = {
      on: [boot.on],
      everyMs: boot.everyMs,
      timeoutMs: boot.timeoutS === 0 ? 0 : Math.max(1, endMs - clock.now()),
      release: true,
      onTimeout: () => silent(ctx, since, boot.timeoutS),
    }
    const found = await flow.until(name, wait, async () => {
      if (await boot.isThere()) return 'there'
      return !isLast && (await standsStill(ctx, since)) ? 'standing still' : undefined
    })
    if (found === 'there') {
      ctx.shared(watchKey, () => new Map<number, number>()).delete(flow.id)
      return
    }
    since = await bootAgain(ctx, mode, boot, { attempt: attempt + 1, since })
  }
}

/** Makes the next boot start the ramdisk, with what the node's deploy interface has to tell it. */
export async function prepareNextBoot(
  now: FlowContext,
  mode: RamdiskMode,
  parameters: AwaitedBoot['parameters'],
): Promise<void> {
  const { boot, deploy } = now.interfaces
  const more = await deploy.ramdiskParameters?.(now)
  const token = await tokenParameters(now, mode)
  await boot.prepareRamdisk(now, { mode, parameters: { ...parameters, ...logParameters(now), ...token, ...more } })
  await noteLostDevice(now)
}

/** A BMC that took a boot device and does not tell it now has forgotten it: what boots next is up to the firmware. */
async function noteLostDevice(now: FlowContext): Promise<void> {
  const { management } = now.interfaces
  // Nothing is set there, so nothing is kept.
  if (now.node.management_interface === 'noop') return
  const kept = await told(() => management.getBootDevice(now))
  if (!kept || (kept.boot_device !== null && kept.boot_device !== 'disk')) return
  await now.flow.event('boot trouble', { what: 'boot device lost', found: kept.boot_device })
}

/**
 * A token made beforehand, where the boot carries it along; where it does not, one of an earlier boot goes, for the agent
 * would never learn it. The one of a ramdisk that still runs is kept: its heartbeats go on until the reboot.
 */
async function tokenParameters(now: FlowContext, mode: RamdiskMode): Promise<AwaitedBoot['parameters']> {
  const { db, interfaces, flow } = now
  const known = await findAgent(db, flow.nodeUuid)
  const made = known?.token_pregenerated ? known.token : null
  if (!interfaces.boot.carriesToken?.(now, mode)) {
    if (made !== null) await forgetAgent(db, flow.nodeUuid, { keepPregenerated: false })
    return {}
  }
  const token = made ?? randomBytes(32).toString('base64url')
  if (made === null) await pregenerateToken(db, flow.nodeUuid, token)
  return { 'ipa-agent-token': token }
}

/** Our ramdisk tells its log from the start; others pass over a parameter that they do not know. */
function logParameters({ config }: FlowContext): AwaitedBoot['parameters'] {
  const { api_url, ramdisk_log_size } = config.ferrite
  return ramdisk_log_size === 0 ? {} : { [logUrlParameter]: `${api_url.replace(/\/+$/, '')}/v1/ramdisk_log` }
}

/** Has a boot that began made no progress for too long? Before its first hop only the firmware knows, so that counts not. */
async function standsStill(ctx: FlowContext, since: string): Promise<boolean> {
  const { db, config, clock, flow } = ctx
  const { boot_retry_timeout: retryS } = config.pxe
  const sinceMs = Date.parse(since)
  const nowMs = clock.now()
  if (retryS !== null && nowMs - sinceMs >= retryS * 1000) return true
  const stallMs = config.ferrite.boot_stall_timeout * 1000
  if (stallMs === 0) return false
  // While this process was away nobody saw hops, and nobody answered the machine.
  const startedMs = watchingSinceMs(ctx)
  const lastMs = await lastHopMs(db, flow.nodeUuid, since)
  const fromMs = Math.max(lastMs ?? 0, startedMs > sinceMs ? startedMs : 0)
  return fromMs > 0 && nowMs - fromMs >= stallMs
}

/** Since when this process watches the flow's boots: since it began one, or took it over from another process. */
export function watchingSinceMs({ shared, clock, flow }: Pick<FlowContext, 'shared' | 'clock' | 'flow'>): number {
  const watched = shared(watchKey, () => new Map<number, number>())
  const sinceMs = watched.get(flow.id) ?? clock.now()
  watched.set(flow.id, sinceMs)
  return sinceMs
}

/** By flow. */
const watchKey = Symbol('since when boots are watched')

/** Makes the next boot start the ramdisk once more, and power cycles; returns when, in the API's time. */
async function bootAgain(
  ctx: FlowContext,
  mode: RamdiskMode,
  boot: AwaitedBoot,
  { attempt, since }: { attempt: number; since: string },
): Promise<string> {
  const { flow } = ctx
  const { parameters } = boot
  const name = `${boot.name} again, boot ${attempt}`
  await flow.once(`${name}: prepare`, async () => {
    const now = await ctx.fresh()
    const why = await explained(now, since)
    ctx.log.warn({ node: flow.nodeUuid, attempt }, `the boot of the ramdisk stands still, so it is begun again: ${why}`)
    const { provision_state, target_provision_state } = now.node
    await flow.event('boot again', { mode, attempt, why, provision_state, target_provision_state })
    await prepareNextBoot(now, mode, parameters)
  })
  const again = await flow.once(`${name}: at`, async () => timestamp(ctx.clock.now()))
  await powerCycle(ctx, name)
  return again
}

async function silent(ctx: FlowContext, since: string, timeoutS: number): Promise<NoAgent> {
  return new NoAgent(`The agent did not call within ${timeoutS} s of power-on. ${await explained(ctx, since)}`)
}

/** In words; the whole is kept, for soon the machine is off, and its files are gone. */
export async function explained(ctx: FlowContext, since: string): Promise<string> {
  const until = timestamp(ctx.clock.now())
  const diagnosis = await explainSilence(ctx.db, ctx.flow.nodeUuid, { since, until, ...(await bootSetting(ctx)) })
  await ctx.flow.event('boot diagnosis', { ...diagnosis })
  return inWords(diagnosis)
}
