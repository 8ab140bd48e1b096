/** The emulator's task service: work that ends after a while, or with the machine's next start. */

import { type Resource, ROOT, resource } from '../resources.ts'
import { at, members, type Route } from '../routes.ts'

const TASKS = `${ROOT}/TaskService/Tasks`

export interface Work {
  name: string
  /** How long it takes once it has begun. */
  durationMs: number
  /** What it waits for before it begins; meanwhile its state is this word. */
  untilReset?: 'New' | 'Starting' | 'Running'
  /** Takes effect at the end; what it throws is the task's failure. */
  finish(): void
}

interface Task {
  id: string
  work: Work
  /** When it began; null while it waits for a reset. */
  beganAtMs: number | null
  outcome: 'Completed' | 'Exception' | null
  message: string
}

export class Tasks {
  readonly #now: () => number
  readonly #tasks: Task[] = []

  constructor(now: () => number) {
    this.#now = now
  }

  /** Starts the work and shows its task. */
  start(work: Work): Resource {
    const beganAtMs = work.untilReset === undefined ? this.#now() : null
    const task: Task = { id: `${this.#tasks.length + 1}`, work, beganAtMs, outcome: null, message: '' }
    this.#tasks.push(task)
    return this.#show(task)
  }

  /** The machine starts anew: what waited for that begins. */
  onReset(): void {
    this.settle()
    for (const task of this.#tasks) task.beganAtMs ??= this.#now()
  }

  /** Ends what is due; to be called before anything is shown that tasks change. */
  settle(): void {
    for (const task of this.#tasks) {
      if (task.outcome !== null || task.beganAtMs === null) continue
      if (this.#now() < task.beganAtMs + task.work.durationMs) continue
      try {
        task.work.finish()
        task.outcome = 'Completed'
        task.message = `${task.work.name} is done.`
      } catch (error) {
        task.outcome = 'Exception'
        task.message = `${task.work.name} failed: ${error instanceof Error ? error.message : error}`
      }
    }
  }

  get routes(): Route[] {
    return [
      {
        path: at(`${ROOT}/TaskService`),
        get: () =>
          resource(`${ROOT}/TaskService`, 'TaskService.v1_2_0.TaskService', 'Task service', {
            ServiceEnabled: true,
            Tasks: { '@odata.id': TASKS },
          }),
      },
      members(TASKS, 'Task', () => this.#tasks.map(({ id }) => id)),
      {
        path: at(`${TASKS}/*`),
        get: ({ id }) => {
          this.settle()
          const task = this.#tasks.find(one => one.id === id)
          return task ? this.#show(task) : null
        },
      },
    ]
  }

  #show({ id, work, beganAtMs, outcome, message }: Task): Resource {
    const state = outcome ?? (beganAtMs === null ? (work.untilReset ?? 'New') : 'Running')
    return resource(`${TASKS}/${id}`, 'Task.v1_7_3.Task', work.name, {
      TaskState: state,
      TaskStatus: outcome === 'Exception' ? 'Critical' : 'OK',
      PercentComplete: outcome === null ? 0 : 100,
      Messages: message === '' ? [] : [{ Message: message, MessageId: 'Base.1.18.GeneralError' }],
    })
  }
}
