/** Switching a machine off through the agent that runs on it, and telling that agent things that must not fail loudly. */
import { agentsOf } from '#db/agents.ts'
import { messageOf } from '#lib/fault.ts'
import type { FlowContext } from '../driver.ts'
import { awaitOffByItself } from '../power.ts'
import { AgentBusy, AgentRefused, AgentUnreachable, agentClient } from './client.ts'
import { failed } from './steps.ts'

/** The agent switches the machine off by itself; a BMC that does not see it in time is told to. */
export async function powerOffInBand(ctx: FlowContext): Promise<void> {
  const { flow, config, clock } = ctx
  const askedMs = await flow.once('agent: power off', async () => {
    await tell(await ctx.fresh(), 'standby.power_off')
    return clock.now()
  })
  const { post_deploy_get_power_state_retries: retries, post_deploy_get_power_state_retry_interval: intervalS } =
    config.agent
  await awaitOffByItself(ctx, 'agent: powered off', askedMs + (1 + retries) * intervalS * 1000)
}

/**
 * Tells the agent something whose failure the BMC makes good: after a repeated pass it may be gone already, or be busy
 * with what the first one told it. @throws AgentCommandFailed when it could not flush its disks
 */
export async function tell(ctx: FlowContext, command: string): Promise<void> {
  const agent = (await agentsOf(ctx.db, [ctx.flow.nodeUuid])).get(ctx.flow.nodeUuid)
  if (!agent?.url) return
  const sync = command === 'standby.sync'
  try {
    const answer = await agentClient(ctx).execute(command, {}, { wait: sync })
    // Power will be cut: what is not on the disk by now is lost.
    if (sync && answer.command_status !== 'SUCCEEDED') throw failed(answer, command)
  } catch (error) {
    const isRefused = error instanceof AgentRefused && command === 'standby.power_off'
    if (!(isRefused || error instanceof AgentUnreachable || (error instanceof AgentBusy && !sync))) throw error
    ctx.log.warn({ node: ctx.node.uuid, command }, `the agent could not be told: ${messageOf(error)}`)
  }
}
