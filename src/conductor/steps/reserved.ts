/**
 * The steps that every node has, whatever its interfaces: power changes, waiting, holding. They may be named with any
 * interface. The conductor runs them itself.
 *
 * Source: REST API reference, "Options of the body"; "Step engine" of the cleaning facts.
 */
import { agentsOf } from '#db/agents.ts'
import { prepareNextBoot } from '#drivers/agent/await-boot.ts'
import type { RamdiskMode } from '#drivers/boot-interfaces.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { powerCycle, powerTo } from '#drivers/power.ts'
import type { StepSpec } from '#drivers/step.ts'
import { Fault, InvalidInput } from '#lib/fault.ts'

type Reserved = Pick<StepSpec, 'step' | 'abortable' | 'requires_ramdisk' | 'argsinfo'>

const power = (step: string): Reserved => ({ step, abortable: false, requires_ramdisk: false, argsinfo: null })

const reserved: Readonly<Record<string, Reserved>> = {
  power_on: power('power_on'),
  power_off: power('power_off'),
  reboot: power('reboot'),
  // Nothing happens to the machine in these two, so they may end at any time.
  hold: { step: 'hold', abortable: true, requires_ramdisk: false, argsinfo: null },
  wait: {
    step: 'wait',
    abortable: true,
    requires_ramdisk: false,
    argsinfo: { seconds: { description: 'how long; without it, until the next heartbeat', required: false } },
  },
}

export function isReserved(step: string): boolean {
  return Object.hasOwn(reserved, step)
}

/** @param step a name for which isReserved() is true */
export function reservedSpec(step: string): Reserved {
  const found = reserved[step]
  if (!found) throw new Error(`${step} is no reserved step`)
  return found
}

/** No heartbeat came while a `wait` step waited for one. */
export class NoHeartbeat extends Fault {
  readonly status = 500
  readonly code = 'no-heartbeat'
}

export interface ReservedRun {
  /** Unique in the flow. */
  id: string
  step: string
  args: Record<string, unknown>
  /** Why a ramdisk is to boot whenever the machine is switched on; null: it is not. */
  ramdisk: RamdiskMode | null
  /** How long a `wait` for the next heartbeat lasts. */
  callbackTimeoutS: number
}

/** Runs one of them on the context's node. */
export async function runReserved(ctx: FlowContext, run: ReservedRun): Promise<void> {
  switch (run.step) {
    case 'hold':
      return ctx.flow.hold(`${run.id}: hold`)
    case 'wait':
      return run.args.seconds === undefined ? nextHeartbeat(ctx, run) : pause(ctx, run)
    case 'power_off':
      return powerTo(ctx, run.id, 'power off')
    case 'power_on':
      await bootFrom(ctx, run)
      return powerTo(ctx, run.id, 'power on')
    case 'reboot':
      await bootFrom(ctx, run)
      return powerCycle(ctx, run.id)
  }
}

/** A ramdisk that is in use boots again: what was set for its first boot counted for that one alone. */
async function bootFrom(ctx: FlowContext, { id, ramdisk }: ReservedRun): Promise<void> {
  if (ramdisk === null) return
  await ctx.flow.once(`${id}: prepare boot`, async () => {
    const now = await ctx.fresh()
    await prepareNextBoot(now, ramdisk, { 'ipa-api-url': now.config.ferrite.api_url })
  })
}

async function pause(ctx: FlowContext, { id, args }: ReservedRun): Promise<void> {
  const { flow, clock, config } = ctx
  const limitS = config.conductor.max_conductor_wait_step_seconds
  const askedS = Number(args.seconds)
  if (!Number.isFinite(askedS) || askedS < 0) {
    throw new InvalidInput(`Cannot wait: the argument seconds is ${JSON.stringify(args.seconds)}, expected a number`)
  }
  const seconds = Math.min(askedS, limitS)
  const endMs = await flow.once(`${id}: until`, async () => {
    if (askedS > limitS)
      await flow.event('wait cut', { asked_s: askedS, seconds, why: 'max_conductor_wait_step_seconds' })
    return clock.now() + seconds * 1000
  })
  const wait = { everyMs: Math.max(20, seconds * 1000), timeoutMs: 0, release: true, onTimeout: noTimeout }
  await flow.until(`${id}: wait`, wait, async () => (clock.now() >= endMs ? true : undefined))
}

async function nextHeartbeat(ctx: FlowContext, { id, callbackTimeoutS }: ReservedRun): Promise<void> {
  const { flow } = ctx
  const seen = await flow.once(`${id}: last heartbeat`, () => lastHeartbeat(ctx))
  const onTimeout = () =>
    new NoHeartbeat(`No heartbeat came within ${callbackTimeoutS} s while the step "wait" waited for the next one`)
  const wait = { on: ['heartbeat'], everyMs: 15_000, timeoutMs: callbackTimeoutS * 1000, release: true, onTimeout }
  await flow.until(`${id}: wait`, wait, async () => ((await lastHeartbeat(ctx)) === seen ? undefined : true))
}

/** Something that is another with each heartbeat, and the same after a power change alone. */
async function lastHeartbeat(ctx: FlowContext): Promise<string> {
  const agent = (await agentsOf(ctx.db, [ctx.flow.nodeUuid])).get(ctx.flow.nodeUuid)
  return agent?.heartbeat_at ?? ''
}

function noTimeout(): Fault {
  return new InvalidInput('unreachable: this wait has no limit')
}
