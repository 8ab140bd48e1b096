/**
 * The HTTP server below the API's frame, plain or over TLS: which connections it takes, how long they may take for what,
 * and what callers hear whose requests cannot even be parsed. It knows no endpoint.
 *
 * A client that is slow to send, or to read, holds a socket, never the service, and not for ever. When there are too
 * many connections, those that are of no use make room (connections.ts).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TlsOptions } from 'node:tls'
import { faultBody } from '../faults.ts'
import { connectionsUpTo } from './connections.ts'
import { watchDistrust } from './distrust.ts'

export interface HttpServerOptions {
  readonly tls?: TlsOptions | undefined
  /** Connections at a time. */
  readonly maxConnections?: number
  /** Told of callers who do not trust our certificate. */
  readonly onDistrust?: (address: string, reason: string) => void
  /** Requests for another protocol that the server's `upgrade` event gets; all others are answered as if they had not asked. */
  readonly upgrades?: (request: IncomingMessage) => boolean
}

/** Limits of one connection. The sockets of the machines' ramdisks are as slow as any. */
const limits = {
  /** From the first byte of a request to the end of its headers, and of its body. */
  headersTimeout: 20_000,
  requestTimeout: 120_000,
  connectionsCheckingInterval: 5_000,
  /** Nothing sent and nothing taken; work on an answer may take minutes (a BMC is asked). */
  timeout: 300_000,
  /** A connection without a request. */
  keepAliveTimeout: 75_000,
  maxHeaderSize: 32_768,
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

export function createHttpServer(handler: Handler, options: HttpServerOptions = {}): Server {
  const { tls, maxConnections = 8192, onDistrust, upgrades = () => false } = options
  const connections = connectionsUpTo(maxConnections)
  const listener: Handler = (request, response) => {
    connections.begin(request, response)
    handler(request, response)
  }
  const { timeout, ...times } = limits
  const given = { ...times, shouldUpgradeCallback: upgrades }
  const secure = tls && createSecureServer({ ...given, ...tls }, listener)
  if (secure && onDistrust) watchDistrust(secure, onDistrust)
  // An HTTPS server is an HTTP server in all that is used of it.
  const server = secure ? (secure as unknown as Server) : createServer(given, listener)
  server.timeout = timeout
  // Past this nothing is even looked at.
  server.maxConnections = maxConnections + 256
  server.on('connection', (socket: Socket) => connections.add(socket))
  return server
}

/** Answers what could not be parsed, in the form of every other error, and closes the connection. */
export function refuseConnection(error: Error & { code?: string; rawPacket?: unknown }, socket: Duplex): void {
  const told = refusals(error)
  // Anything else than the parser's errors means that nobody is there any more, or never spoke TLS. An answer that
  // has begun must not be followed by the text of another.
  if (!told || !socket.writable || hasBegun(socket)) {
    socket.destroy()
    return
  }
  const body = faultBody(told)
  socket.end(
    `HTTP/1.1 ${told.status} ${STATUS_CODES[told.status]}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

function refusals({ code = '', rawPacket }: { code?: string; rawPacket?: unknown }) {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return { status: 408, message: 'Cannot read the request: it did not come in time' }
  if (code === 'HPE_HEADER_OVERFLOW') {
    const most = `expected at most ${limits.maxHeaderSize} bytes`
    // A first line without an end is a URL that is too long.
    const inUrl = Buffer.isBuffer(rawPacket) && !rawPacket.includes('\r\n')
    if (inUrl) return { status: 414, message: `Cannot read the request: its URL is too long, ${most}` }
    return { status: 431, message: `Cannot read the request: its headers are too long, ${most}` }
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return { status: 413, message: 'Cannot read the request: the extensions of its chunks are too long' }
  }
  if (code.startsWith('HPE_')) return { status: 400, message: 'Cannot read the request: it is not HTTP/1.1' }
  return undefined
}

/** Node itself looks at this property of its sockets in the same place. */
function hasBegun(socket: Duplex): boolean {
  const answering = (socket as { _httpMessage?: { headersSent?: boolean } | null })._httpMessage
  return answering?.headersSent === true
}
