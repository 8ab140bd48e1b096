/**
 * Bounds what answers hold in memory until their clients have taken them. A client that asks for long lists and does
 * not read them, or that sends a thousand requests at once over one connection, would otherwise fill the service.
 *
 * While too much is held, whoever asks for more waits (turnstile.ts), and connections that make no room for long are
 * closed. Short answers are not counted: a socket takes them at once.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface Unread {
  /** An answer of this size was handed over. */
  hold(response: ServerResponse, sizeBytes: number): void
  /** Is more held than there is room for? Closes the connections that have been at it too long. */
  isFull(): boolean
}

/** What one connection has not taken yet. */
interface Held {
  bytes: number
  answers: number
  readonly sinceMs: number
}

const shortBytes = 64 * 1024

/**
 * @param mostBytes how much may be held by all together
 * @param patienceMs how long a connection may hold anything while others wait for room
 */
export function unreadAnswers({ mostBytes = 64 * 1024 * 1024, patienceMs = 5000 } = {}): Unread {
  /** The oldest first. */
  const held = new Map<Socket, Held>()
  const watched = new WeakSet<Socket>()
  let total = 0

  const release = (socket: Socket, bytes: number) => {
    const one = held.get(socket)
    if (!one) return
    one.bytes -= bytes
    one.answers -= 1
    total -= bytes
    if (one.bytes <= 0) held.delete(socket)
  }
  const forget = (socket: Socket) => release(socket, held.get(socket)?.bytes ?? 0)

  return {
    hold(response, sizeBytes) {
      if (sizeBytes < shortBytes) return
      const { socket } = response.req
      if (socket.destroyed) return
      const one = held.get(socket)
      total += sizeBytes
      if (one) {
        one.bytes += sizeBytes
        one.answers += 1
      } else held.set(socket, { bytes: sizeBytes, answers: 1, sinceMs: performance.now() })
      if (!watched.has(socket)) {
        watched.add(socket)
        socket.once('close', () => forget(socket))
      }
      response.once('close', () => release(socket, sizeBytes))
    },
    isFull() {
      if (total <= mostBytes) return false
      for (const [socket, { answers, sinceMs }] of held) {
        // Who asks for more before they took what they had asked for goes first.
        if (answers === 1 && performance.now() - sinceMs < patienceMs) continue
        forget(socket)
        socket.destroy()
      }
      return total > mostBytes
    },
  }
}
