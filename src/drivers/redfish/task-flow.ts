/** Tasks of a BMC that take minutes, as waits of a flow: they outlive this process, and a BMC that is away is asked again. */
import { messageOf } from '#lib/fault.ts'
import type { FlowContext } from '../driver.ts'
import { mayPass } from '../patience.ts'
import { readSystem } from './system.ts'
import { BmcTaskFailed, readTask, type TaskView } from './tasks.ts'

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
