/**
 * Fast track: a machine whose ramdisk still runs from the flow before goes on without a reboot. Where the agent lives is
 * asked of machine and agent, and recorded once per flow, so that all passes of it agree.
 *
 * Source: deploy interfaces, "Fast track" (ironic/conductor/utils.py, is_fast_track, restated). Beyond Ironic: the agent
 * must answer; a heartbeat a minute ago is no proof.
 */
import type { Config } from '#config/options.ts'
import { findAgent } from '#db/agents.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import type { RamdiskMode } from '../boot-interfaces.ts'
import type { FlowContext, NodeContext } from '../driver.ts'
import { bmcPatienceMs, patiently } from '../patience.ts'
import { agentClient } from './client.ts'
import { hasCalled } from './steps.ts'

/** Is it wanted: for this node, else for all? @throws InvalidInput where driver_info says neither yes nor no */
export function wantsFastTrack({ node, config }: Pick<NodeContext, 'node' | 'config'>): boolean {
  const own = node.driver_info.fast_track
  if (own === undefined || own === null || own === '') return config.deploy.fast_track
  const wanted = isTrue(own)
  if (wanted !== undefined) return wanted
  throw new InvalidInput(
    `Cannot read driver_info fast_track of node ${node.uuid}: found ${JSON.stringify(own)}, expected true or false`,
  )
}

/** Notes, inside a step of a flow, the network in which a ramdisk is left running; null: in none any more. */
export async function noteNetwork({ flow }: FlowContext, mode: RamdiskMode | null): Promise<void> {
  const { fast_track_network: _, ...internal } = (await flow.node()).driver_internal_info
  await flow.write({ driver_internal_info: mode === null ? internal : { ...internal, fast_track_network: mode } })
}

/** Takes the node from the network in which a ramdisk of an earlier flow was left, inside a step of a flow. */
export async function leaveNetwork(now: FlowContext, unless?: RamdiskMode): Promise<void> {
  const { fast_track_network: mode } = now.node.driver_internal_info
  if (typeof mode !== 'string') return
  if (mode !== unless) await now.interfaces.network.detach(now, mode as RamdiskMode) // as noteNetwork() wrote it
  await noteNetwork(now, null)
}

/**
 * onFastTrack(), and then the running machine is moved to the network of this flow. One that does not answer from there,
 * because the address it has is good for nothing in the new network, is no fast track any more. `name` as above.
 */
export async function movedOnFastTrack(ctx: FlowContext, name: string, mode: RamdiskMode): Promise<boolean> {
  if (!(await onFastTrack(ctx, name))) return false
  const { flow, config, clock } = ctx
  const movedAtMs = await flow.once(`${name}: move to the ${mode} network`, async () => {
    const now = await ctx.fresh()
    await leaveNetwork(now, mode)
    await now.interfaces.network.attach(now, mode)
    return clock.now()
  })
  const unreachable = () => new InvalidInput('unreachable: this wait has no limit')
  const wait = { on: ['heartbeat'], everyMs: 2000, timeoutMs: 0, onTimeout: unreachable }
  const found = await flow.until(`${name}: in the ${mode} network`, wait, async () => {
    if (await answers(await ctx.fresh())) return 'alive'
    return clock.now() - movedAtMs >= moveLimitMs(config) ? 'gone' : undefined
  })
  return found === 'alive'
}

/** How long a machine may take to find itself in another network. */
const moveLimitMs = ({ deploy }: Config) => Math.min(60, deploy.fast_track_timeout) * 1000

/**
 * Does the ramdisk of the flow before still run, so that this one needs no boot? `name` is unique in the flow. Right
 * after an inspection the agent's first heartbeat is waited for.
 */
export async function onFastTrack(ctx: FlowContext, name: string): Promise<boolean> {
  const { flow, config, clock } = ctx
  const found = await flow.once(name, async () => look(await ctx.fresh()))
  if (found !== 'expected') return found === 'alive'
  const endMs = await flow.once(`${name}: until`, async () => clock.now() + config.deploy.fast_track_timeout * 1000)
  const unreachable = () => new InvalidInput('unreachable: this wait has no limit')
  const wait = { on: ['heartbeat'], everyMs: 5000, timeoutMs: 0, release: true, onTimeout: unreachable }
  const came = await flow.until(`${name}: heartbeat`, wait, async () => {
    if (await hasCalled(ctx)) return 'alive'
    return clock.now() >= endMs ? 'gone' : undefined
  })
  return came === 'alive'
}

/** Will a flow that begins now find its ramdisk running? As the rows say; the flow asks machine and agent. */
export function expectsFastTrack(ctx: Pick<NodeContext, 'node' | 'agent' | 'config' | 'clock'>): boolean {
  return wantsFastTrack(ctx) && isAlive(ctx) && ctx.node.power_state === 'power on'
}

/** Has its agent called since its last boot, and within [deploy] fast_track_timeout? */
export function isAlive(ctx: Pick<NodeContext, 'agent' | 'config' | 'clock'>): boolean {
  return Boolean(ctx.agent?.url) && isFresh(ctx, ctx.agent?.heartbeat_at)
}

function isFresh({ config, clock }: Pick<NodeContext, 'config' | 'clock'>, at: string | null | undefined): boolean {
  return Boolean(at) && clock.now() - Date.parse(at ?? '') <= config.deploy.fast_track_timeout * 1000
}

/** `expected`: an inspection ended moments ago, and its ramdisk is about to call. */
async function look(now: FlowContext): Promise<'alive' | 'expected' | 'no'> {
  const { node } = now
  if (!wantsFastTrack(now)) return 'no'
  const agent = (await findAgent(now.db, node.uuid)) ?? null
  const inspected = isFresh(now, node.inspection_finished_at)
  if (!isAlive({ ...now, agent }) && !inspected) return 'no'
  if ((await patiently(now, bmcPatienceMs, () => now.interfaces.power.get(now))) !== 'power on') return 'no'
  if (!agent?.url) return inspected ? 'expected' : 'no'
  return (await answers({ ...now, agent })) ? 'alive' : 'no'
}

async function answers(now: NodeContext): Promise<boolean> {
  try {
    await agentClient(now).commands()
    return true
  } catch (error) {
    now.log.info({}, `no fast track while the agent does not answer: ${messageOf(error)}`)
    return false
  }
}
