/** Tasks of a BMC that take minutes, as waits of a flow: they outlive this process, and a BMC that is away is asked again. */
import { messageOf } from '#lib/fault.ts'
import type { FlowContext } from '../driver.ts'
import { bmcPatienceMs, mayPass, patiently } from '../patience.ts'
import { readSystem } from './system.ts'
import { BmcTaskFailed, listTasks, readTask, type TaskView } from './tasks.ts'

/**
 * Asks the BMC for something that it may do by a task, as a step of the flow. A request that was made by a process which
 * died before it could write that down shows as a task that was not there before, and is not made again.
 * @param ask returns the path of its task, null when all is done
 */
export async function askOnce(
  ctx: FlowContext,
  name: string,
  ask: (now: FlowContext) => Promise<string | null>,
): Promise<string | null> {
  const tasks = async () => {
    const now = await ctx.fresh()
    const { client } = await readSystem(now)
    return patiently(now, bmcPatienceMs, () => listTasks(client, now.signal))
  }
  const before = await ctx.flow.once(`${name}: tasks before`, tasks)
  return ctx.flow.once(`${name}: ask`, async () => {
    const made = (await tasks()).find(path => !before.includes(path))
    return made ?? ask(await ctx.fresh())
  })
}

export interface AwaitedTask {
  /** Unique in the flow. */
  name: string
  /** What the BMC is doing, for messages. */
  what: string
  path: string
  everyMs: number
  timeoutMs: number
  /** Also ends the wait, besides a task that is over. */
  until?: (view: TaskView) => boolean
}

/** Waits until the task is over, or as far as `until` wants it. @throws BmcTaskFailed with the BMC's words */
export async function awaitLongTask(ctx: FlowContext, task: AwaitedTask): Promise<TaskView> {
  const { flow } = ctx
  let seen = 'nothing was heard of it'
  const failed = (how: string) =>
    new BmcTaskFailed(`${task.what} of node ${flow.nodeUuid} ${how}: task ${task.path}: ${seen}`)
  const wait = {
    everyMs: task.everyMs,
    timeoutMs: task.timeoutMs,
    onTimeout: () => failed(`did not end within ${task.timeoutMs / 1000} s`),
  }
  return flow.until(task.name, wait, async () => {
    const now = await ctx.fresh()
    try {
      const { client } = await readSystem(now)
      const view = await readTask(client, task.path, now.signal)
      seen = view.said
      if (view.state === 'failed') throw failed('failed')
      const isOver = view.state === 'done' || view.state === 'gone'
      return isOver || task.until?.(view) ? view : undefined
    } catch (error) {
      if (!mayPass(error)) throw error
      seen = `the BMC could not be asked: ${messageOf(error)}`
      return undefined
    }
  })
}
