/**
 * Hashes on a thread of its own, so that reading, hashing and writing overlap. Blocks lie in shared memory; only their
 * places travel. This file is both ends: imported it starts the thread, run as the thread it hashes. In the bundle both
 * are the one file, so nothing but `main.ts` may do anything on import, and that only on the main thread.
 */
import { createHash } from 'node:crypto'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export interface HashThread {
  /** Resolves when the block may be overwritten. Blocks are hashed in the order of the calls. */
  update(block: Uint8Array<SharedArrayBuffer>): Promise<void>
  /** Hex, of all blocks so far. Ends the thread. */
  digest(): Promise<string>
  /** Ends the thread without an answer. */
  stop(): Promise<void>
}

interface Job {
  block: Uint8Array<SharedArrayBuffer> | null
}
interface Done {
  digest: string | null
}

const ROLE = 'ferrite-hash'

export function startHashThread(algorithm: string): HashThread {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role: ROLE, algorithm } })
  const waiting: { resolve: (done: Done) => void; reject: (error: unknown) => void }[] = []
  let failure: unknown = null
  const fail = (error: unknown) => {
    failure = error
    for (const { reject } of waiting.splice(0)) reject(error)
  }
  worker.on('message', (done: Done) => waiting.shift()?.resolve(done))
  worker.on('error', fail)
  worker.on('exit', code => fail(new Error(`the hashing thread ended early (code ${code})`)))
  const ask = (job: Job) =>
    new Promise<Done>((resolve, reject) => {
      if (failure !== null) return reject(failure)
      waiting.push({ resolve, reject })
      worker.postMessage(job)
    })
  return {
    update: async block => {
      await ask({ block })
    },
    digest: async () => {
      const { digest } = await ask({ block: null })
      await worker.terminate()
      return digest ?? ''
    },
    stop: async () => {
      await worker.terminate()
    },
  }
}

if (!isMainThread && workerData?.role === ROLE) {
  const hash = createHash(workerData.algorithm)
  parentPort?.on('message', ({ block }: Job) => {
    if (block !== null) hash.update(block)
    const done: Done = { digest: block === null ? hash.digest('hex') : null }
    parentPort?.postMessage(done)
  })
}
