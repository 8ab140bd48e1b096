/**
 * The `agent` rescue interface: a ramdisk boots beside the instance, its agent gets the password of the user `rescue`
 * and then closes its API, and the machine goes back to the network of its instance, where that user can log in.
 *
 * Source: cleaning facts, "Rescue" (ironic/drivers/modules/agent.py, AgentRescue, and agent_base.py restated).
 */
import { checkRamdiskSource, ramdiskSource } from '#boot/ramdisk-files.ts'
import type { FlowContext, RescueInterface, RescueSecret } from '../driver.ts'
import { leaveInstance, returnToInstance } from '../instance.ts'
import { mayPass } from '../patience.ts'
import { plannedOff, plannedStart } from '../planned-power.ts'
import { AgentRefused, agentClient } from './client.ts'
import { awaitAgent, bootRamdisk, prepareRamdisk, removeRamdisk } from './ramdisk.ts'
import { AgentLost, failed } from './steps.ts'

async function rescue(ctx: FlowContext, secret: RescueSecret): Promise<void> {
  const { flow, config } = ctx
  await leaveInstance(ctx, 'rescue')
  await prepareRamdisk(ctx, 'rescue')
  const since = await bootRamdisk(ctx, 'rescue')
  await awaitAgent(ctx, 'rescue', since, config.conductor.rescue_callback_timeout)
  await finalize(ctx, secret)
  await flow.once('hand the rescue system over', async () => {
    const now = await ctx.fresh()
    await now.interfaces.boot.cleanUpRamdisk(now)
    await now.interfaces.network.detach(now, 'rescue')
    await now.interfaces.network.attach(now, 'tenant')
  })
}

/**
 * Gives the agent the password. It closes its API as soon as it has set it, so that a request repeated after a crash
 * meets nobody: an agent that answered a moment ago, was asked, and is gone now has done what it was asked.
 */
async function finalize(ctx: FlowContext, secret: RescueSecret): Promise<void> {
  const { flow, clock, config } = ctx
  const goneMs = Math.min(goneAfterMs, config.ferrite.agent_lost_timeout * 1000)
  const onTimeout = () => new AgentLost('The agent was there and did not take the rescue password: it is busy or gone')
  const wait = { everyMs: 1000, timeoutMs: answerLimitMs, onTimeout }
  await flow.until('finalize rescue: agent answers', wait, async () => {
    const commands = await quietly(async () => agentClient(await ctx.fresh()).commands())
    return commands && true
  })
  const askedMs = await flow.once('finalize rescue: asking', async () => clock.now())
  await flow.until('finalize rescue: done', { ...wait, timeoutMs: 0 }, async () => {
    const client = agentClient(await ctx.fresh())
    const answer = await quietly(async () => {
      const commands = await client.commands()
      return commands.find(({ command_name: name }) => name.endsWith('finalize_rescue')) ?? ask(client, secret)
    })
    if (!answer) return clock.now() - askedMs > goneMs ? 'set, and the API closed' : undefined
    if (answer.command_status !== 'SUCCEEDED') throw failed(answer, 'rescue.finalize_rescue')
    return 'set'
  })
}

/** How long the agent may be busy or unreachable after its first heartbeat. */
const answerLimitMs = 120_000
/** After how much silence an agent that was asked counts as gone. */
const goneAfterMs = 20_000

/** Undefined for a failure that may pass. */
async function quietly<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (mayPass(error)) return undefined
    throw error
  }
}

async function ask(client: ReturnType<typeof agentClient>, secret: RescueSecret) {
  const params = { rescue_password: secret.hash, hashed: true }
  try {
    return await client.execute('rescue.finalize_rescue', params, { wait: true })
  } catch (error) {
    // An agent from before hashed passwords knows no such parameter.
    if (secret.clear === undefined || !(error instanceof AgentRefused)) throw error
    return client.execute('rescue.finalize_rescue', { rescue_password: secret.clear }, { wait: true })
  }
}

const cleanUp = (ctx: FlowContext) => removeRamdisk(ctx, 'rescue', { powerOff: false })

export default {
  async validate(ctx) {
    await ctx.interfaces.network.validate(ctx)
    await ctx.interfaces.boot.validate(ctx)
    await checkRamdiskSource(ctx, ramdiskSource(ctx, 'rescue'))
  },

  plannedPower: ctx => [...plannedOff(ctx), ...plannedStart(ctx)],
  rescue,

  async unrescue(ctx) {
    await removeRamdisk(ctx, 'rescue', { powerOff: true })
    await returnToInstance(ctx)
  },

  cleanUp,
} satisfies RescueInterface
