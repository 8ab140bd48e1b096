/**
 * A WebSocket of a BMC: consoles and images that are sent go over one. Its certificate is judged as for every other
 * connection. What is said over it is not known here.
 */
import { once } from 'node:events'
import type { ClientRequestArgs, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, WebSocket } from 'ws'
import { HardwareFault } from '../driver.ts'
import type { BmcSettings } from './driver-info.ts'
import { connectionFailure, faultOf, refusal } from './faults.ts'
import { connector } from './transport.ts'

/**
 * Opens it and answers its bytes both ways; what it sends may come in other pieces than it was sent in.
 * @param signal counts until it is open
 * @throws BmcUnreachable, BmcNotTrusted, BmcAccessDenied, BmcRefused
 */
export async function openWebSocket(
  bmc: BmcSettings,
  path: string,
  {
    headers,
    protocols,
    signal,
  }: { headers: Record<string, string>; protocols: readonly string[]; signal: AbortSignal },
): Promise<Duplex> {
  signal.throwIfAborted()
  const { origin } = new URL(bmc.origin)
  const url = new URL(path, origin)
  // A BMC that names another host would be told our credentials.
  url.host = new URL(origin).host
  url.protocol = bmc.origin.startsWith('https:') ? 'wss:' : 'ws:'
  const socket = new WebSocket(url, [...protocols], {
    headers,
    perMessageDeflate: false,
    handshakeTimeout: bmc.connectTimeoutMs,
    createConnection: connecting(bmc),
  })
  // From the beginning: what is said at once must not be lost. A connection that breaks later ends the stream.
  const stream = createWebSocketStream(socket)
  stream.on('error', () => {})
  const abort = () => socket.terminate()
  signal.addEventListener('abort', abort, { once: true })
  const refused = Promise.withResolvers<never>()
  socket.once('unexpected-response', (_, response: IncomingMessage) => {
    response.resume()
    const { statusCode: status = 0 } = response
    refused.reject(refusal(bmc, 'GET', url.pathname, { status, headers: {}, body: null }))
  })
  try {
    await Promise.race([once(socket, 'open'), refused.promise])
  } catch (error) {
    socket.on('error', () => {}) // what comes after the first one says nothing new
    socket.terminate()
    signal.throwIfAborted()
    throw error instanceof HardwareFault ? error : faultOf(bmc, `GET ${url.pathname}`, connectionFailure(error), 1)
  } finally {
    signal.removeEventListener('abort', abort)
  }
  return stream
}

/** Connections as the transport makes them, for a client that is not undici's. */
function connecting(bmc: BmcSettings): NonNullable<ClientRequestArgs['createConnection']> {
  const { hostname, port, protocol } = new URL(bmc.origin)
  return (_, connected) => {
    const target = { hostname, host: hostname, port: port || (protocol === 'https:' ? '443' : '80'), protocol }
    connector(bmc)(target, (...[error, socket]) => {
      if (error !== null)
        connected(error, undefined as unknown as Duplex) // Node reads no second argument then
      else connected(null, socket)
    })
    return undefined
  }
}
