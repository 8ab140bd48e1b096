/**
 * Time that passes at once: sleepers are woken in order, each only when everything that runs has come to rest. What runs
 * must wait for nothing but this clock and what is answered inside this process.
 */
import type { Clock } from '#lib/clock.ts'

interface Sleeper {
  atMs: number
  seq: number
  wake(): void
  /** It sleeps for ever, and nothing holds it. */
  forget(): void
}

export class SimTime implements Clock {
  #nowMs: number
  #seq = 0
  /** Sorted, the next one last. */
  readonly #sleepers: Sleeper[] = []

  constructor(startMs: number) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper: Sleeper = {
        atMs: this.#nowMs + Math.max(0, ms),
        seq: this.#seq++,
        wake: () => {
          signal?.removeEventListener('abort', giveUp)
          resolve()
        },
        forget: () => signal?.removeEventListener('abort', giveUp),
      }
      const giveUp = () => {
        const at = this.#sleepers.indexOf(sleeper)
        if (at >= 0) this.#sleepers.splice(at, 1)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', giveUp, { once: true })
      this.#insert(sleeper)
    })
  }

  /** Lets time pass until `done` says so after a step, or there is nothing to wait for, or `untilMs` is reached. */
  async run(untilMs: number, done: () => boolean): Promise<void> {
    for (;;) {
      await settled()
      if (done()) return
      const next = this.#sleepers.at(-1)
      if (next === undefined || next.atMs > untilMs) return
      this.#sleepers.pop()
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.wake()
    }
  }

  /** Nobody is woken any more. Node keeps a combined signal, and all behind it, for as long as somebody listens to it. */
  end(): void {
    for (const sleeper of this.#sleepers.splice(0)) sleeper.forget()
  }

  #insert(sleeper: Sleeper): void {
    let low = 0
    let high = this.#sleepers.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.#sleepers[middle]
      const isLater =
        other !== undefined && (other.atMs > sleeper.atMs || (other.atMs === sleeper.atMs && other.seq > sleeper.seq))
      if (isLater) low = middle + 1
      else high = middle
    }
    this.#sleepers.splice(low, 0, sleeper)
  }
}

/** Resolves when all that runs waits for the clock: promises are done, and no file is being read or written. */
async function settled(): Promise<void> {
  do await new Promise(resolve => setImmediate(resolve))
  while (process.getActiveResourcesInfo().some(name => name.startsWith('FSReq')))
}
