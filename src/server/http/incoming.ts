/**
 * Bounds what the bodies of requests take in memory while they are read and worked on. Anybody may send some megabytes to
 * the endpoints that machines call, over thousands of connections, and need not come to an end for two minutes.
 *
 * While too much is held, connections that have been sending one body for long are closed; when that makes no room, whoever
 * sends more is. Short bodies are not counted, so heartbeats are taken all the same.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Busy } from '../faults.ts'

export interface Incoming {
  /** Counts the body of a request, until its answer is over. @throws Busy when there is no room for a long one */
  watch(request: IncomingMessage, response: ServerResponse): void
}

interface Held {
  bytes: number
  readonly sinceMs: number
}

const shortBytes = 64 * 1024

/**
 * @param mostBytes how much may be held of all bodies together
 * @param patienceMs how long a body may take to come while there is no room
 */
export function incomingBodies({ mostBytes = 128 * 1024 * 1024, patienceMs = 5000 } = {}): Incoming {
  /** Bodies that are still coming, the oldest first; and those that are here. */
  const coming = new Map<IncomingMessage, Held>()
  const here = new Map<IncomingMessage, Held>()
  let total = 0

  const release = (request: IncomingMessage) => {
    total -= (coming.get(request) ?? here.get(request))?.bytes ?? 0
    coming.delete(request)
    here.delete(request)
  }
  /** Whether there is room, once those are sent away who take too long. */
  const hasRoom = () => {
    for (const [request, { sinceMs }] of coming) {
      if (total <= mostBytes || performance.now() - sinceMs < patienceMs) break
      release(request)
      request.destroy()
    }
    return total <= mostBytes
  }

  return {
    watch(request, response) {
      if (isLong(request) && !hasRoom()) {
        throw new Busy('Cannot read the body now: too many others are being read; try again in a few seconds')
      }
      let bytes = 0
      const count = (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= shortBytes) return
        const held = coming.get(request) ?? { bytes: 0, sinceMs: performance.now() }
        total += bytes - held.bytes
        held.bytes = bytes
        coming.set(request, held)
        if (hasRoom()) return
        release(request)
        request.destroy()
      }
      request.on('data', count)
      request.once('end', () => {
        request.off('data', count)
        const held = coming.get(request)
        if (held) here.set(request, held)
        coming.delete(request)
      })
      response.once('close', () => {
        request.off('data', count)
        release(request)
      })
    },
  }
}

/** What has no length yet counts as long. */
function isLong({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return length === undefined ? headers['transfer-encoding'] !== undefined : Number(length) > shortBytes
}
