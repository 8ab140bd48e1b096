/**
 * Work on the nodes that are due, turn after turn, so many at a time. It knows neither what is due nor what is done: a
 * turn begins work, and what goes wrong in it is told. Nothing here holds a node.
 */
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'

/** How often it is asked what is due, where nothing says that there is more. */
const turnMs = 5000

export class Turns {
  readonly #world: { clock: Clock; log: Log }
  readonly #running = new Set<Promise<unknown>>()

  constructor(world: { clock: Clock; log: Log }) {
    this.#world = world
  }

  /**
   * Takes turns until the signal aborts and all that was begun has ended. A full house waits for a place instead of time.
   * @param options.limit how many may run at a time; read at each turn
   * @param options.failed what is told of a turn that failed
   */
  async run(
    turn: () => Promise<void>,
    { signal, limit, failed }: { signal: AbortSignal; limit: () => number; failed: string },
  ): Promise<void> {
    const { clock, log } = this.#world
    while (!signal.aborted) {
      await turn().catch(error => {
        if (!signal.aborted) log.error({ err: error }, failed)
      })
      if (this.#running.size >= limit()) await Promise.race(this.#running)
      else await clock.sleep(turnMs, signal).catch(() => {})
    }
    await this.settled()
  }

  /** How many of `limit` places nobody has. */
  free(limit: number): number {
    return limit - this.#running.size
  }

  /** @param options.failed what is told of work that throws, which is a bug */
  begin(work: Promise<void>, { signal, node, failed }: { signal: AbortSignal; node: string; failed: string }): void {
    const { log } = this.#world
    const running = work
      .catch(error => {
        if (!signal.aborted) log.error({ err: error, node }, failed)
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }
}
