/**
 * Moves what SQLite has in its log into its file, in a thread of its own. That waits for the disk, for a third of a second
 * where an image is being written to the same one; done by the connection that works, everybody would wait with it.
 * One wait is left to that connection: when all was moved it begins the log anew, and its first bytes must be on the disk
 * before the others. So much is moved at a time, and seldom.
 *
 * This file is both ends: imported it starts the thread once there is something to move, run as one it moves.
 *
 * Source: SQLite, "Write-Ahead Logging", checkpointing; "WAL-mode File Format", the WAL index.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const role = 'ferrite-checkpoints'
const everyMs = 1000
/** A shorter log is left alone: 32 MiB with pages of 4 KiB. */
const leastPages = 8192
/** Pages of the log at which the working connection moves them itself: the thread has not come to it, or is gone. */
export const lastResortPages = 32_768

/** For the database in the file at `path`, until `close`. The process may end meanwhile: nothing is lost. */
export function keepLogShort(path: string): { close(): Promise<void> } {
  let thread: Worker | undefined
  let isBusy = false
  const look = () => {
    if (isBusy || pagesToMove(path) < leastPages) return
    isBusy = true
    thread ??= start()
    thread.postMessage('move')
  }
  const start = () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { role, path } })
    worker.unref()
    worker.on('message', () => {
      isBusy = false
    })
    // It ended, by whatever error: another one tries.
    worker.on('error', () => {})
    worker.on('exit', () => {
      thread = undefined
      isBusy = false
    })
    return worker
  }
  const timer = setInterval(look, everyMs).unref()
  return {
    async close() {
      clearInterval(timer)
      await thread?.terminate()
    },
  }
}

/** The log's own length says nothing: its file is used anew, and does not become shorter. */
function pagesToMove(path: string): number {
  const header = new Uint32Array(25) // in the order of this machine, as the file is
  try {
    const index = openSync(`${path}-shm`, 'r')
    try {
      if (readSync(index, header) < header.byteLength) return 0
    } finally {
      closeSync(index)
    }
  } catch {
    return 0 // nothing was written yet
  }
  const [written = 0, moved = 0] = [header[4], header[24]]
  return written - moved
}

if (!isMainThread && workerData?.role === role) {
  const sqlite = new DatabaseSync(workerData.path)
  sqlite.exec('PRAGMA synchronous = NORMAL')
  const move = sqlite.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  parentPort?.on('message', () => {
    move.get()
    parentPort?.postMessage('moved')
  })
}
