/**
 * What happens as a WebSocket, at the address of the pages, `/v1/events`, with their filters in its query: a message for
 * each event, its JSON. The caller has nothing to say.
 */
import type { FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Log } from '#lib/log.ts'
import { maximum } from '#protocol/microversion.ts'
import type { Followed } from './event-stream.ts'
import { prepare, type Ready, readRequest } from './read-request.ts'
import { events, followed } from './resources/events.ts'
import type { Asking, SocketPath } from './sockets.ts'

/** The end of an hour, or of the service: the client is to come again. Source: RFC 6455, 7.4.1. */
const goingAway = 1001

export const eventSocket: SocketPath = {
  path: /^\/v1\/events$/,
  async open(asking) {
    const told = await followed(callOf(asking))
    return socket => {
      void tell(socket, told, asking.world.log)
    }
  },
}

/** Sends what is told until one of both ends. A client that reads slowly is waited for, and nothing is kept for it. */
async function tell(socket: WebSocket, told: AsyncGenerator<Followed>, log: Log): Promise<void> {
  const send = (text: string) =>
    new Promise<void>((resolve, reject) => socket.send(text, error => (error ? reject(error) : resolve())))
  socket.on('error', () => socket.terminate())
  socket.on('close', () => void told.return(undefined))
  try {
    for await (const now of told) {
      if (socket.readyState !== socket.OPEN) break
      // The other end says nothing to a ping that a program would notice; proxies see that somebody is there.
      if (typeof now === 'number') socket.ping()
      else for (const event of now) await send(JSON.stringify(event))
    }
  } catch (error) {
    if (socket.readyState === socket.OPEN) log.error({ err: error }, 'a follower of events cannot be told any more')
  } finally {
    await told.return(undefined)
    socket.close(goingAway)
  }
}

let list: Ready | undefined

/** The call that a request for the pages would be. */
function callOf({ world, policy, identity, request, requestId }: Asking) {
  const endpoint = events.find(({ id }) => id === 'event.list')
  if (!endpoint) throw new Error('no endpoint is called event.list')
  list ??= prepare(endpoint)
  const { searchParams } = new URL(request.url ?? '', 'http://localhost')
  const query: Record<string, string | string[]> = {}
  for (const name of searchParams.keys()) {
    const [only = '', ...more] = searchParams.getAll(name)
    query[name] = more.length === 0 ? only : [only, ...more]
  }
  const asked = {
    raw: request,
    url: request.url,
    ip: request.socket.remoteAddress,
    minor: maximum,
    params: {},
    query,
    identity,
    requestId,
  }
  // All that a reading of a request without a body looks at.
  return readRequest(list, asked as unknown as FastifyRequest, { world, policy }) as Parameters<typeof followed>[0]
}
