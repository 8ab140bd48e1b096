/**
 * The logs of a ramdisk, fetched from its agent as an archive, or come with its inspection data, and kept where the
 * configuration says. It is a service to whoever looks for a cause: what goes wrong with it is told, and fails nothing.
 *
 * Source: [agent] deploy_logs_collect (ironic/drivers/utils.py, collect_ramdisk_logs, and its callers restated).
 */
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { messageOf } from '#lib/fault.ts'
import type { FlowContext } from '../driver.ts'
import { agentClient } from './client.ts'
import { keepArchive } from './log-archive.ts'
import { failed } from './steps.ts'

/** What an archive is of, as its name tells; a deployment's says nothing. */
export type LogsOf = 'deployment' | 'cleaning' | 'service' | 'inspection'

export interface Occasion {
  of: LogsOf
  /** Whether the work failed; what went well is of interest only where all logs are wanted. */
  failed: boolean
}

const LogsResult = Compile(Type.Object({ system_logs: Type.String() }))

/** Asks the agent for its logs and keeps them, once in a flow (and once more in its undo). */
export async function collectLogs(ctx: FlowContext, occasion: Occasion): Promise<void> {
  if (!isWanted(ctx, occasion)) return
  await ctx.flow.once('collect the logs of the ramdisk', () =>
    quietly(ctx, occasion, async now => {
      // Never called, or switched off since.
      if (!now.agent?.url) return null
      const answer = await agentClient(now).execute('log.collect_system_logs', {}, { wait: true })
      if (answer.command_status !== 'SUCCEEDED') throw failed(answer, 'log.collect_system_logs')
      const { command_result: result } = answer
      if (!LogsResult.Check(result)) throw new Error('the answer of the agent has no system_logs')
      return result.system_logs
    }),
  )
}

/** Keeps what an inspection brought. @param logs as the ramdisk posted them; undefined when it did not */
export async function keepInspectionLogs(ctx: FlowContext, logs: unknown, { failed }: { failed: boolean }) {
  const occasion = { of: 'inspection', failed } as const
  if (typeof logs !== 'string' || !isWanted(ctx, occasion)) return
  await ctx.flow.once('keep the logs of the ramdisk', () => quietly(ctx, occasion, async () => logs))
}

function isWanted({ config }: FlowContext, { failed }: Occasion): boolean {
  const { deploy_logs_collect: when } = config.agent
  return when === 'always' || (when === 'on_failure' && failed)
}

/** @param fetch the archive as base64; null when there is none @returns where it was put */
async function quietly(
  ctx: FlowContext,
  { of }: Occasion,
  fetch: (now: FlowContext) => Promise<string | null>,
): Promise<string | null> {
  const now = await ctx.fresh()
  try {
    const packed = await fetch(now)
    if (packed === null) return null
    const kept = await keepArchive(now, { of, archive: Buffer.from(packed, 'base64') })
    await ctx.flow.event('ramdisk logs', { of, kept })
    return kept
  } catch (error) {
    now.signal.throwIfAborted()
    ctx.log.warn({ node: now.node.uuid, of }, `the logs of the ramdisk were not collected: ${messageOf(error)}`)
    return null
  }
}
