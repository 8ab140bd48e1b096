/** Runs many simulations, several at a time, each in one of a few processes: one alone uses one processor. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Result } from './simulate.ts'

/**
 * The results, in the order in which they come. Whoever takes no more of them ends the rest.
 * @throws when a process ends in the middle of a simulation
 */
export async function* sideBySide(seeds: Iterable<number>, jobs: number): AsyncGenerator<Result> {
  const queue = seeds[Symbol.iterator]()
  const hands = Array.from({ length: jobs }, () => fork(join(import.meta.dirname, 'hand.ts')))
  const underWay = new Map<number, Promise<{ index: number; result: Result }>>()
  const begin = (index: number) => {
    const { value: seed, done } = queue.next()
    if (done) underWay.delete(index)
    else underWay.set(index, runIn(index, seed))
  }
  const runIn = async (index: number, seed: number) => {
    const hand = hands[index] as (typeof hands)[number] // one of those above
    const over = new AbortController()
    const { signal } = over
    const dead = once(hand, 'exit', { signal }).then(([code]) => {
      throw new Error(`the process that ran seed ${seed} ended with status ${code}`)
    })
    const answer = once(hand, 'message', { signal })
    hand.send(seed)
    try {
      const [result] = (await Promise.race([answer, dead])) as [Result] // what hand.ts sends
      return { index, result }
    } finally {
      for (const lost of [answer, dead]) lost.catch(() => {})
      over.abort()
    }
  }
  try {
    for (const index of hands.keys()) begin(index)
    while (underWay.size > 0) {
      const { index, result } = await Promise.race(underWay.values())
      begin(index)
      yield result
    }
  } finally {
    for (const all of underWay.values()) all.catch(() => {}) // they end with their processes
    for (const hand of hands) hand.kill('SIGKILL')
  }
}
