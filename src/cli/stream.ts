/**
 * A WebSocket of the API as a stream of bytes both ways. A refusal is an HTTP answer, in the API's own words.
 *
 * Source: RFC 6455; what proves who calls goes in the headers of the handshake, as with any other request.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createWebSocketStream, WebSocket } from 'ws'
import { type Answer, asUnreachable, type Request, type Transport } from './http.ts'

/** @returns the answer of a service that refuses; else the stream. @throws Unreachable */
export async function openStream(
  request: Omit<Request, 'method'>,
  { tls, timeoutMs, trace }: Transport,
): Promise<Duplex | Answer> {
  const { url, headers = {} } = request
  const at = new URL(url)
  at.protocol = url.protocol.replace('http', 'ws')
  const socket = new WebSocket(at, {
    headers: { ...headers },
    handshakeTimeout: timeoutMs,
    rejectUnauthorized: !tls.insecure,
    ca: tls.ca,
    cert: tls.cert,
    key: tls.key,
  })
  const stream = createWebSocketStream(socket)
  // Told to whoever opens it; a connection that breaks later ends the stream.
  stream.on('error', () => {})
  try {
    const refusal = await opened(socket)
    trace?.(`GET ${url.origin}${url.pathname} -> ${refusal?.status ?? 101}`)
    if (refusal) stream.destroy()
    return refusal ?? stream
  } catch (error) {
    stream.destroy()
    throw asUnreachable(error, { ...request, method: 'GET' })
  }
}

function opened(socket: WebSocket): Promise<Answer | null> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer | null>()
  socket.once('open', () => resolve(null))
  socket.on('error', reject)
  socket.once('unexpected-response', (_, response: IncomingMessage) => {
    const answer = (body: string) => ({ status: response.statusCode ?? 0, headers: response.headers, text: body })
    text(response).then(body => resolve(answer(body)), reject)
  })
  return promise
}
