/**
 * How often agents are looked at while their commands run. An agent calls when a command has ended, so a look at other
 * times only finds progress: it is made more rarely the more nodes wait, and calls that come thick and fast are looked
 * into once. Times in memory only: a new process looks a little more often at first.
 */
import type { Clock } from '#lib/clock.ts'

/** Looks a second that nobody called for, at most. */
const looksPerS = 100
/** Least time from one look at a node to the next that a call leads to. */
const gapMs = 1000

export class LookPace {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  /** When the nodes that wait for their agents were looked at, and how soon they may be again. */
  readonly #looks = new Map<string, { atMs: number; gapMs: number }>()
  /** Nodes whose agents called too soon after a look. */
  readonly #called = new Set<string>()

  /** @param signal ends what is put off */
  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
  }

  /** The node was looked at and goes on waiting. @returns when to look again, in milliseconds, if nobody calls */
  looked(nodeUuid: string, everyMs: number): number {
    this.#looks.set(nodeUuid, { atMs: this.#clock.now(), gapMs: Math.min(gapMs, everyMs) })
    return Math.max(everyMs, (this.#looks.size * 1000) / looksPerS)
  }

  /** It waits no more. */
  forget(nodeUuid: string): void {
    this.#looks.delete(nodeUuid)
  }

  /** Somebody called: `look` is done now, or as soon as the last look is long enough ago, once for all calls till then. */
  async called(nodeUuid: string, look: () => Promise<void>): Promise<void> {
    const last = this.#looks.get(nodeUuid)
    const waitMs = last === undefined ? 0 : last.atMs + last.gapMs - this.#clock.now()
    if (waitMs <= 0) return await look()
    if (this.#called.has(nodeUuid)) return
    this.#called.add(nodeUuid)
    this.#clock
      .sleep(waitMs, this.#signal)
      .then(() => {
        this.#called.delete(nodeUuid)
        return look()
      })
      .catch(() => {}) // the end; or the database is away: the look that nobody calls for makes it good
  }
}
