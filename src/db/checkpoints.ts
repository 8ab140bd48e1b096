/**
 * Moves what SQLite has in its log into its file, in a thread of its own. That waits for the disk, for a third of a second
 * where an image is being written to the same one; done by the connection that works, everybody would wait with it.
 * One wait is left to that connection: when all was moved it begins the log anew, and its first bytes must be on the disk
 * before the others. So much is moved at a time, and seldom.
 *
 * This file is both ends: imported it starts the thread once there is something to move, run as one it moves.
 *
 * Source: SQLite, "Write-Ahead Logging", checkpointing; "PRAGMA wal_checkpoint", NOOP.
 */
import { DatabaseSync } from 'node:sqlite'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const role = 'ferrite-checkpoints'
const everyMs = 1000
/** A shorter log is left alone: 32 MiB with pages of 4 KiB. */
const leastPages = 8192
/** Pages of the log at which the working connection moves them itself: the thread has not come to it, or is gone. */
export const lastResortPages = 32_768

/** For `sqlite`, the file at `path`, until `close`. The process may end meanwhile: nothing is lost. */
export function keepLogShort(sqlite: DatabaseSync, path: string): { close(): Promise<void> } {
  // Asked of SQLite: its log's file never becomes shorter, and whoever else closes one of its files drops its locks.
  const state = sqlite.prepare('PRAGMA wal_checkpoint(NOOP)')
  let thread: Worker | undefined
  let isBusy = false
  const pagesToMove = () => {
    if (sqlite.isTransaction) return 0 // it does not answer within one; the next look is soon
    const { log, checkpointed } = state.get() as { log: number; checkpointed: number } // its columns
    return log - checkpointed
  }
  const look = () => {
    if (isBusy || pagesToMove() < leastPages) return
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

if (!isMainThread && workerData?.role === role) {
  const sqlite = new DatabaseSync(workerData.path)
  sqlite.exec('PRAGMA synchronous = NORMAL')
  const move = sqlite.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  parentPort?.on('message', () => {
    move.get()
    parentPort?.postMessage('moved')
  })
}
