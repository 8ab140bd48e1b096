/**
 * Work that many wait for and that is done once. It goes on as long as anybody waits and is given up when the last one
 * has left. It knows nothing of images but the shape of their progress.
 */
import type { StoreProgress } from './store.ts'

/** One piece of work and all who wait for it. */
export class SharedWork<T> {
  readonly done: Promise<T>
  readonly #controller = new AbortController()
  readonly #listeners = new Set<(progress: StoreProgress) => void>()
  #last: StoreProgress | undefined
  #waiters = 0

  constructor(
    closed: AbortSignal,
    work: (shared: { signal: AbortSignal; report: (progress: StoreProgress) => void }) => Promise<T>,
  ) {
    const report = (progress: StoreProgress) => {
      this.#last = progress
      for (const listener of this.#listeners) listener(progress)
    }
    this.done = work({ signal: AbortSignal.any([closed, this.#controller.signal]), report })
    // Waiters hear of failures; without any left nobody needs to.
    this.done.catch(() => {})
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  async join(signal: AbortSignal, onProgress: ((progress: StoreProgress) => void) | undefined): Promise<T> {
    this.#waiters += 1
    if (onProgress) {
      this.#listeners.add(onProgress)
      if (this.#last) onProgress(this.#last)
    }
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort)
    try {
      return await Promise.race([this.done, aborted])
    } finally {
      signal.removeEventListener('abort', abort)
      if (onProgress) this.#listeners.delete(onProgress)
      this.#waiters -= 1
      if (this.#waiters === 0) this.#controller.abort(new Error('nobody waits for this image any more'))
    }
  }
}
