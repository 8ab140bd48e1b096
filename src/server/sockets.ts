/**
 * Requests for a WebSocket: which paths have one, who may have it, and what those hear who may not. Who asks is
 * authenticated as for every endpoint, and authorised by the socket itself. A page of another origin is refused unless
 * [cors] names it: browsers ask for sockets without asking first.
 */
import { randomUUID } from 'node:crypto'
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { Fault, Forbidden } from '#lib/fault.ts'
import { AuthFault } from './auth/faults.ts'
import type { Authenticator, Identity } from './auth.ts'
import { consoleSocket } from './console-socket.ts'
import type { World } from './endpoint.ts'
import { eventSocket } from './event-socket.ts'
import { faultBody } from './faults.ts'
import type { Policy } from './policy/policy.ts'

/** Somebody who asks for a socket. */
export interface Asking {
  world: World
  policy: Policy
  identity: Identity
  request: IncomingMessage
  requestId: string
}

/** A path that has a socket. */
export interface SocketPath {
  readonly path: RegExp
  /** Settles whether there may be one, before it is opened; then does what it is for. @throws any fault */
  open(asking: Asking): Promise<(socket: WebSocket) => void>
}

const paths: readonly SocketPath[] = [consoleSocket, eventSocket]
/** What a browser offers beside the protocol that says who asks: an answer must name one that was offered. */
const plainProtocol = 'ferrite'
const headerProtocol = /^ferrite\.header\.([\w-]{1,12000})$/
/** Headers that may come so. */
const bearing = ['authorization', 'x-auth-token']
/** Nobody types as much at once. */
const mostBytes = 64 * 1024
const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: mostBytes,
  // Never one that says who asks.
  handleProtocols: offered => (offered.has(plainProtocol) ? plainProtocol : false),
})

/** Is it for one of them, as version 13 has it? Other requests for other protocols are answered as if they had not asked. */
export function isForSocket(request: IncomingMessage): boolean {
  const { method, headers } = request
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['sec-websocket-version'] === '13' &&
    /^[A-Za-z0-9+/]{22}==$/.test(headers['sec-websocket-key'] ?? '') &&
    socketAt(request) !== undefined
  )
}

/** Takes a request that isForSocket() found, or refuses it in the form of every other error. */
export async function serveSocket(
  { world, auth, policy }: { world: World; auth: Authenticator; policy: Policy },
  request: IncomingMessage,
  { socket, head }: { socket: Duplex; head: Buffer },
): Promise<void> {
  const requestId = `req-${randomUUID()}`
  const gone = () => socket.destroy()
  socket.on('error', gone)
  try {
    checkOrigin(request, world.config.cors.allowed_origin)
    readHeaderProtocol(request)
    const identity = await auth.authenticate(request)
    const use = await socketAt(request)?.open({ world, policy, identity, request, requestId })
    socket.off('error', gone)
    if (use) server.handleUpgrade(request, socket, head, use)
  } catch (error) {
    if (!(error instanceof Fault))
      world.log.error({ err: error, request_id: requestId }, 'A request failed unexpectedly')
    refuse(
      socket,
      error instanceof Fault ? error : { status: 500, message: `Unexpected error; see ${requestId} in the log` },
    )
  }
}

/**
 * Browsers send no headers of a page's own with a request for a socket. So the one that says who asks may stand among the
 * protocols that are offered, as `ferrite.header.` and the base64url of `NAME: VALUE`; one that came as a header counts.
 */
function readHeaderProtocol({ headers }: IncomingMessage): void {
  if (bearing.some(name => headers[name] !== undefined)) return
  for (const offered of headers['sec-websocket-protocol']?.split(',') ?? []) {
    const [, encoded] = headerProtocol.exec(offered.trim()) ?? []
    if (encoded === undefined) continue
    const [, name = '', value] = /^([a-z-]+): (.+)$/s.exec(Buffer.from(encoded, 'base64url').toString()) ?? []
    if (bearing.includes(name) && value !== undefined) headers[name] = value
  }
}

function socketAt({ url = '' }: IncomingMessage): SocketPath | undefined {
  const path = pathOf(url)
  return paths.find(one => one.path.test(path))
}

export function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? ''
}

/** @throws Forbidden */
function checkOrigin({ headers }: IncomingMessage, allowed: readonly string[] | null): void {
  const { origin, host } = headers
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)) return
  if (allowed?.includes(origin) || allowed?.includes('*')) return
  throw new Forbidden(`Cannot connect from a page of ${origin.slice(0, 200)}: [cors] allowed_origin does not name it`)
}

function refuse(socket: Duplex, told: { status: number; message: string }): void {
  const body = faultBody(told)
  const challenge = told instanceof AuthFault && told.challenge ? `WWW-Authenticate: ${told.challenge}\r\n` : ''
  socket.end(
    `HTTP/1.1 ${told.status} ${STATUS_CODES[told.status]}\r\n${challenge}Content-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
