/**
 * Power of a machine that nobody but its own agent reaches. It can be restarted while the agent lives, and that is all:
 * no on, no off, and no state but "on", which is what an agent that calls proves. Hence it needs fast track, where each
 * flow finds the ramdisk of the one before.
 *
 * Source: drivers, "Agent power" (ironic/drivers/modules/agent_power.py restated). Beyond Ironic: instead of sleeping
 * half a minute it looks whether the agent is gone, and a restart that the agent failed is a failure.
 */
import { forgetAgent } from '#db/agents.ts'
import { Fault, InvalidInput } from '#lib/fault.ts'
import type { PowerInterface } from '../bmc-interfaces.ts'
import { type FlowContext, Unsupported } from '../driver.ts'
import { patiently } from '../patience.ts'
import { AgentUnreachable, agentClient } from './client.ts'
import { isAlive, wantsFastTrack } from './fast-track.ts'
import { failed } from './steps.ts'

/** The agent took the request to restart and then went on as before. */
export class AgentStays extends Fault {
  readonly status = 500
  readonly code = 'agent-stays'
}

const command = 'run_image'
/** How long an agent may be busy with something else, and how long it may take to go down. */
const busyLimitMs = 60_000
const downLimitMs = 120_000

const power: PowerInterface = {
  supported: ['rebooting', 'soft rebooting'],

  async validate(ctx) {
    if (!wantsFastTrack(ctx)) {
      throw new InvalidInput(
        `Cannot use the power interface agent with node ${ctx.node.uuid}: fast track is off; ` +
          'expected driver_info fast_track, or [deploy] fast_track, to be true',
      )
    }
    if (isAlive(ctx)) return
    throw new InvalidInput(
      `Cannot use the power interface agent with node ${ctx.node.uuid}: its last heartbeat came at ` +
        `${ctx.agent?.heartbeat_at ?? 'no time'}; expected an agent that called within ` +
        `${ctx.config.deploy.fast_track_timeout} s ([deploy] fast_track_timeout). Boot its ramdisk by hand`,
    )
  },

  async get(ctx) {
    return isAlive(ctx) ? 'power on' : null
  },

  async set(ctx, target) {
    if (target !== 'reset') {
      throw new Unsupported(
        `Cannot bring node ${ctx.node.uuid} to "${target}": the power interface agent can only restart it`,
      )
    }
    await agentClient(ctx).execute(`standby.${command}`, {}, { wait: false })
  },

  async restart(ctx, name) {
    const { flow } = ctx
    await flow.once(`${name}: agent answers`, async () => {
      const now = await ctx.fresh()
      await patiently(now, busyLimitMs, () => agentClient(now).commands())
    })
    await flow.once(`${name}: restart`, () => ask(ctx))
    const onTimeout = () =>
      new AgentStays(
        `Node ${flow.nodeUuid} did not restart within ${downLimitMs / 1000} s: its agent accepted ${command} and then ` +
          'went on answering',
      )
    const wait = { everyMs: 1000, timeoutMs: downLimitMs, onTimeout }
    await flow.until(`${name}: down`, wait, async () => ((await isDown(await ctx.fresh())) ? true : undefined))
    await flow.once(`${name}: forget the agent`, async () => {
      await forgetAgent(ctx.db, flow.nodeUuid, { keepPregenerated: true })
      await flow.event('power', { state: 'reset' })
    })
  },
}

export default power

async function ask(ctx: FlowContext): Promise<void> {
  const now = await ctx.fresh()
  await patiently(now, busyLimitMs, async () => {
    try {
      await power.set(now, 'reset')
    } catch (error) {
      // It answered a moment ago: told before a crash of ours, it is on its way down. The next look tells.
      if (!(error instanceof AgentUnreachable)) throw error
    }
  })
}

/** Gone, or there again and without a memory of the restart. @throws AgentCommandFailed where it could not */
async function isDown(now: FlowContext): Promise<boolean> {
  try {
    const commands = await agentClient(now).commands()
    const asked = commands.findLast(each => each.command_name === command)
    if (asked?.command_status === 'FAILED') throw failed(asked, `standby.${command}`)
    return asked === undefined
  } catch (error) {
    if (error instanceof AgentUnreachable) return true
    throw error
  }
}
