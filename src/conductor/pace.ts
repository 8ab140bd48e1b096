/**
 * How often agents are looked at while their commands run. An agent calls when a command has ended, so a look at other
 * times only finds progress: it is made more rarely the more nodes wait, and calls that come thick and fast are looked
 * into once. Agents call at regular times, too: of such calls, which hardly ever mean that a command has ended just then,
 * only so many are looked into. Times in memory only: a new process looks a little more often at first.
 */
import type { Clock } from '#lib/clock.ts'

/** Looks a second that nobody called for, at most; and those that regular calls lead to. */
const looksPerS = 100
/** Least time from one look at a node to the next that a call leads to. */
const gapMs = 1000

export class LookPace {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #regularMs: number
  /** When the nodes that wait for their agents were looked at, how soon they may be again, and when they called. */
  readonly #looks = new Map<string, { atMs: number; gapMs: number; calledAtMs: number }>()
  /** Nodes whose agents called too soon after a look. */
  readonly #called = new Set<string>()
  /** Looks that regular calls may lead to now, and since when there are so many. */
  #spare = looksPerS
  #spareAtMs = 0

  /**
   * @param options.signal ends what is put off
   * @param options.regularMs agents that have nothing to tell call no sooner after their last call
   */
  constructor(clock: Clock, { signal, regularMs }: { signal: AbortSignal; regularMs: number }) {
    this.#clock = clock
    this.#signal = signal
    this.#regularMs = regularMs
  }

  /** The node was looked at and goes on waiting. @returns when to look again, in milliseconds, if nobody calls */
  looked(nodeUuid: string, everyMs: number): number {
    const atMs = this.#clock.now()
    const calledAtMs = this.#looks.get(nodeUuid)?.calledAtMs ?? atMs
    this.#looks.set(nodeUuid, { atMs, gapMs: Math.min(gapMs, everyMs), calledAtMs })
    return Math.max(everyMs, (this.#looks.size * 1000) / looksPerS)
  }

  /** It waits no more. */
  forget(nodeUuid: string): void {
    this.#looks.delete(nodeUuid)
  }

  /**
   * The agent called and told nothing new. It is looked at as after any call, unless the call came at its regular time
   * and there are many of those: a look comes round by itself.
   */
  async heard(nodeUuid: string, look: () => Promise<void>): Promise<void> {
    const last = this.#looks.get(nodeUuid)
    const nowMs = this.#clock.now()
    const isRegular = last !== undefined && nowMs - last.calledAtMs >= this.#regularMs
    if (last) last.calledAtMs = nowMs
    if (!isRegular || this.#takeSpare(nowMs)) await this.called(nodeUuid, look)
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

  #takeSpare(nowMs: number): boolean {
    const more = (Math.max(0, nowMs - this.#spareAtMs) * looksPerS) / 1000
    this.#spare = Math.min(looksPerS, this.#spare + more)
    this.#spareAtMs = nowMs
    if (this.#spare < 1) return false
    this.#spare -= 1
    return true
  }
}
