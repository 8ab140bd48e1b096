/**
 * Why a node is where it is: reads its row, its work and what was seen of its last boot, asks the BMC where that helps,
 * and names the first thing that is not as it should be. Changes nothing.
 */
import { type BmcView, type Diagnosis, diagnoseBoot } from '#boot/diagnosis.ts'
import type { Config } from '#config/options.ts'
import { type Agent, findAgent } from '#db/agents.ts'
import { listConductors } from '#db/conductors.ts'
import type { Db } from '#db/database.ts'
import { lastEvent } from '#db/events.ts'
import { type FlowRow, flowOfError, lastFlow, liveFlow } from '#db/flows.ts'
import type { Node } from '#db/nodes.ts'
import { bootRecord, keptDiagnosis, lastPowerOn, troubledLines } from '#db/sightings.ts'
import { bootSetting } from '#drivers/boot-setting.ts'
import type { NodeContext } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { timestamp } from '#protocol/field.ts'
import { provision } from '#protocol/states.ts'
import type { Explanation } from '#protocol/why.ts'
import { NoConductor } from '../membership.ts'
import { actionsOf } from './actions.ts'
import { causeByLog, causeOf } from './causes.ts'
import { ofInstance } from './instance.ts'

export interface WhyWorld {
  db: Db
  config: Pick<Config, 'ferrite' | 'conductor'>
  clock: Clock
  /** To ask the BMC. */
  context(node: Node): Promise<NodeContext>
  /** What speaks against the node's settings, as validating them tells. */
  problems(node: Node): Promise<readonly Problem[]>
  /** The conductor that serves the node. @throws NoConductor when none does */
  ownerOf(node: Node): string
}

export interface Problem {
  /** Which interface has it. */
  interface: string
  /** Of the fault. */
  code: string
  message: string
}

type Reason = Omit<Explanation, 'node_uuid' | 'provision_state'>

export async function explain(world: WhyWorld, node: Node): Promise<Explanation> {
  const reason = await reasonOf(world, node)
  return { node_uuid: node.uuid, provision_state: node.provision_state, ...reason }
}

async function reasonOf(world: WhyWorld, node: Node): Promise<Reason> {
  const flow = await liveFlow(world.db, node.uuid)
  if (flow) return (await ofDeadConductor(world, node, flow)) ?? (await ofWork(world, node, flow))
  if (node.fault === 'power failure') return ofPowerFailure(world, node)
  const rests = provision[node.provision_state]
  if (rests.kind === 'failed' || (node.last_error !== null && node.last_error !== '')) {
    return ofFailure(world, node)
  }
  if (node.maintenance) {
    return {
      verdict: 'fine',
      cause: 'maintenance',
      summary: `An operator put the node in maintenance: ${node.maintenance_reason ?? 'no reason given'}`,
      evidence: [],
      actions: ['unset maintenance when it is over; nothing is done with the node until then'],
    }
  }
  const { holder, purpose, since } = node.lease ?? {}
  if (holder) {
    const summary = `${holder} works on the node: ${purpose}, since ${since}`
    return { verdict: 'waiting', cause: 'locked', summary, evidence: [], actions: [] }
  }
  return (
    (await ofNobody(world, node)) ?? (await ofInstance(world, node)) ?? (await ofSettings(world, node)) ?? atRest(node)
  )
}

/** No conductor would do what is asked for. */
async function ofNobody({ db, ownerOf }: WhyWorld, node: Node): Promise<Reason | undefined> {
  try {
    ownerOf(node)
    return undefined
  } catch (error) {
    if (!(error instanceof NoConductor)) throw error
    const shown = ({ hostname, conductor_group, updatedAtMs }: Awaited<ReturnType<typeof listConductors>>[number]) =>
      `${hostname}, of ${groupName(conductor_group)}, was heard last at ${timestamp(updatedAtMs)}`
    return { ...failed(error.code, error.message), evidence: (await listConductors(db)).map(shown) }
  }
}

/** The BMC was lost, or the machine would not stay as it was asked to be. */
async function ofPowerFailure({ db }: WhyWorld, node: Node): Promise<Reason> {
  const summary = node.maintenance_reason ?? 'The BMC does not tell its power state'
  const event = await lastEvent(db, node.uuid, 'power failure')
  const code = event && typeof event.data.code === 'string' ? event.data.code : 'power-failure'
  const reason = failed(causeOf(code, summary), summary)
  const actions = [...reason.actions, 'the node leaves maintenance by itself when its BMC answers as it should']
  return { ...reason, evidence: event ? [`put in maintenance at ${event.at}`] : [], actions }
}

function atRest(node: Node): Reason {
  const summary = `Nothing is wrong: the node rests in "${node.provision_state}", and nobody works on it`
  return { verdict: 'fine', cause: 'fine', summary, evidence: [], actions: [] }
}

/** Work that nobody goes on with. */
async function ofDeadConductor(world: WhyWorld, node: Node, flow: FlowRow): Promise<Reason | undefined> {
  const { db, clock, config } = world
  const silentMs = config.conductor.heartbeat_timeout * 1000
  const group = (await listConductors(db)).filter(({ conductor_group }) => conductor_group === node.conductor_group)
  const isAlive = ({ online, updatedAtMs }: (typeof group)[number]) => online && clock.now() - updatedAtMs < silentMs
  if (group.length === 0 || group.some(isAlive)) return undefined
  const names = group.map(({ hostname }) => hostname).join(', ')
  const ofGroup = groupName(node.conductor_group)
  return {
    ...failed('conductor-gone', `${flow.kind} stands still: no conductor of ${ofGroup} runs (${names})`),
    evidence: group.map(({ hostname, updatedAtMs }) => `${hostname} was heard last at ${timestamp(updatedAtMs)}`),
  }
}

const groupName = (name: string) => (name === '' ? 'the default group' : `the group ${name}`)

/** What work that is under way waits for. */
async function ofWork(world: WhyWorld, node: Node, flow: FlowRow): Promise<Reason> {
  const { db, clock } = world
  const { progress } = flow
  if (progress?.position !== undefined) {
    const summary = `${flow.kind} waits for its turn: place ${progress.position} in the queue`
    const actions = ['raise [conductor] max_concurrent_deploy or max_concurrent_clean, if this machine can take more']
    return { verdict: 'waiting', cause: 'queued', summary, evidence: [], actions }
  }
  if (provision[node.provision_state].kind === 'hold') {
    const summary = `The node is held in "${node.provision_state}", as its steps ask for`
    return { verdict: 'waiting', cause: 'held', summary, evidence: [], actions: ['let it go on with the verb unhold'] }
  }
  const agent = await findAgent(db, node.uuid)
  const since = await lastPowerOn(db, node.uuid)
  if (provision[node.provision_state].kind === 'wait' && since !== null && !agent?.heartbeat_at) {
    const boot = await ofBoot(world, node, since)
    const seconds = Math.round((clock.now() - Date.parse(since)) / 1000)
    const summary = `${boot.summary}. The machine was switched on ${seconds} s ago, and its agent has not called yet`
    return { ...boot, summary, verdict: 'waiting' }
  }
  const step = stepName(node) ?? flow.wait_name ?? flow.kind
  const evidence = [
    ...(agent ? [heard(agent)] : []),
    ...(flow.error === null ? [] : [`it failed before: ${flow.error}`]),
  ]
  const summary = `${flow.kind} is under way: ${step}${progress ? `, ${progress.phase}` : ''}`
  const agentLost = agent?.heartbeat_at && flow.state === 'waiting' ? ["read the ramdisk's log if it stands still"] : []
  return { verdict: 'waiting', cause: 'working', summary, evidence, actions: agentLost }
}

async function ofFailure(world: WhyWorld, node: Node): Promise<Reason> {
  const { db } = world
  const flow = await failedFlow(world, node)
  const code = flow?.error_code ?? null
  const summary = node.last_error ?? flow?.error ?? `The node is in "${node.provision_state}"`
  // The machine was switched off afterwards: what its BMC says now tells nothing of that boot.
  const kept = flow && ((await keptDiagnosis(db, flow)) as Diagnosis | null) // as await-boot.ts has written it
  if (kept && summary.includes(kept.summary))
    return { verdict: 'failed', ...kept, evidence: [summary, ...kept.evidence] }
  const since = await lastPowerOn(db, node.uuid)
  if (code === 'no-agent' && since !== null) {
    const boot = await ofBoot(world, node, since, { isOver: true })
    return { ...boot, verdict: 'failed', evidence: [summary, ...boot.evidence] }
  }
  const log = since !== null && code?.startsWith('agent-') ? await troubledLines(db, node.uuid, since) : []
  const evidence = [
    ...(flow ? [`${flow.kind} ended at ${flow.ended_at ?? '?'} on ${flow.conductor ?? 'no conductor'}`] : []),
    ...log.slice(-mostLines).map(line => `the ramdisk's log: ${line}`),
  ]
  return { ...failed(causeByLog(causeOf(code, summary), log), summary), evidence }
}

/** The work whose error the node shows; where none says so, the one that ended last. */
async function failedFlow({ db }: WhyWorld, { uuid, last_error }: Node): Promise<FlowRow | undefined> {
  const own = last_error ? await flowOfError(db, uuid, last_error) : undefined
  return own ?? (await lastFlow(db, uuid))
}

/** Of the ramdisk's log, as evidence. */
const mostLines = 5

/** Nothing was tried, or what was asked for was refused: whether it could be begun. */
async function ofSettings(world: WhyWorld, node: Node): Promise<Reason | undefined> {
  if (!['enroll', 'manageable', 'available'].includes(node.provision_state)) return undefined
  const isEnrolled = node.provision_state === 'enroll'
  // Without an image nothing is to be deployed; without its BMC's settings nothing at all can be done.
  const ofMachine = isEnrolled ? [] : ['boot', 'network']
  const needed = ['power', 'management', ...ofMachine, ...(asksForImage(node) ? ['deploy'] : [])]
  const problems = (await world.problems(node)).filter(problem => needed.includes(problem.interface))
  const [first] = problems
  if (!first) return undefined
  const cause = causeOf(first.code === 'invalid-input' ? 'settings-wrong' : first.code, first.message)
  return {
    ...failed(cause, `Nothing can be done with the node: ${first.message}`),
    evidence: problems.map(problem => `validating its ${problem.interface} interface says: ${problem.message}`),
  }
}

function asksForImage({ instance_info: info, provision_state }: Node): boolean {
  const isSet = ['image_source', 'boot_iso', 'kernel'].some(name => Boolean(info[name]))
  return provision_state === 'available' && isSet
}

async function ofBoot(world: WhyWorld, node: Node, since: string, { isOver = false } = {}): Promise<Reason> {
  const seen = await bootSetting(await world.context(node))
  const { bmc, ...setting } = seen
  const now = bmc && (isOver ? afterwards(bmc) : bmc)
  const record = await bootRecord(world.db, node.uuid, since)
  return { verdict: 'failed', ...diagnoseBoot(record, { ...setting, ...(now ? { bmc: now } : {}) }) }
}

/** What says nothing of a boot any more once the machine is off. */
function afterwards({ firmware, ...bmc }: BmcView): BmcView {
  const kept = firmware ? { firmware: { ...firmware, progress: null } } : {}
  return { ...bmc, ...kept, power: null, bootDevice: null, macsWithoutLink: [] }
}

function failed(cause: string, summary: string): Reason {
  return { verdict: 'failed', cause, summary, evidence: [], actions: [...(actionsOf[cause] ?? [])] }
}

function stepName({ clean_step, deploy_step, service_step }: Node): string | undefined {
  const step = [clean_step, deploy_step, service_step].find(one => typeof one?.step === 'string')
  return step && `${step.interface}.${step.step}`
}

function heard({ heartbeat_at, url }: Agent): string {
  return heartbeat_at ? `the agent at ${url} was heard last at ${heartbeat_at}` : 'the agent has not called yet'
}
