/**
 * Which steps there are for a node, and which of them run in which order: the drivers' and the agent's own, those of
 * templates and runbooks, those that the caller listed. Pure but for asking the agent; it runs nothing.
 *
 * Source: "Step engine" of the cleaning facts; agent protocol, "Core steps, priorities, merging"
 * (ironic/conductor/steps.py restated).
 */
import { type AgentStepKind, askSteps } from '#drivers/agent/steps.ts'
import type { FlowContext } from '#drivers/driver.ts'
import type { Step, StepKind, StepSpec, StepsContext } from '#drivers/step.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type InterfaceType, interfaceTypes } from '#protocol/interfaces.ts'
import { isReserved, reservedSpec } from './reserved.ts'

/** A step as planned and recorded: what to run, who runs it, with which arguments. */
export interface PlannedStep extends StepSpec {
  /** An interface of the node, the agent in its ramdisk, the conductor itself, or the nodes that this one contains. */
  side: 'conductor' | 'agent' | 'reserved' | 'children'
  args: Record<string, unknown>
  /** Of steps for contained nodes: these alone. */
  children?: readonly string[]
  /** The agent wants to be booted anew after it. */
  reboot_requested?: boolean
}

/** A step as a user, a template or a runbook asks for it. */
export interface AskedStep {
  interface: string
  step: string
  args?: Record<string, unknown>
  priority?: number | string
  order?: number | string
  execute_on_child_nodes?: boolean
  limit_child_node_execution?: string[]
}

/** What a node can do for a kind of flow. */
export interface Offer {
  steps: PlannedStep[]
  /** Versions of the agent's hardware managers; null when the agent was not asked. */
  versions: Record<string, string> | null
}

/** Interfaces that offer steps; between equal priorities the earlier one goes first. */
const ranks: readonly InterfaceType[] = ['vendor', 'power', 'management', 'firmware', 'deploy', 'bios', 'raid']
const serviceRanks: readonly InterfaceType[] = ['network', ...ranks]
const verifyRanks: readonly InterfaceType[] = [
  'power',
  'management',
  'firmware',
  'inspect',
  'deploy',
  'boot',
  'bios',
  'raid',
  'vendor',
  'network',
  'storage',
  'console',
  'rescue',
]

function ranksOf(kind: StepKind): readonly InterfaceType[] {
  return kind === 'verify' ? verifyRanks : kind === 'service' ? serviceRanks : ranks
}

/** Steps that the node's interfaces have. @throws InvalidInput when an interface cannot tell */
export function offered(ctx: StepsContext, kind: StepKind): Step[] {
  return ranksOf(kind).flatMap(type => {
    const found = ctx.interfaces[type]
    const steps = [...(found.steps ?? []), ...(found.stepsOf?.(ctx, kind) ?? [])]
    return steps.filter(step => step.kinds.includes(kind))
  })
}

export const same = (a: { interface: string; step: string }, b: { interface: string; step: string }) =>
  a.interface === b.interface && a.step === b.step

export const nameOf = (step: { interface: string; step: string }) => `${step.interface}.${step.step}`

/** A step may be cut off where nothing else is said: while deploying, for a half-written disk is written again. */
const abortableByDefault = (kind: StepKind) => kind === 'deploy'

/** Highest priority first, then by interface; the order of equals is kept. */
function ordered(steps: readonly PlannedStep[], kind: StepKind): PlannedStep[] {
  const rank = ranksOf(kind)
  return [...steps].sort((a, b) => b.priority - a.priority || rank.indexOf(a.interface) - rank.indexOf(b.interface))
}

/** What the conductor's side has for `kind`. */
export function own(ctx: StepsContext, kind: StepKind): Offer {
  const steps = offered(ctx, kind).map((step): PlannedStep => {
    const { interface: type, step: name, priority, requires_ramdisk = true, argsinfo = null } = step
    const { abortable = abortableByDefault(kind) } = step
    return { interface: type, step: name, priority, abortable, requires_ramdisk, argsinfo, side: 'conductor', args: {} }
  })
  return { steps, versions: null }
}

/** Everything there is for `kind`: the conductor's step wins where both sides have one of that name. */
export async function withAgent(ctx: FlowContext, kind: AgentStepKind): Promise<Offer> {
  const { steps: mine } = own(ctx, kind)
  const told = await askSteps(ctx, kind)
  const theirs = told.steps
    .filter(step => isInterface(step.interface) && !mine.some(known => same(known, step)))
    .map(
      (step): PlannedStep => ({
        interface: step.interface as InterfaceType, // isInterface has said so
        step: step.step,
        priority: step.priority,
        abortable: step.abortable ?? abortableByDefault(kind),
        argsinfo: (step.argsinfo ?? null) as NonNullable<StepSpec['argsinfo']> | null, // same shape, laxer wire type
        ...(step.reboot_requested ? { reboot_requested: true } : {}),
        side: 'agent',
        args: {},
      }),
    )
  return { steps: [...mine, ...theirs], versions: told.versions }
}

/**
 * The steps of a deployment: what drivers and agent offer with a priority, replaced where templates, and before them the
 * caller, ask for the same step with another priority or with arguments; priority 0 leaves a step out.
 * @param options.complete the agent has told its steps: what is unknown now does not exist
 * @throws InvalidInput naming every step that cannot be had like this
 */
export function planDeploy(
  offer: Offer,
  wishes: { asked: readonly AskedStep[]; templates: readonly AskedStep[] },
  options: { complete: boolean; disallowed?: readonly string[] },
): PlannedStep[] {
  const problems = [...twice(wishes.asked, 'deploy_steps'), ...twice(wishes.templates, 'deploy templates')]
  const asked = [...wishes.asked, ...wishes.templates.filter(step => !wishes.asked.some(other => same(other, step)))]
  const chosen = asked.flatMap(wish => {
    const priority = Number(wish.priority ?? 0)
    const step = stepFor(offer, wish)
    if (!step) {
      if (options.complete) problems.push(unknown(wish, 'deploy', offer))
      return []
    }
    if (priority === 0) return []
    problems.push(...argumentProblems(step, wish.args ?? {}))
    if (step.interface === 'deploy' && step.step === 'deploy') {
      problems.push(
        'deploy.deploy is a core step: its priority can be set to 0, which leaves it out, and to nothing else',
      )
    }
    return [{ ...step, priority, args: wish.args ?? {} }]
  })
  refuse('deploy', problems)
  const rest = offer.steps.filter(step => !asked.some(wish => same(wish, step)))
  return allowed(
    ordered([...rest, ...chosen], 'deploy').filter(step => step.priority > 0),
    options.disallowed,
  )
}

/** The steps that run by their own priority: automated cleaning, verification. `overrides`: interface.step to priority. */
export function planByPriority(
  offer: Offer,
  kind: 'clean' | 'verify',
  options: { overrides: Readonly<Record<string, number>>; disallowed?: readonly string[] },
): PlannedStep[] {
  const steps = offer.steps.map(step => ({ ...step, priority: options.overrides[nameOf(step)] ?? step.priority }))
  return allowed(
    ordered(steps, kind).filter(step => step.priority > 0),
    options.disallowed,
  )
}

/**
 * Steps exactly as they were listed.
 * @param options.complete as for planDeploy; before, steps that only an agent can know are left out of the answer
 * @param options.ramdisk false: only steps that need none
 * @throws InvalidInput naming every step that cannot be had like this
 */
export function planAsAsked(
  offer: Offer,
  asked: readonly AskedStep[],
  kind: 'clean' | 'service',
  options: { complete: boolean; ramdisk: boolean },
): PlannedStep[] {
  const problems: string[] = []
  const steps = asked.flatMap(wish => {
    const step = stepFor(offer, wish)
    if (!step) {
      if (options.complete || !options.ramdisk) problems.push(unknown(wish, kind, offer))
      return []
    }
    problems.push(...argumentProblems(step, wish.args ?? {}))
    if (!options.ramdisk && needsRamdisk(step)) problems.push(`${nameOf(step)} needs the ramdisk, which is disabled`)
    return [{ ...step, args: wish.args ?? {} }]
  })
  refuse(kind, problems)
  return steps
}

/** Can every listed step run without the ramdisk? Steps that are not known here are the agent's. */
export function runsWithoutRamdisk(offer: Offer, asked: readonly AskedStep[]): boolean {
  return asked.every(wish => {
    const step = stepFor(offer, wish)
    return step !== undefined && !needsRamdisk(step)
  })
}

function needsRamdisk(step: PlannedStep): boolean {
  return step.side === 'agent' || (step.side === 'conductor' && step.requires_ramdisk !== false)
}

/** The step that is meant: one for contained nodes, one that every node has, or one of the offer. */
function stepFor(offer: Offer, wish: AskedStep): PlannedStep | undefined {
  const type = wish.interface as InterfaceType // of the schema's list
  if (wish.execute_on_child_nodes) {
    const { step, limit_child_node_execution: children = [] } = wish
    // Its arguments are checked against each node that it runs on.
    const spec = { interface: type, step, priority: 0, abortable: false, argsinfo: null }
    return { ...spec, side: 'children', args: {}, ...(children.length > 0 ? { children } : {}) }
  }
  if (isReserved(wish.step))
    return { interface: type, ...reservedSpec(wish.step), priority: 0, side: 'reserved', args: {} }
  return offer.steps.find(step => same(step, wish))
}

/** What is wrong with the arguments of a step. Those for contained nodes are not known here. */
function argumentProblems(step: PlannedStep, args: Record<string, unknown>): string[] {
  return step.side === 'children' ? [] : problemsWith(step, args)
}

/** What is wrong with the arguments of a step, for people. */
export function problemsWith(step: StepSpec, args: Record<string, unknown>): string[] {
  const known = step.argsinfo ?? {}
  const name = nameOf(step)
  const unexpected = Object.keys(args).filter(key => !Object.hasOwn(known, key))
  const missing = Object.entries(known).filter(([key, info]) => info.required && !Object.hasOwn(args, key))
  return [
    ...unexpected.map(key => `${name} has no argument "${key}"; it takes ${Object.keys(known).join(', ') || 'none'}`),
    ...missing.map(
      ([key, info]) => `${name} needs the argument "${key}"${info.description ? `: ${info.description}` : ''}`,
    ),
  ]
}

function refuse(kind: StepKind, problems: readonly string[]): void {
  if (problems.length > 0) throw new InvalidInput(`Cannot run the ${kind} steps asked for: ${problems.join('; ')}`)
}

function unknown(wish: AskedStep, kind: StepKind, offer: Offer): string {
  return `there is no ${kind} step ${nameOf(wish)}: this node has ${offer.steps.map(nameOf).join(', ') || 'none'}`
}

function twice(steps: readonly AskedStep[], where: string): string[] {
  const names = steps.map(nameOf)
  const repeated = new Set(names.filter((name, index) => names.indexOf(name) !== index))
  return [...repeated].map(name => `${name} comes twice in ${where}`)
}

function allowed(steps: PlannedStep[], disallowed: readonly string[] = []): PlannedStep[] {
  return steps.filter(step => !disallowed.includes(nameOf(step)))
}

function isInterface(type: string): boolean {
  return (interfaceTypes as readonly string[]).includes(type)
}
