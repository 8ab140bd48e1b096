/**
 * Tells callers of events as they happen, whichever process they happened in. One look at the table serves all who
 * listen; while nobody does there is none. Events are handed on in the order of their numbers and without a hole, so
 * that a caller who was away goes on after the last number it has and misses nothing.
 *
 * With several processes a number may become visible after a higher one. A hole is waited for, until it is plain that
 * nobody fills it: what would have was rolled back. PostgreSQL says when all transactions of that time are over.
 */
import type { Db } from '#db/database.ts'
import { eventsAfter, type FedEvent, newestEventId, type Transactions, transactionsNow } from '#db/event-feed.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'

export interface EventHub {
  /** Events after that number, oldest first. Empty: none yet, or only behind a hole. */
  after(afterId: number): Promise<readonly FedEvent[]>
  /** Resolves when there is something after that number, when `signal` says so, or after `limitMs`. */
  news(afterId: number, signal: AbortSignal, limitMs: number): Promise<void>
  newestId(): Promise<number>
  /** There may be something new: whoever listens looks at once. */
  wake(): void
  /** Ends all waiting; done when no look is under way any more. */
  close(): Promise<void>
  readonly closed: AbortSignal
}

export interface HubOptions {
  db: Db
  clock: Clock
  log: Log
  /** Until the next look at the table. */
  lookMs?: number
  /** How long a hole may be filled. */
  holeMs?: number
}

/** How many events are kept for those who follow, and read at a time. */
const kept = 2000
const page = 500
/** How far back the first look goes, for what other processes are just writing. */
const lookBack = 200
/** Hosts agree on the time to within this: what is older is settled, whatever is missing before it. */
const settledMs = 60_000
/** A transaction has its number a moment after its first event has. */
const beginningMs = 50

/** A number that is missing before higher ones. */
interface Hole {
  sinceMs: number
  /** No transaction from this one on can fill it; undefined: not known. */
  untilXid?: bigint
}

export function eventHub({ db, clock, log, lookMs = 100, holeMs = 5000 }: HubOptions): EventHub {
  /** The last ones that were handed on, without a hole. */
  let recent: FedEvent[] = []
  /** All up to here is handed on; undefined while nobody listens. */
  let floor: number | undefined
  let waiting = new Set<() => void>()
  let looking: Promise<void> | undefined
  const holes = new Map<number, Hole>()
  let nap = new AbortController()
  const closing = new AbortController()

  async function look(): Promise<void> {
    floor ??= Math.max(0, (await newestEventId(db)) - lookBack)
    for (;;) {
      const found = await eventsAfter(db, { afterId: floor, limit: page })
      const whole = withoutHole(found, floor, await transactionsFor(found, floor))
      const last = whole.at(-1)
      if (last === undefined) return
      floor = last.id
      recent = [...recent, ...whole].slice(-kept)
      wakeAll()
      if (whole.length < page) return
    }
  }

  /** What may be handed on: up to the first hole that may still be filled. */
  function withoutHole(
    found: readonly FedEvent[],
    after: number,
    transactions: Transactions | undefined,
  ): readonly FedEvent[] {
    const nowMs = clock.now()
    let expected = after + 1
    for (const [index, { id, at }] of found.entries()) {
      if (id !== expected && nowMs - Date.parse(at) < settledMs) {
        const hole = holes.get(expected) ?? { sinceMs: nowMs }
        holes.set(expected, hole)
        const isOver = hole.untilXid !== undefined && transactions !== undefined && transactions.oldest >= hole.untilXid
        if (!isOver && transactions && nowMs - hole.sinceMs >= beginningMs) hole.untilXid ??= transactions.next
        if (!isOver && nowMs - hole.sinceMs < holeMs) return found.slice(0, index)
        holes.delete(expected)
      }
      expected = id + 1
    }
    return found
  }

  /** Asked only where a number is missing. */
  async function transactionsFor(found: readonly FedEvent[], after: number): Promise<Transactions | undefined> {
    const last = found.at(-1)
    return last === undefined || last.id === after + found.length ? undefined : transactionsNow(db)
  }

  function wakeAll(): void {
    const woken = waiting
    waiting = new Set()
    for (const wake of woken) wake()
  }

  async function run(): Promise<void> {
    while (waiting.size > 0 && !closing.signal.aborted) {
      await look().catch(error => log.warn({ err: error }, 'cannot look for new events; looking again'))
      nap = new AbortController()
      await clock.sleep(lookMs, AbortSignal.any([closing.signal, nap.signal])).catch(() => {})
    }
    looking = undefined
    // What happens while nobody listens is read from the table by whoever comes next.
    recent = []
    floor = undefined
    holes.clear()
  }

  return {
    closed: closing.signal,
    newestId: () => newestEventId(db),
    wake: () => nap.abort(),
    async after(afterId) {
      const [first] = recent
      if (floor !== undefined && first !== undefined && first.id <= afterId + 1) {
        return recent.filter(event => event.id > afterId)
      }
      const found = await eventsAfter(db, { afterId, limit: page })
      const end = floor
      // What is below the floor is complete; what is above it may have holes yet, and waits to be handed on.
      if (end !== undefined) return found.filter(event => event.id <= end)
      return withoutHole(found, afterId, await transactionsFor(found, afterId))
    },
    async news(afterId, signal, limitMs) {
      if (signal.aborted || closing.signal.aborted || (floor !== undefined && floor > afterId)) return
      await new Promise<void>(resolve => {
        const done = () => {
          clearTimeout(timer)
          waiting.delete(done)
          signal.removeEventListener('abort', done)
          closing.signal.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, limitMs)
        signal.addEventListener('abort', done, { once: true })
        closing.signal.addEventListener('abort', done, { once: true })
        waiting.add(done)
        looking ??= run()
      })
    },
    async close() {
      closing.abort()
      wakeAll()
      await looking
    },
  }
}
