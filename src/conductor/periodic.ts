/** Work that comes round: one task after another at its own interval, never twice at once, never ending the process. */
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'

export interface PeriodicTask {
  readonly name: string
  /** Seconds between the end of a run and the next; 0 switches it off. Read anew each time: options may change. */
  everyS(): number
  run(signal: AbortSignal): Promise<void>
}

/** How soon a task that is switched off is asked again whether it still is. */
const offMs = 60_000

/** Runs the tasks until the signal aborts; resolves when the last has ended. */
export async function runPeriodically(
  tasks: readonly PeriodicTask[],
  world: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  const { clock, log, signal } = world
  const loop = async (task: PeriodicTask) => {
    while (!signal.aborted) {
      const everyS = task.everyS()
      await clock.sleep(everyS > 0 ? everyS * 1000 : offMs, signal).catch(() => {})
      if (signal.aborted || everyS <= 0) continue
      await task.run(signal).catch(error => {
        if (!signal.aborted) log.error({ err: error, task: task.name }, 'a periodic task failed; it runs again in time')
      })
    }
  }
  await Promise.all(tasks.map(loop))
}
