/**
 * A node's serial console as a WebSocket, `/v1/nodes/{node_ident}/states/console/stream`: bytes both ways. Who asks is
 * authenticated and authorised as for every endpoint, by the policy for switching the console, since who is there may type.
 * A page of another origin is refused unless [cors] names it: browsers ask for sockets without asking first.
 */
import { randomUUID } from 'node:crypto'
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { Fault, Forbidden, NotFound } from '#lib/fault.ts'
import { acceptWebSocket, asksForWebSocket } from '#lib/websocket.ts'
import { maximum } from '#protocol/microversion.ts'
import { AuthFault } from './auth/faults.ts'
import type { Authenticator } from './auth.ts'
import type { World } from './endpoint.ts'
import { faultBody } from './faults.ts'
import { mustFindNode } from './find-node.ts'
import { type Policy, requireAny } from './policy/policy.ts'

const streamPath = /^\/v1\/nodes\/([^/]+)\/states\/console\/stream$/
const policies = ['baremetal:node:set_console_state']

/** Is it for us? Other requests for other protocols are answered as if they had not asked. */
export function isForConsole(request: IncomingMessage): boolean {
  return streamPath.test(pathOf(request)) && asksForWebSocket(request)
}

export interface ConsoleSockets {
  world: Pick<World, 'db' | 'conductor' | 'config' | 'log'>
  auth: Authenticator
  policy: Policy
}

/** Takes a request that isForConsole() found, or refuses it in the form of every other error. */
export async function serveConsole(
  { world, auth, policy }: ConsoleSockets,
  request: IncomingMessage,
  { socket, head }: { socket: Duplex; head: Buffer },
): Promise<void> {
  const gone = () => socket.destroy()
  socket.on('error', gone)
  try {
    checkOrigin(request, world.config.cors.allowed_origin)
    const identity = await auth.authenticate(request)
    const ident = decodeURIComponent(streamPath.exec(pathOf(request))?.[1] ?? '')
    const node = await mustFindNode(
      {
        db: world.db,
        version: maximum,
        may: (name, target) => policy.allows(identity, name, target),
        allow: target => requireAny(policy, identity, policies, target),
      },
      ident,
    )
    const attach = await world.conductor.consoleStream(node)
    if (!attach) {
      throw new NotFound(
        `Cannot connect to the console of node ${node.uuid}: ` +
          'it is switched off, or another conductor offers it; GET its states/console tells',
      )
    }
    attach(acceptWebSocket(request, socket, head))
  } catch (error) {
    const requestId = `req-${randomUUID()}`
    if (!(error instanceof Fault))
      world.log.error({ err: error, request_id: requestId }, 'A request failed unexpectedly')
    refuse(
      socket,
      error instanceof Fault ? error : { status: 500, message: `Unexpected error; see ${requestId} in the log` },
    )
  }
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

const pathOf = ({ url = '' }: IncomingMessage) => url.split('?', 1)[0] ?? ''
