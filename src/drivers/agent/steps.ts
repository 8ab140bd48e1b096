/**
 * Steps that the agent runs: asking what it offers, starting one, waiting for its end. What the agent did is asked of
 * the agent, never guessed: after a restart of the conductor the running command is found again by its id, and a
 * command whose start was not recorded is recognised as the one that was not there before.
 */

import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { agentsOf } from '#db/agents.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import { type Progress as AgentProgress, type AgentStep, type CommandResult, StepsResult } from '#protocol/agent.ts'
import { ImageTraffic } from '#protocol/chunked-image.ts'
import { timestamp } from '#protocol/field.ts'
import type { Progress } from '#protocol/progress.ts'
import { told } from '../bmc-view.ts'
import type { FlowContext } from '../driver.ts'
import { patiently } from '../patience.ts'
import type { StepSpec } from '../step.ts'
import { AgentBusy, AgentUnreachable, agentClient } from './client.ts'
import { nodeForAgent, portForAgent } from './view.ts'

/** A command of the agent failed; the message is the agent's own. */
export class AgentCommandFailed extends Fault {
  readonly status = 500
  readonly code: string = 'agent-command-failed'
}

/** The agent went away, or started anew, while it worked. */
export class AgentLost extends Fault {
  readonly status = 500
  readonly code = 'agent-lost'
}

export type AgentStepKind = 'clean' | 'deploy' | 'service'

/** What the agent offers, and the versions of its hardware managers that must not change until the steps have run. */
export interface Offer {
  steps: AgentStep[]
  versions: Record<string, string>
}

const stepsResult = Compile(StepsResult)

/** Asks the agent for its steps of a kind. Steps of interfaces that only the conductor has are left out. */
export async function askSteps(ctx: FlowContext, kind: AgentStepKind): Promise<Offer> {
  const answer = await askAgent(ctx, async now => {
    const params = { node: nodeForAgent(now), ports: now.ports.map(portForAgent) }
    return agentClient(now).execute(`${kind}.get_${kind}_steps`, params, { wait: true })
  })
  if (answer.command_status !== 'SUCCEEDED') throw failed(answer, `${kind}.get_${kind}_steps`)
  const result = answer.command_result
  if (!stepsResult.Check(result)) {
    throw new AgentCommandFailed(
      `The agent's answer to ${kind}.get_${kind}_steps lacks steps or hardware_manager_version`,
    )
  }
  const byManager = result[`${kind}_steps`] ?? {}
  return { steps: Object.values(byManager).flat(), versions: result.hardware_manager_version }
}

/** Asks the agent something that changes nothing, again and again while it is busy or cannot be reached for a moment. */
export function askAgent<T>(ctx: FlowContext, ask: (now: FlowContext) => Promise<T>): Promise<T> {
  return patiently(ctx, ctx.config.ferrite.agent_lost_timeout * 1000, async () => ask(await ctx.fresh()))
}

/** What became of a step on the agent. */
export interface AgentStepEnd {
  /** It was not begun: other hardware managers are there than those that listed the steps. */
  versionsChanged: boolean
  /** What writing an image took; null of other steps, and of agents that do not tell. */
  traffic: ImageTraffic | null
  /** What building RAID made, as a configuration; null of other steps. */
  raid: Record<string, unknown> | null
}

/**
 * Runs one step on the agent; `id` is unique in the flow. The arguments are made when the step starts and are never
 * recorded: they may hold secrets.
 * @throws AgentCommandFailed with the agent's explanation; AgentLost when it is gone
 */
export async function runAgentStep(
  ctx: FlowContext,
  kind: AgentStepKind,
  id: string,
  step: StepSpec,
  args: (ctx: FlowContext) => Promise<Record<string, unknown>>,
): Promise<AgentStepEnd> {
  const command = `${kind}.execute_${kind}_step`
  return runAgentCommand(ctx, id, { command, label: `step ${step.interface}.${step.step}` }, async now => ({
    step: { interface: step.interface, step: step.step, args: await args(now), priority: step.priority },
    node: nodeForAgent(now),
    ports: now.ports.map(portForAgent),
    [`${kind}_version`]: ctx.agentVersions,
  }))
}

/** A command of the agent, and what it is called in messages and in the node's progress. */
export interface AgentCommand {
  /** `deploy.execute_deploy_step` */
  command: string
  /** `step deploy.write_image` */
  label: string
}

/**
 * Runs one command on the agent to its end, as steps are run. The parameters are made when it starts.
 * @throws AgentCommandFailed with the agent's explanation; AgentRefused when it knows no such command or parameter;
 * AgentLost when it is gone
 */
export async function runAgentCommand(
  ctx: FlowContext,
  id: string,
  asked: AgentCommand,
  parameters: (ctx: FlowContext) => Promise<Record<string, unknown>>,
): Promise<AgentStepEnd> {
  const { flow } = ctx
  const bare = asked.command.slice(asked.command.indexOf('.') + 1)
  const before = await flow.once(`${id}: commands before`, () => askAgent(ctx, commandIds))
  const started = await flow.until(
    `${id}: start`,
    { everyMs: 1000, timeoutMs: busyLimitMs, onTimeout: busy(asked) },
    async () => {
      const known = await askAgent(ctx, async now => agentClient(now).commands())
      const mine = known.find(entry => entry.command_name === bare && !before.includes(entry.id))
      if (mine) return mine.id
      const now = await ctx.fresh()
      const params = await parameters(now)
      try {
        return (await agentClient(now).execute(asked.command, params, { wait: false })).id
      } catch (error) {
        if (error instanceof AgentBusy) return undefined
        // The connection may have broken after the agent accepted: the next look finds the command if so.
        if (error instanceof AgentUnreachable) return undefined
        throw error
      }
    },
  )
  return finished(ctx, `${id}: done`, started, asked)
}

/** Waits for the end of a command, telling its progress meanwhile. */
async function finished(
  ctx: FlowContext,
  name: string,
  commandId: string,
  { label }: AgentCommand,
): Promise<AgentStepEnd> {
  const { flow, config, clock } = ctx
  const wait = {
    on: ['heartbeat'],
    everyMs: config.ferrite.poll_interval_ms,
    timeoutMs: 0,
    release: true,
    onTimeout: () => new AgentLost(`The agent's ${label} did not end`),
  }
  const silence = ctx.shared(silenceKey, () => new Map<number, { sinceMs: number; error: string }>())
  return flow.until(name, wait, async () => {
    const now = await ctx.fresh()
    let answer: CommandResult | undefined
    // A machine without power answers with silence: the first failure is a command_timeout old when it is known.
    const askedMs = clock.now()
    try {
      answer = await agentClient(now).command(commandId)
    } catch (error) {
      if (!(error instanceof AgentUnreachable)) throw error
      const quiet = silence.get(flow.id) ?? { sinceMs: askedMs, error: messageOf(error) }
      silence.set(flow.id, quiet)
      const quietMs = clock.now() - quiet.sinceMs
      if (quietMs < config.ferrite.agent_lost_timeout * 1000) return undefined
      silence.delete(flow.id)
      const power = await told(() => now.interfaces.power.get(now))
      throw new AgentLost(
        `The agent stopped answering while it ran ${label}: no connection for ${Math.round(quietMs / 1000)} s ` +
          `(${quiet.error}); its last heartbeat came at ${now.agent?.heartbeat_at ?? 'no time'}. ` +
          (power === 'power off'
            ? 'Its BMC reports "power off": the machine lost its power, or was switched off'
            : 'The machine crashed, or lost its network; its console log tells which'),
      )
    }
    silence.delete(flow.id)
    if (answer === undefined) {
      throw new AgentLost(
        `The agent lost ${label}: it runs, but does not know the command ${commandId} any more, ` +
          'so it or the machine was restarted in between',
      )
    }
    if (answer.command_status === 'RUNNING') {
      const progress = Object.hasOwn(answer, 'progress') ? answer.progress : undefined
      if (progress) await flow.progress(progressOf(label.replace(/^step /, ''), progress, clock.now()))
      return undefined
    }
    await flow.progress(null)
    const versionsChanged = mismatches.includes(answer.command_status)
    if (answer.command_status !== 'SUCCEEDED' && !versionsChanged) throw failed(answer, label)
    return { versionsChanged, traffic: trafficOf(answer.command_result), raid: raidOf(answer.command_result) }
  })
}

/** The agent refuses a step that was listed by other hardware managers; the first name is the older one, for all kinds. */
const mismatches: readonly string[] = ['CLEAN_VERSION_MISMATCH', 'VERSION_MISMATCH']

/** How long an agent may refuse a step because it is busy with another command. */
const busyLimitMs = 300_000
const silenceKey = Symbol('since when agents do not answer')

function busy({ label }: AgentCommand): () => Fault {
  return () =>
    new AgentLost(
      `The agent did not take ${label} within ${busyLimitMs / 1000} s: ` +
        'it was busy with another command, or could not be reached',
    )
}

/** What our agent says beside the text that Ironic reads. */
function trafficOf(result: unknown): ImageTraffic | null {
  return writtenImage.Check(result) ? result.deploy_result.traffic : null
}

/** The configuration that a step of the interface raid answers with. */
function raidOf(result: unknown): Record<string, unknown> | null {
  if (!endedStep.Check(result)) return null
  const { clean_step, deploy_step, service_step, clean_result, deploy_result, service_result } = result
  const isRaid = (clean_step ?? deploy_step ?? service_step)?.interface === 'raid'
  const said = clean_result ?? deploy_result ?? service_result
  return isRaid && configuration.Check(said) ? said : null
}

const shown = Type.Optional(Type.Object({ interface: Type.Union([Type.String(), Type.Null()]) }))
const said = Type.Optional(Type.Unknown())
const endedStep = Compile(
  Type.Object({
    ...{ clean_step: shown, deploy_step: shown, service_step: shown },
    ...{ clean_result: said, deploy_result: said, service_result: said },
  }),
)
const configuration = Compile(Type.Record(Type.String(), Type.Unknown()))

const writtenImage = Compile(Type.Object({ deploy_result: Type.Object({ traffic: ImageTraffic }) }))

async function commandIds(ctx: FlowContext): Promise<string[]> {
  return (await agentClient(ctx).commands()).map(entry => entry.id)
}

/** The fault of a command that ended badly. */
export function failed(answer: CommandResult, what: string): AgentCommandFailed {
  const { command_error: error, command_status: status } = answer
  const said = error ? `${error.type}: ${error.details || error.message}` : `status ${status}`
  return new AgentCommandFailed(`The agent failed ${what}: ${said}`)
}

function progressOf(step: string, told: AgentProgress, nowMs: number): Progress {
  const left = told.total_bytes === null ? null : Math.max(0, told.total_bytes - told.bytes)
  return {
    step,
    phase: told.phase,
    bytes: told.bytes,
    total_bytes: told.total_bytes,
    rate_bytes_per_s: told.rate_bytes_per_s,
    eta_s: left !== null && told.rate_bytes_per_s > 0 ? Math.round(left / told.rate_bytes_per_s) : null,
    updated_at: timestamp(nowMs),
  }
}

/** Has an agent called since the last boot? */
export async function hasCalled(ctx: FlowContext): Promise<boolean> {
  const agent = (await agentsOf(ctx.db, [ctx.flow.nodeUuid])).get(ctx.flow.nodeUuid)
  return Boolean(agent?.url) && (agent?.heartbeats ?? 0) > 0
}
