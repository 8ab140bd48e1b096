/**
 * Tasks of a BMC: work that goes on after its request was accepted. Tells how far one is, whichever of the two ways the
 * BMC tells it by: a monitor that answers 202 until it is done, or a Task resource. It starts nothing.
 *
 * Source: DMTF DSP0266, "Asynchronous operations"; DSP2046, Task.
 */
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { HardwareFault, type NodeContext } from '../driver.ts'
import { Asker } from './asker.ts'
import { type RedfishClient, Reference, reader } from './client.ts'
import { Action, Amount, Maybe, Text } from './maybe.ts'
import type { Answer } from './transport.ts'

/** A task of the BMC ended badly, or not in time. */
export class BmcTaskFailed extends HardwareFault {
  override readonly code = 'bmc-task-failed'
}

export interface TaskView {
  /** `gone`: the BMC knows it no more, which firmware does to tasks that are done. */
  state: 'new' | 'starting' | 'running' | 'done' | 'failed' | 'gone'
  /** The BMC's own words. */
  said: string
  percent: number | null
}

const TaskResource = Compile(
  Type.Object({
    TaskState: Type.String(),
    TaskStatus: Text,
    PercentComplete: Amount,
    Messages: Maybe(Type.Array(Type.Object({ Message: Text, MessageId: Text }))),
    Actions: Maybe(Type.Object({ '#Task.Cancel': Action })),
  }),
)

/** Where the task of an answer is found; null when the work is done with the answer. */
export function taskPath(client: RedfishClient, answer: Answer): string | null {
  const { location } = answer.headers
  const body = answer.body
  const isTask = TaskResource.Check(body)
  const own = typeof body === 'object' && body !== null && '@odata.id' in body ? body['@odata.id'] : null
  // A 2xx other than 202 whose body is no task has done its work; its Location names what it made.
  if (answer.status !== 202 && !isTask) return null
  const named = isTask && typeof own === 'string' ? own : location
  const url = typeof named === 'string' ? URL.parse(named, client.origin) : null
  return url === null ? null : `${url.pathname}${url.search}`
}

/** Paths of all tasks that the BMC tells of; none where it keeps no list. */
export async function listTasks(client: RedfishClient, signal: AbortSignal): Promise<string[]> {
  const asker = new Asker(client, signal)
  return asker.members((await asker.linked((await client.root(signal)).Tasks, taskService))?.Tasks)
}

const taskService = reader('task service', Type.Object({ Tasks: Maybe(Reference) }))

/** One look. @throws BmcUnreachable, as any request */
export async function readTask(client: RedfishClient, path: string, signal: AbortSignal): Promise<TaskView> {
  const answer = await client.look(path, signal)
  const { status, body } = answer
  if (TaskResource.Check(body)) {
    const said = [body.TaskState, ...(body.Messages ?? []).map(({ Message, MessageId }) => Message ?? MessageId ?? '')]
    const state = stateOf(body.TaskState, body.TaskStatus ?? null)
    return { state, said: said.filter(text => text !== '').join('; '), percent: body.PercentComplete ?? null }
  }
  const view = (state: TaskView['state']): TaskView => ({ state, said: `HTTP ${status}`, percent: null })
  if (status === 202) return view('running')
  if (status >= 200 && status < 300) return view('done')
  if (status === 404 || status === 410) return view('gone')
  return view('failed')
}

/** By Task.v1_7.TaskState. */
function stateOf(state: string, status: string | null): TaskView['state'] {
  if (state === 'Completed') return status === 'Critical' ? 'failed' : 'done'
  if (['Exception', 'Killed', 'Cancelled', 'Cancelling', 'Interrupted'].includes(state)) return 'failed'
  if (['New', 'Pending'].includes(state)) return 'new'
  return state === 'Starting' ? 'starting' : 'running'
}

const pollMs = 1000
const shortLimitMs = 120_000

/**
 * Waits for the task of an answer, if it has one, within this call: for work of seconds, such as inserting an image.
 * @throws BmcTaskFailed
 */
export async function awaitTask(ctx: NodeContext, client: RedfishClient, answer: Answer): Promise<void> {
  const path = taskPath(client, answer)
  if (path === null) return
  const endMs = ctx.clock.now() + shortLimitMs
  for (;;) {
    const { state, said } = await readTask(client, path, ctx.signal)
    if (state === 'done' || state === 'gone') return
    if (state === 'failed') throw new BmcTaskFailed(`Task ${path} of the BMC at ${client.origin} failed: ${said}`)
    if (ctx.clock.now() >= endMs) {
      throw new BmcTaskFailed(
        `Task ${path} of the BMC at ${client.origin} did not end within ${shortLimitMs / 1000} s: ${said}`,
      )
    }
    await ctx.clock.sleep(pollMs, ctx.signal)
  }
}
