/**
 * The steps that a piece of work would take, chosen as its flow chooses them. What only an agent can tell is taken from
 * the last run that told it, of this node or of one like it, and marked so.
 */
import type { Db } from '#db/database.ts'
import { stepsTaken } from '#db/plan-rows.ts'
import type { NodeContext } from '#drivers/driver.ts'
import type { PowerChange } from '#drivers/step.ts'
import type { InterfaceType } from '#protocol/interfaces.ts'
import type { ProvisionRequest } from '../conductor.ts'
import { automatedSteps, type ListedSteps } from '../flows/automated-clean.ts'
import { cleansByItself, stepsOfCleaning } from '../flows/clean.ts'
import { deploysByAgent, notIn, stepsBeforeAgent } from '../flows/deploy.ts'
import { templateSteps } from '../flows/deploy-templates.ts'
import { checkListed } from '../flows/listed-steps.ts'
import {
  type AskedStep,
  type Offer,
  offered,
  own,
  type PlannedStep,
  planAsAsked,
  planByPriority,
  planDeploy,
  same,
} from '../steps/plan.ts'

export interface ChosenStep extends PlannedStep {
  wantedBy: 'priority' | 'request' | 'template' | 'runbook'
  knownFrom: 'now' | 'earlier run' | 'unknown'
  priorityKnown: boolean
  /** Null: not known beforehand. */
  power: readonly PowerChange[] | null
}

export interface ChosenSteps {
  steps: ChosenStep[]
  /** No agent has more to tell. */
  complete: boolean
  /** Does the ramdisk boot for them, apart from the steps that boot it? */
  ramdisk: boolean
  /** A cleaning is part of the work. */
  cleans: boolean
  note: string | null
}

type Kind = 'deploy' | 'clean' | 'service' | 'verify'

interface Work {
  flow: string | null
  request: ProvisionRequest
  /** The steps of the request are a runbook's. */
  runbook: boolean
}

/** @throws InvalidInput naming every step that cannot be had like this */
export async function stepsOfWork(db: Db, ctx: NodeContext, { flow, request, runbook }: Work): Promise<ChosenSteps> {
  const listed = (steps: unknown): AskedStep[] => (steps ?? []) as AskedStep[] // checked against its schema by the API
  const by = runbook ? 'runbook' : 'request'
  switch (flow) {
    case 'deploy':
      return ofDeployment(db, ctx, listed(request.deploy_steps))
    case 'clean':
    case 'undeploy':
      return ofCleaning(db, ctx, flow === 'clean' && request.clean_steps ? { request, by } : undefined)
    case 'service':
      return ofService(db, ctx, listed(request.service_steps), { by, disabled: request.disable_ramdisk === true })
    case 'verify':
      return ofVerification(ctx)
    default:
      return { steps: [], complete: true, ramdisk: false, cleans: false, note: null }
  }
}

async function ofDeployment(db: Db, ctx: NodeContext, asked: AskedStep[]): Promise<ChosenSteps> {
  const { config, node } = ctx
  const { disallow_deploy_steps: disallowed } = config.api
  const wishes = { asked, templates: await templateSteps({ db, node }) }
  const byAgent = deploysByAgent(ctx.interfaces.deploy)
  const early = stepsBeforeAgent(own(ctx, 'deploy'), wishes, { byAgent, disallowed })
  const whole = byAgent ? await withEarlier(db, ctx, 'deploy') : { offer: own(ctx, 'deploy'), known: true, note: null }
  const all = planDeploy(whole.offer, wishes, { complete: false, disallowed })
  const unknown = [...wishes.asked, ...wishes.templates]
    .filter(wish => Number(wish.priority ?? 0) > 0 && !all.some(step => same(step, wish)))
    .map(wish => stepOfAgent(wish))
  const late = byAgent ? [...notIn(early, all), ...notIn(early, unknown)].sort((a, b) => b.priority - a.priority) : []
  const wanted = (step: PlannedStep): ChosenStep['wantedBy'] =>
    wishes.asked.some(one => same(one, step))
      ? 'request'
      : wishes.templates.some(one => same(one, step))
        ? 'template'
        : 'priority'
  const steps = [...early, ...late].map(step => chosen(ctx, 'deploy', step, { by: wanted(step), unknown }))
  return { steps, complete: whole.known, ramdisk: false, cleans: false, note: whole.note }
}

async function ofCleaning(
  db: Db,
  ctx: NodeContext,
  manual: { request: ProvisionRequest; by: 'request' | 'runbook' } | undefined,
): Promise<ChosenSteps> {
  const { config, node } = ctx
  if (!manual && !cleansByItself(ctx)) {
    const note = 'The node is not cleaned: automated cleaning is switched off for it.'
    return { steps: [], complete: true, ramdisk: false, cleans: false, note }
  }
  const listed: ListedSteps | null = manual
    ? {
        steps: manual.request.clean_steps as unknown as AskedStep[], // checked against its schema by the API
        disable_ramdisk: manual.request.disable_ramdisk === true,
      }
    : await automatedSteps({ db, node, config })
  const { ramdisk } = listed ? checkListed(ctx, 'clean', listed) : { ramdisk: true }
  const byAgent = ramdisk && ctx.interfaces.deploy.usesAgent
  const whole = byAgent ? await withEarlier(db, ctx, 'clean') : { offer: own(ctx, 'clean'), known: true, note: null }
  if (listed) {
    const by = manual?.by ?? 'runbook'
    return asListed(ctx, 'clean', listed.steps, { ...whole, by, ramdisk })
  }
  const steps = stepsOfCleaning(whole.offer, { config, listed, ramdisk })
  return {
    steps: steps.map(step => chosen(ctx, 'clean', step, { by: 'priority', unknown: [] })),
    complete: whole.known,
    ramdisk,
    cleans: true,
    note: whole.note,
  }
}

async function ofService(
  db: Db,
  ctx: NodeContext,
  asked: AskedStep[],
  { by, disabled }: { by: 'request' | 'runbook'; disabled: boolean },
): Promise<ChosenSteps> {
  const { ramdisk } = checkListed(ctx, 'service', { steps: asked, disable_ramdisk: disabled })
  const byAgent = ramdisk && ctx.interfaces.deploy.usesAgent
  const whole = byAgent
    ? await withEarlier(db, ctx, 'service')
    : { offer: own(ctx, 'service'), known: true, note: null }
  return { ...asListed(ctx, 'service', asked, { ...whole, by, ramdisk }), cleans: false }
}

function ofVerification(ctx: NodeContext): ChosenSteps {
  const entries = Object.entries(ctx.config.conductor.verify_step_priority_override)
  const overrides = Object.fromEntries(entries.map(([name, priority]) => [name, Number(priority)]))
  const steps = planByPriority(own(ctx, 'verify'), 'verify', { overrides })
  return {
    steps: steps.map(step => chosen(ctx, 'verify', step, { by: 'priority', unknown: [] })),
    complete: true,
    ramdisk: false,
    cleans: false,
    note: null,
  }
}

/** Listed steps in their order; one that only an agent can have is told as such. */
function asListed(
  ctx: NodeContext,
  kind: 'clean' | 'service',
  asked: readonly AskedStep[],
  { offer, by, ramdisk }: { offer: Offer; by: 'request' | 'runbook'; ramdisk: boolean },
): ChosenSteps {
  const unknown: PlannedStep[] = []
  const steps = asked.map(wish => {
    const [found] = planAsAsked(offer, [wish], kind, { complete: false, ramdisk })
    if (found) return found
    const step = stepOfAgent(wish)
    unknown.push(step)
    return step
  })
  return {
    steps: steps.map(step => chosen(ctx, kind, step, { by, unknown })),
    complete: true,
    ramdisk,
    cleans: kind === 'clean',
    note: unknown.length > 0 ? 'Whether the agent has the steps that are marked unknown, it says when it runs.' : null,
  }
}

/** What the node's drivers offer, with what an agent offered the last time. */
async function withEarlier(
  db: Db,
  ctx: NodeContext,
  kind: 'deploy' | 'clean' | 'service',
): Promise<{ offer: Offer; known: boolean; note: string | null }> {
  const { steps: mine } = own(ctx, kind)
  const flows = kind === 'clean' ? ['clean', 'undeploy'] : [kind]
  const taken = await stepsTaken(db, ctx.node, { flows, kind })
  if (!taken) {
    const note = `The agent may add ${kind} steps of its own: no earlier run of a node like this one tells which.`
    return { offer: { steps: mine, versions: null }, known: false, note }
  }
  const theirs = taken.steps
    .filter(({ side }) => side === 'agent')
    .map(({ step, priority }) => ({ ...stepOfAgent(parted(step)), priority }))
    .filter(step => !mine.some(other => same(other, step)))
  const note =
    theirs.length === 0 || taken.sameNode
      ? null
      : 'The steps of the agent are those that it had on another node of this kind.'
  return { offer: { steps: [...mine, ...theirs], versions: null }, known: true, note }
}

function parted(name: string): { interface: string; step: string } {
  const dot = name.indexOf('.')
  return { interface: name.slice(0, dot), step: name.slice(dot + 1) }
}

function stepOfAgent(wish: AskedStep): PlannedStep {
  const { step, args = {}, priority = 0 } = wish
  const type = wish.interface as InterfaceType // of the schema's list, or told by an agent whose steps were run
  return { interface: type, step, priority: Number(priority), argsinfo: null, side: 'agent', args }
}

function chosen(
  ctx: NodeContext,
  kind: Kind,
  step: PlannedStep,
  { by, unknown }: { by: ChosenStep['wantedBy']; unknown: readonly PlannedStep[] },
): ChosenStep {
  const isUnknown = unknown.includes(step)
  return {
    ...step,
    wantedBy: by,
    knownFrom: isUnknown ? 'unknown' : step.side === 'agent' ? 'earlier run' : 'now',
    priorityKnown: !isUnknown || step.priority > 0,
    power: powerOfStep(ctx, kind, step),
  }
}

function powerOfStep(ctx: NodeContext, kind: Kind, step: PlannedStep): readonly PowerChange[] | null {
  switch (step.side) {
    case 'conductor': {
      const found = offered(ctx, kind).find(other => same(other, step))
      return found?.plannedPower?.(ctx) ?? null
    }
    case 'reserved':
      return reservedPower[step.step] ?? []
    case 'agent':
      // An agent that wants a boot after a step says so with the step, and not before.
      return []
    case 'children':
      return []
  }
}

const reservedPower: Readonly<Record<string, readonly PowerChange[]>> = {
  power_on: ['power on'],
  power_off: ['power off'],
  reboot: ['power off', 'power on'],
}
