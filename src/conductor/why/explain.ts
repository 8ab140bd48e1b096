/**
 * Why a node is where it is: reads its row, its work and what was seen of its last boot, asks the BMC where that helps,
 * and names the first thing that is not as it should be. Changes nothing.
 */
import { diagnoseBoot } from '#boot/diagnosis.ts'
import type { Config } from '#config/options.ts'
import { type Agent, findAgent } from '#db/agents.ts'
import type { Db } from '#db/database.ts'
import { type FlowRow, lastFlow, liveFlow } from '#db/flows.ts'
import type { Node } from '#db/nodes.ts'
import { bootRecord, lastPowerOn } from '#db/sightings.ts'
import { bmcView } from '#drivers/bmc-view.ts'
import type { NodeContext } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { provision } from '#protocol/states.ts'
import type { Explanation } from '#protocol/why.ts'
import { actionsOf } from './actions.ts'

export interface WhyWorld {
  db: Db
  config: Pick<Config, 'ferrite'>
  clock: Clock
  /** To ask the BMC. */
  context(node: Node): Promise<NodeContext>
}

type Reason = Omit<Explanation, 'node_uuid' | 'provision_state'>

export async function explain(world: WhyWorld, node: Node): Promise<Explanation> {
  const reason = await reasonOf(world, node)
  return { node_uuid: node.uuid, provision_state: node.provision_state, ...reason }
}

async function reasonOf(world: WhyWorld, node: Node): Promise<Reason> {
  const flow = await liveFlow(world.db, node.uuid)
  if (flow) return ofWork(world, node, flow)
  if (node.fault === 'power failure') {
    return failed('power-failure', node.maintenance_reason ?? 'The BMC does not tell its power state')
  }
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
  const summary = `Nothing is wrong: the node rests in "${node.provision_state}", and nobody works on it`
  return { verdict: 'fine', cause: 'fine', summary, evidence: [], actions: [] }
}

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
  const flow = await lastFlow(world.db, node.uuid)
  const code = flow?.error_code ?? null
  const summary = node.last_error ?? flow?.error ?? `The node is in "${node.provision_state}"`
  const since = await lastPowerOn(world.db, node.uuid)
  if (flow && code === 'no-agent' && since !== null) {
    // The machine was switched off afterwards: what its BMC says now tells nothing of that boot but its NICs.
    const boot = await ofBoot(world, node, since, { isOver: true })
    return { ...boot, verdict: 'failed', evidence: [summary, ...boot.evidence] }
  }
  const evidence = flow ? [`${flow.kind} ended at ${flow.ended_at ?? '?'} on ${flow.conductor ?? 'no conductor'}`] : []
  return { ...failed(code ?? 'unknown', summary), evidence }
}

async function ofBoot(
  { db, config, context }: WhyWorld,
  node: Node,
  since: string,
  { isOver = false } = {},
): Promise<Reason> {
  const { manage_dnsmasq: managed, dhcp_interface: dhcpInterface } = config.ferrite
  const seen = await bmcView(await context(node))
  const bmc = isOver ? { ...seen, power: null, bootDevice: null } : seen
  return { verdict: 'failed', ...diagnoseBoot(await bootRecord(db, node.uuid, since), { managed, dhcpInterface, bmc }) }
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
