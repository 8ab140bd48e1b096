/**
 * The step engine of deploying and cleaning (and later servicing): which steps there are, in which order, and running
 * them one by one with the node showing where it is. Steps come from the node's interfaces and from its agent.
 *
 * Source: "Step engine" of the cleaning facts; agent protocol, "Core steps, priorities, merging".
 */
import { askSteps, runAgentStep } from '#drivers/agent/steps.ts'
import type { FlowContext, Interfaces, Step, StepKind, StepSpec } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { InterfaceType } from '#protocol/interfaces.ts'

/** A step as planned and recorded: what to run, on which side, with which arguments. */
export interface PlannedStep extends StepSpec {
  side: 'conductor' | 'agent'
  args: Record<string, unknown>
}

/** A step as a user asks for it. */
export interface UserStep {
  interface: string
  step: string
  args?: Record<string, unknown>
  priority?: number | string
}

type Kind = Exclude<StepKind, 'verify'>

/** Interfaces that offer steps; between equal priorities the earlier one goes first. */
const ranks: readonly InterfaceType[] = ['vendor', 'power', 'management', 'firmware', 'deploy', 'bios', 'raid']

/** Steps of the conductor's side. */
function offered(interfaces: Interfaces, kind: Kind): Step[] {
  return ranks.flatMap(type => {
    const implementation = interfaces[type]
    const steps = 'steps' in implementation ? (implementation.steps ?? []) : []
    return steps.filter(step => step.kinds.includes(kind))
  })
}

const same = (a: { interface: string; step: string }, b: { interface: string; step: string }) =>
  a.interface === b.interface && a.step === b.step

/** Highest priority first, then by interface; the order of equals is kept. */
function ordered(steps: readonly PlannedStep[]): PlannedStep[] {
  return [...steps].sort((a, b) => b.priority - a.priority || ranks.indexOf(a.interface) - ranks.indexOf(b.interface))
}

export interface Plan {
  steps: PlannedStep[]
  /** Versions of the agent's hardware managers; null when the agent was not asked. */
  versions: Record<string, string> | null
}

/** Everything there is for `kind`: the conductor's step wins where both sides have one of that name. */
export async function available(ctx: FlowContext, kind: Kind, options: { agent: boolean }): Promise<Plan> {
  const own = offered(ctx.interfaces, kind).map((step): PlannedStep => ({ ...spec(step), side: 'conductor', args: {} }))
  if (!options.agent) return { steps: own, versions: null }
  const offer = await askSteps(ctx, kind)
  const fromAgent = offer.steps
    .filter(step => isRank(step.interface) && !own.some(mine => same(mine, step)))
    .map(
      (step): PlannedStep => ({
        interface: step.interface as InterfaceType, // isRank has said so
        step: step.step,
        priority: step.priority,
        abortable: step.abortable ?? false,
        argsinfo: (step.argsinfo ?? null) as NonNullable<StepSpec['argsinfo']> | null, // same shape, laxer wire type
        side: 'agent',
        args: {},
      }),
    )
  return { steps: [...own, ...fromAgent], versions: offer.versions }
}

/** The steps of a deployment: what drivers and agent offer with a priority, changed by what the user asked. */
export function planDeploy(plan: Plan, asked: readonly UserStep[], options: { complete: boolean }): PlannedStep[] {
  const known = plan.steps
  const missing = asked.filter(step => !known.some(other => same(other, step)))
  if (options.complete && missing.length > 0) throw unknownSteps('deploy', missing, known)
  const merged = known.map(step => {
    const wish = asked.find(other => same(other, step))
    return wish
      ? { ...step, args: checkedArgs(step, wish.args ?? {}), priority: Number(wish.priority ?? step.priority) }
      : step
  })
  return ordered(merged.filter(step => step.priority > 0))
}

/** The steps of automated cleaning: all that have a priority, after the configured overrides. */
export function planAutomatedClean(plan: Plan, overrides: Readonly<Record<string, number>>): PlannedStep[] {
  const steps = plan.steps.map(step => ({
    ...step,
    priority: overrides[`${step.interface}.${step.step}`] ?? step.priority,
  }))
  return ordered(steps.filter(step => step.priority > 0))
}

/** The steps of a manual clean, exactly as the user listed them. */
export function planAsAsked(plan: Plan, asked: readonly UserStep[], kind: Kind): PlannedStep[] {
  const missing = asked.filter(step => !plan.steps.some(other => same(other, step)))
  if (missing.length > 0) throw unknownSteps(kind, missing, plan.steps)
  return asked.map(wish => {
    const step = plan.steps.find(other => same(other, wish)) as PlannedStep // none is missing, see above
    return { ...step, args: checkedArgs(step, wish.args ?? {}) }
  })
}

/** Runs planned steps in order; each is shown on the node while it runs. `prefix` keeps names unique in the flow. */
export async function runSteps(
  ctx: FlowContext,
  kind: Kind,
  steps: readonly PlannedStep[],
  options: { prefix: string; versions: Record<string, string> | null },
): Promise<void> {
  const field = `${kind}_step` as const
  const listField = `${kind}_steps`
  for (const [index, step] of steps.entries()) {
    const id = `${options.prefix}${index + 1} ${step.interface}.${step.step}`
    await ctx.flow.once(`${id}: begin`, async () => {
      const now = await ctx.fresh()
      const shown = {
        interface: step.interface,
        step: step.step,
        priority: step.priority,
        abortable: step.abortable ?? false,
      }
      const internal = {
        ...now.node.driver_internal_info,
        [listField]: steps.map(each => ({ interface: each.interface, step: each.step, priority: each.priority })),
        [`${kind}_step_index`]: index,
      }
      await ctx.flow.write({ [field]: shown, driver_internal_info: internal })
      await ctx.flow.event('step started', { kind, step: `${step.interface}.${step.step}` })
    })
    await runOne({ ...ctx, agentVersions: options.versions }, kind, id, step)
    await ctx.flow.once(`${id}: end`, async () => {
      await ctx.flow.event('step finished', { kind, step: `${step.interface}.${step.step}` })
    })
  }
  await ctx.flow.once(`${options.prefix}steps done`, async () => {
    const { driver_internal_info: internal } = (await ctx.fresh()).node
    await ctx.flow.write({
      [field]: {},
      driver_internal_info: { ...internal, [listField]: null, [`${kind}_step_index`]: null },
    })
  })
}

async function runOne(ctx: FlowContext, kind: Kind, id: string, step: PlannedStep): Promise<void> {
  if (step.side === 'agent') {
    await runAgentStep(ctx, kind, id, step, async () => step.args)
    return
  }
  const implementation = offered(ctx.interfaces, kind).find(other => same(other, step))
  if (!implementation)
    throw new InvalidInput(`Step ${step.interface}.${step.step} is not offered by this node's interfaces any more`)
  await implementation.run(ctx, step.args)
}

function spec(step: Step): StepSpec {
  const { interface: type, step: name, priority, abortable = false, argsinfo = null } = step
  return { interface: type, step: name, priority, abortable, argsinfo }
}

function isRank(type: string): boolean {
  return (ranks as readonly string[]).includes(type)
}

/** The user's arguments, if the step takes them. @throws InvalidInput naming the argument */
function checkedArgs(step: StepSpec, args: Record<string, unknown>): Record<string, unknown> {
  const known = step.argsinfo ?? {}
  const name = `${step.interface}.${step.step}`
  for (const key of Object.keys(args)) {
    if (Object.hasOwn(known, key)) continue
    throw new InvalidInput(`Step ${name} has no argument "${key}"; it takes ${Object.keys(known).join(', ') || 'none'}`)
  }
  for (const [key, info] of Object.entries(known)) {
    if (info.required && !Object.hasOwn(args, key)) throw new InvalidInput(`Step ${name} needs the argument "${key}"`)
  }
  return args
}

function unknownSteps(kind: Kind, missing: readonly UserStep[], known: readonly PlannedStep[]): InvalidInput {
  const names = (steps: readonly { interface: string; step: string }[]) =>
    steps.map(step => `${step.interface}.${step.step}`).join(', ')
  return new InvalidInput(`Unknown ${kind} steps: ${names(missing)}; this node has ${names(known) || 'none'}`)
}
