/**
 * Lets requests pass one after the other once the event loop is busy, so that whoever does not queue (heartbeats,
 * look-ups) waits for one request at most. While there is little to do it costs nothing and delays nobody.
 *
 * A turn is one round of the event loop. What comes after a turn's time is used up queues; each later turn lets one in.
 */
import { Busy } from './faults.ts'

export interface Turnstile {
  /** Undefined: go on at once. @throws Busy when too many queue already */
  pass(): Promise<void> | undefined
}

/**
 * @param turnBudgetMs how long a turn may last until requests queue
 * @param longestQueue how many may wait; more are refused
 */
export function turnstile({ turnBudgetMs = 5, longestQueue = 2000 } = {}): Turnstile {
  const queue: (() => void)[] = []
  let turnStartedMs = 0
  let inTurn = false
  let pumping = false

  const endTurn = () => {
    inTurn = false
  }
  const pump = () => {
    queue.shift()?.()
    pumping = queue.length > 0
    if (pumping) setImmediate(pump)
  }

  return {
    pass() {
      if (!inTurn && queue.length === 0) {
        inTurn = true
        turnStartedMs = performance.now()
        setImmediate(endTurn)
        return undefined
      }
      if (queue.length === 0 && performance.now() - turnStartedMs < turnBudgetMs) return undefined
      if (queue.length >= longestQueue) {
        throw new Busy(`Cannot answer now: ${queue.length} requests are waiting; try again in a few seconds`)
      }
      if (!pumping) {
        pumping = true
        setImmediate(pump)
      }
      return new Promise(resolve => queue.push(resolve))
    },
  }
}
