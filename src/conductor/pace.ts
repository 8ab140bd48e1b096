/**
 * How often agents are looked at while their commands run. An agent calls when a command has ended, so a look at other
 * times only finds progress: it is made more rarely the more nodes wait, and the busier this process is with what cannot
 * wait. Agents call at regular times, too: of calls while a command runs only as many are looked into, and of calls that
 * come thick and fast one. Our agent says whether one runs; of others it is guessed by what is learnt of their regular
 * times. Kept in memory only: a new process looks a little more often at first.
 */
import type { Clock } from '#lib/clock.ts'
import type { CommandHeader } from '#protocol/agent.ts'

/** Looks a second that nobody called for, at most; and those that regular calls lead to. */
const looksPerS = 100
/** Of them, how many are left however busy the process is; and how busy it is when they begin to be fewer. */
const leastShare = 0.05
const busyFrom = 0.5
const busyTo = 0.9
/** Least time from one look at a node to the next that a call leads to. */
const gapMs = 1000
/** A call that comes this much sooner than any that meant nothing is not one of the regular ones. */
const soonerBy = 0.9
/** How fast an agent's least pause is unlearnt, at each call: one odd call must not count for ever. */
const unlearn = 1.1

/** What is known of a node whose flow waits for its agent. */
interface Waiting {
  /** What it waits for: with another wait the one before is over. */
  wait: string
  /** When it was looked at, how soon it may be again, and when its agent called. */
  atMs: number
  gapMs: number
  calledAtMs: number
  /** The pause before the call that the next look is due to. */
  pausedMs: number | undefined
  /** The least pause before a call that meant nothing. */
  regularMs: number
}

export class LookPace {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #regularMs: number
  readonly #busy: () => number
  readonly #looks = new Map<string, Waiting>()
  /** Nodes whose agents called too soon after a look. */
  readonly #called = new Set<string>()
  /** Looks that regular calls may lead to now, and since when there are so many. */
  #spare = looksPerS
  #spareAtMs = 0

  /**
   * @param options.signal ends what is put off
   * @param options.regularMs agents that have nothing to tell call no sooner after their last call, unless they are
   *   configured otherwise
   * @param options.busy how much of its time this process is at work, 0 to 1
   */
  constructor(clock: Clock, options: { signal: AbortSignal; regularMs: number; busy?: () => number }) {
    this.#clock = clock
    this.#signal = options.signal
    this.#regularMs = options.regularMs
    this.#busy = options.busy ?? (() => 0)
  }

  /**
   * The node was looked at and goes on waiting.
   * @param wait what for
   * @returns in how many whole milliseconds to look again, if nobody calls
   */
  looked(nodeUuid: string, wait: string, everyMs: number): number {
    const atMs = this.#clock.now()
    const last = this.#looks.get(nodeUuid)
    const regularMs = last ? learnt(last, wait) : this.#regularMs
    const calledAtMs = last?.calledAtMs ?? atMs
    const gap = Math.min(gapMs, everyMs)
    this.#looks.set(nodeUuid, { wait, atMs, gapMs: gap, calledAtMs, pausedMs: undefined, regularMs })
    return Math.max(everyMs, Math.ceil((this.#looks.size * 1000) / this.#perS()))
  }

  /** It waits no more. */
  forget(nodeUuid: string): void {
    this.#looks.delete(nodeUuid)
  }

  /**
   * The agent called and told nothing new. It is looked at as after any call, unless its command still runs and there
   * are many such calls: a look comes round by itself. Of an agent that does not say so, a call at its regular time is
   * taken to mean that.
   */
  async heard(nodeUuid: string, command: CommandHeader | undefined, look: () => Promise<void>): Promise<void> {
    const last = this.#looks.get(nodeUuid)
    const nowMs = this.#clock.now()
    if (last) {
      last.pausedMs = nowMs - last.calledAtMs
      last.calledAtMs = nowMs
    }
    const isRegular = last?.pausedMs !== undefined && last.pausedMs >= last.regularMs * soonerBy
    const isRunning = command === undefined ? isRegular : command === 'running'
    if (!isRunning || this.#takeSpare(nowMs)) await this.called(nodeUuid, look)
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
    const perS = this.#perS()
    const more = (Math.max(0, nowMs - this.#spareAtMs) * perS) / 1000
    this.#spare = Math.min(perS, this.#spare + more)
    this.#spareAtMs = nowMs
    if (this.#spare < 1) return false
    this.#spare -= 1
    return true
  }

  #perS(): number {
    const idle = (busyTo - this.#busy()) / (busyTo - busyFrom)
    return looksPerS * Math.min(1, Math.max(leastShare, idle))
  }
}

/** What an agent's least pause is taken for after a look: less, where the call before it was for nothing. */
function learnt({ wait, pausedMs, regularMs }: Waiting, nextWait: string): number {
  if (pausedMs === undefined || wait !== nextWait) return regularMs
  return pausedMs < regularMs ? pausedMs : Math.min(pausedMs, regularMs * unlearn)
}
