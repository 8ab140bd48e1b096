/** Places for work, so many at a time; who must wait is told its position. First come, first served. */
import type { StoreProgress } from './store.ts'

export class Slots {
  readonly #limit: () => number
  readonly #queue: { start: () => void; report: (position: number) => void }[] = []
  #active = 0

  /** @param limit read at each use */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  /** Resolves with a place; give it back with `release`. */
  async take(signal: AbortSignal, report: (progress: StoreProgress) => void): Promise<void> {
    if (this.#active < this.#limit()) {
      this.#active += 1
      return
    }
    await new Promise<void>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const place = {
        start: resolve,
        report: (position: number) => report({ phase: 'queued', bytes: 0, total_bytes: null, position }),
      }
      this.#queue.push(place)
      place.report(this.#queue.length)
      signal.addEventListener('abort', () => {
        const index = this.#queue.indexOf(place)
        if (index < 0) return
        this.#queue.splice(index, 1)
        reject(signal.reason)
      })
    })
  }

  /** A place goes straight to the next in the queue. */
  release(): void {
    const next = this.#queue.shift()
    if (next) next.start()
    else this.#active -= 1
    for (const [index, { report }] of this.#queue.entries()) report(index + 1)
  }
}
