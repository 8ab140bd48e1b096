/**
 * Which connection makes room when there are too many: the oldest that has not brought a whole request yet; where there is
 * none but the one that just came, the one that rests longest between two requests, or over the body of one. Whoever
 * waits for an answer keeps the connection. So neither half-open connections nor such that are kept open for nothing keep
 * anybody out.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface Connections {
  add(socket: Socket): void
  /** The header of a request came. */
  begin(request: IncomingMessage, response: ServerResponse): void
}

/** @param most connections at a time */
export function connectionsUpTo(most: number): Connections {
  /** Those that have brought no whole request yet, the oldest first. */
  const newcomers = new Map<unknown, Socket>()
  /** Those over which a request was answered, and no other has come as a whole since; the longest at rest first. */
  const resting = new Set<Socket>()
  const working = new WeakMap<Socket, number>()
  const known = new WeakSet<Socket>()
  let open = 0

  const rest = (socket: Socket) => {
    if (socket.destroyed) return
    resting.delete(socket)
    resting.add(socket)
    if (known.has(socket)) return
    known.add(socket)
    socket.once('close', () => resting.delete(socket))
  }

  return {
    add(socket) {
      open += 1
      const key = keyOf(socket)
      newcomers.set(key, socket)
      socket.once('close', () => {
        open -= 1
        if (newcomers.get(key) === socket) newcomers.delete(key)
      })
      if (open <= most) return
      // Maps and sets keep the order in which their entries came.
      const [newcomer] = newcomers.values()
      const [longest = socket] = resting
      const victim = newcomer !== undefined && newcomer !== socket ? newcomer : longest
      resting.delete(victim)
      victim.destroy()
    },
    begin(request, response) {
      const { socket } = request
      let isWhole = false
      const whole = () => {
        isWhole = true
        newcomers.delete(keyOf(socket))
        resting.delete(socket)
        working.set(socket, (working.get(socket) ?? 0) + 1)
      }
      if (hasBody(request)) request.once('end', whole)
      else whole()
      response.once('close', () => {
        request.off('end', whole)
        newcomers.delete(keyOf(socket))
        if (isWhole) working.set(socket, (working.get(socket) ?? 1) - 1)
        if ((working.get(socket) ?? 0) === 0) rest(socket)
      })
    },
  }
}

/** Over TLS a request comes on another socket than the connection did; both have the same far end. */
function keyOf(socket: Socket): unknown {
  const { remoteAddress, remotePort } = socket
  return remoteAddress === undefined ? socket : `${remoteAddress} ${remotePort}`
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}
