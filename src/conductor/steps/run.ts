/**
 * Runs planned steps one by one, with the node showing where it is. One engine for deploying, cleaning and servicing;
 * when the agent's hardware managers change under it, it asks for a new plan.
 *
 * Source: "Step engine" of the cleaning facts.
 */
import { awaitAgentAgain, rebootRamdisk } from '#drivers/agent/ramdisk.ts'
import { runAgentStep } from '#drivers/agent/steps.ts'
import type { RamdiskMode } from '#drivers/boot-interfaces.ts'
import type { FlowContext } from '#drivers/driver.ts'
import type { StepEnd } from '#drivers/step.ts'
import { InvalidInput } from '#lib/fault.ts'
import { stepsEnded } from '../measured.ts'
import { standing, stepTold } from '../told.ts'
import { runOnChildren } from './children.ts'
import { nameOf, offered, type PlannedStep, same } from './plan.ts'
import { runReserved } from './reserved.ts'

type Kind = 'clean' | 'deploy' | 'service'

export interface Plan {
  steps: PlannedStep[]
  /** Versions of the agent's hardware managers; null when the agent was not asked. */
  versions: Record<string, string> | null
}

export interface StepFlow {
  kind: Kind
  /** Keeps names unique in the flow. */
  prefix: string
  /** Name under which a plan is recorded. */
  planName: string
  plan(): Promise<Plan>
  /** What is left of a new plan when these have run. */
  rest(plan: PlannedStep[], ran: readonly PlannedStep[]): PlannedStep[]
  /** Does the ramdisk boot again when the machine is switched on at this step? */
  ramdiskAt(step: PlannedStep): boolean
}

/** How often the hardware managers may change before something is wrong with them. */
const maxPlans = 5

/** Plans and runs until nothing is left. */
export async function planAndRun(ctx: FlowContext, flow: StepFlow): Promise<PlannedStep[]> {
  let ran: PlannedStep[] = []
  for (let attempt = 1; attempt <= maxPlans; attempt++) {
    const again = attempt === 1 ? '' : ` (${attempt})`
    const plan = await ctx.flow.once(`${flow.planName}${again}`, () => flow.plan())
    const steps = attempt === 1 ? plan.steps : flow.rest(plan.steps, ran)
    const stopped = await runSteps(ctx, steps, {
      ...flow,
      prefix: `${flow.prefix}${again && `${again} `}`,
      versions: plan.versions,
    })
    if (stopped === undefined) return [...ran, ...steps]
    ran = [...ran, ...steps.slice(0, stopped)]
  }
  throw new InvalidInput(
    `The hardware managers of the agent changed ${maxPlans} times while ${flow.kind} steps ran; ` +
      'expected them to stay the same: the ramdisk has a manager whose version is never the same twice',
  )
}

type Running = Pick<StepFlow, 'kind' | 'prefix' | 'ramdiskAt'> & Pick<Plan, 'versions'>

/** Runs steps in order. Undefined when all have run, else the index of the one whose hardware managers changed. */
async function runSteps(ctx: FlowContext, steps: readonly PlannedStep[], run: Running): Promise<number | undefined> {
  const { kind, prefix } = run
  let rebooted = false
  for (const [index, step] of steps.entries()) {
    const id = `${prefix}${index + 1} ${nameOf(step)}`
    const begun = await ctx.flow.once(`${id}: begin`, () => show(ctx, kind, steps, index))
    if (step.side === 'agent' && rebooted) await awaitAgentAgain(ctx, kind, id, timeoutOf(ctx, kind))
    const end = await runOne({ ...ctx, agentVersions: run.versions }, id, step, run)
    const outcome = end === 'versions changed' ? { outcome: end } : {}
    let endedAtMs: number | undefined
    await ctx.flow.once(`${id}: end`, () => {
      endedAtMs = ctx.clock.now()
      const told = { kind, step: nameOf(step), ...outcome, ...stepTold(begun, endedAtMs) }
      return ctx.flow.event('step finished', told)
    })
    // Not where it answered from the record.
    if (endedAtMs !== undefined)
      stepsEnded.tell({ flow: kind, step: nameOf(step), durationMs: Math.max(0, endedAtMs - begun.atMs) })
    if (end === 'versions changed') return index
    if (step.side === 'reserved') rebooted = true
    if (step.reboot_requested) {
      await rebootRamdisk(ctx, kind, id)
      rebooted = true
    }
  }
  await ctx.flow.once(`${prefix}steps done`, async () => {
    const { driver_internal_info: internal } = (await ctx.fresh()).node
    await ctx.flow.write({
      [`${kind}_step`]: {},
      driver_internal_info: { ...internal, [`${kind}_steps`]: null, [`${kind}_step_index`]: null },
    })
  })
  return undefined
}

/** Shows on the node which step runs now, and tells how the node stands as it begins. */
async function show(ctx: FlowContext, kind: Kind, steps: readonly PlannedStep[], index: number) {
  const step = steps[index] as PlannedStep // an index of the list
  const { node } = await ctx.fresh()
  const { driver_internal_info: internal } = node
  const shown = ({ interface: type, step: name, priority }: PlannedStep) => ({ interface: type, step: name, priority })
  await ctx.flow.write({
    [`${kind}_step`]: { ...shown(step), abortable: step.abortable ?? false },
    driver_internal_info: { ...internal, [`${kind}_steps`]: steps.map(shown), [`${kind}_step_index`]: index },
  })
  const stood = standing(node)
  const { priority, side } = step
  await ctx.flow.event('step started', { kind, step: nameOf(step), priority, side, ...stood })
  return { ...stood, atMs: ctx.clock.now() }
}

async function runOne(ctx: FlowContext, id: string, step: PlannedStep, run: Running): Promise<StepEnd | undefined> {
  const { kind } = run
  switch (step.side) {
    case 'agent': {
      const { versionsChanged } = await runAgentStep(ctx, kind, id, step, async () => step.args)
      return versionsChanged ? 'versions changed' : undefined
    }
    case 'reserved': {
      const ramdisk: RamdiskMode | null = run.ramdiskAt(step) ? kind : null
      await runReserved(ctx, { id, step: step.step, args: step.args, ramdisk, callbackTimeoutS: timeoutOf(ctx, kind) })
      return undefined
    }
    case 'children':
      await runOnChildren(ctx, kind, id, step)
      return undefined
    case 'conductor': {
      const found = offered(ctx, kind).find(other => same(other, step))
      if (!found) throw new InvalidInput(`Step ${nameOf(step)} is not offered by this node's interfaces any more`)
      const ramdisk = run.ramdiskAt(step) ? kind : null
      return (await found.run({ ...ctx, stepId: id, ramdisk }, step.args)) ?? undefined
    }
  }
}

function timeoutOf({ config }: FlowContext, kind: Kind): number {
  return config.conductor[`${kind}_callback_timeout`]
}
