/**
 * Lets requests pass one after the other once the event loop is busy, so that whoever does not queue (heartbeats,
 * look-ups) waits for one request at most. While there is little to do it costs nothing and delays nobody.
 *
 * A turn is one round of the event loop. What comes after a turn's time is used up queues; each later turn lets one in,
 * unless the service is full: then they wait for room.
 */
import { Busy } from '../faults.ts'

export interface Turnstile {
  /**
   * Undefined: go on at once.
   * @param from whose request it is; nobody may fill the queue alone
   * @throws Busy when too many queue already
   */
  pass(from: object): Promise<void> | undefined
}

export interface TurnstileOptions {
  /** How long a turn may last until requests queue. */
  readonly turnBudgetMs?: number
  /** How many may wait; more are refused. */
  readonly longestQueue?: number
  /** How many of one caller may. */
  readonly longestOfOne?: number
  /** Is there no room for the answers of further requests? */
  readonly isFull?: () => boolean
}

/** Until the next look whether there is room again. */
const fullMs = 10

export function turnstile(options: TurnstileOptions = {}): Turnstile {
  const { turnBudgetMs = 5, longestQueue = 2000, longestOfOne = 100, isFull = () => false } = options
  const queue: { from: object; go: () => void }[] = []
  const queuedOf = new WeakMap<object, number>()
  let turnStartedMs = 0
  let inTurn = false
  let pumping = false

  const endTurn = () => {
    inTurn = false
  }
  const count = (from: object, change: 1 | -1) => queuedOf.set(from, (queuedOf.get(from) ?? 0) + change)
  const pump = () => {
    if (isFull()) {
      setTimeout(pump, fullMs)
      return
    }
    const next = queue.shift()
    if (next) {
      count(next.from, -1)
      next.go()
    }
    pumping = queue.length > 0
    if (pumping) setImmediate(pump)
  }

  return {
    pass(from) {
      if (queue.length === 0 && !isFull()) {
        if (!inTurn) {
          inTurn = true
          turnStartedMs = performance.now()
          setImmediate(endTurn)
          return undefined
        }
        if (performance.now() - turnStartedMs < turnBudgetMs) return undefined
      }
      if (queue.length >= longestQueue) {
        throw new Busy(`Cannot answer now: ${queue.length} requests are waiting; try again in a few seconds`)
      }
      if ((queuedOf.get(from) ?? 0) >= longestOfOne) {
        throw new Busy(`Cannot answer now: ${longestOfOne} requests of this connection are waiting already`)
      }
      count(from, 1)
      if (!pumping) {
        pumping = true
        setImmediate(pump)
      }
      return new Promise(resolve => queue.push({ from, go: resolve }))
    },
  }
}
