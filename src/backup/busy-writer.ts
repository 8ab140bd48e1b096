/**
 * Somebody who writes to a SQLite database all the time, for tests: a thread with a connection of its own, as the service
 * is to whoever makes a backup. Each transaction changes the tables `first` and `last` alike, so that a copy in which they
 * differ is of no one instant. It does not wait for locks: who keeps it from writing breaks it.
 */
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export interface BusyWriter extends AsyncDisposable {
  /** How many transactions it has made so far. */
  commits(): number
}

interface Assignment {
  role: typeof role
  path: string
  forMs: number
  /** How many transactions it has made; whether it is to stop. */
  told: Int32Array
}

const role = 'busy writer'
const at = { commits: 0, stop: 1 } as const

if (!isMainThread && workerData?.role === role) write(workerData)

/** Makes the two tables; resolves when it has begun. After `forMs` it stops by itself. */
export async function startBusyWriter(path: string, { forMs }: { forMs: number }): Promise<BusyWriter> {
  const database = new DatabaseSync(path)
  for (const table of ['first', 'last']) {
    database.exec(`CREATE TABLE ${table} (value INTEGER NOT NULL); INSERT INTO ${table} VALUES (0)`)
  }
  database.close()
  const told = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { role, path, forMs, told } satisfies Assignment,
  })
  await once(worker, 'message')
  const ended = once(worker, 'exit')
  return {
    commits: () => Atomics.load(told, at.commits),
    async [Symbol.asyncDispose]() {
      Atomics.store(told, at.stop, 1)
      await ended
    },
  }
}

function write({ path, forMs, told }: Assignment): void {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA busy_timeout = 0; PRAGMA synchronous = NORMAL')
  const endMs = performance.now() + forMs
  while (Atomics.load(told, at.stop) === 0 && performance.now() < endMs) {
    database.exec('BEGIN IMMEDIATE; UPDATE first SET value = value + 1; UPDATE last SET value = value + 1; COMMIT')
    if (Atomics.add(told, at.commits, 1) === 0) parentPort?.postMessage('begun')
    Atomics.wait(told, at.stop, 0, 1)
  }
  database.close()
}
