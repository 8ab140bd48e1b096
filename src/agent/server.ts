/**
 * The agent's HTTP API: paths, token check, errors as conductors expect them. Commands are only handed over to the
 * board; nothing here knows one by name.
 *
 * Source: openstack/ironic-python-agent `api/app.py`.
 */
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { Value } from 'typebox/value'
import { messageOf } from '#lib/fault.ts'
import { CommandRequest } from '#protocol/agent.ts'
import type { CommandBoard } from './commands.ts'
import { AgentFault } from './errors.ts'
import type { Log } from './log.ts'

/** Config drives travel inside commands; 64 MiB of ISO are 86 MiB of base64. */
const BODY_LIMIT_BYTES = 128 * 1024 * 1024

export interface AgentApi {
  board: CommandBoard
  /** Null: nobody may run commands. */
  token: () => string | null
  /** Whether the conductor is one that reads results without showing its token. */
  readsWithoutToken: () => boolean
  version: string
  /** Epoch seconds. */
  startedAt: number
  log: Log
}

interface Api extends AgentApi {
  mayReadWithoutToken(): boolean
  noteShown(): void
}

type Handler = (api: Api, request: IncomingMessage, url: URL) => Promise<Reply>
interface Reply {
  status: number
  body?: unknown
  location?: string
}

export function agentApi(options: AgentApi): RequestListener {
  // Whoever showed the token once when reading always does: from then on nobody reads without.
  let wasShown = false
  const api: Api = {
    ...options,
    mayReadWithoutToken: () => !wasShown && options.readsWithoutToken(),
    noteShown: () => {
      wasShown = true
    },
  }
  return (request, response) => {
    answer(api, request)
      .catch((error: unknown): Reply => faultReply(api, error))
      .then(reply => send(response, reply))
      .catch((error: unknown) => {
        api.log.error(`Cannot answer ${request.method}: ${messageOf(error)}`)
        response.destroy()
      })
  }
}

const routes: { method: string; path: RegExp; open?: true; handle: Handler }[] = [
  { method: 'GET', path: /^\/$/, open: true, handle: async (_api, _request, url) => ok(rootDocument(url)) },
  { method: 'GET', path: /^\/v1\/$/, open: true, handle: async (_api, _request, url) => ok(versionDocument(url)) },
  {
    method: 'GET',
    path: /^(\/v1)?\/status$/,
    open: true,
    handle: async ({ startedAt, version }) => ok({ started_at: startedAt, version }),
  },
  { method: 'GET', path: /^(\/v1)?\/commands\/$/, handle: async ({ board }) => ok({ commands: board.list() }) },
  { method: 'POST', path: /^(\/v1)?\/commands\/$/, handle: startCommand },
  { method: 'GET', path: /^(\/v1)?\/commands\/(?<id>[^/]+)$/, handle: getCommand },
]

async function answer(api: Api, request: IncomingMessage): Promise<Reply> {
  const url = new URL(request.url ?? '/', `${scheme(request)}://${request.headers.host ?? 'localhost'}`)
  if (url.pathname === '/v1' || /^(\/v1)?\/commands$/.test(url.pathname)) {
    url.pathname += '/'
    return { status: 308, location: url.href }
  }
  const matching = routes.filter(({ path }) => path.test(url.pathname))
  if (matching.length === 0) throw new HttpError(404, `404 Not Found: ${url.pathname} is not a path of this agent`)
  const route = matching.find(({ method }) => method === request.method)
  if (route === undefined) {
    const allowed = matching.map(({ method }) => method).join(', ')
    throw new HttpError(405, `405 Method Not Allowed: ${request.method} on ${url.pathname}; allowed: ${allowed}`)
  }
  if (route.open === true) return await route.handle(api, request, url)
  const isRead = request.method === 'GET'
  if (isRead && !url.searchParams.has('agent_token') && api.mayReadWithoutToken()) {
    return withoutLogs(await route.handle(api, request, url))
  }
  requireToken(api, url)
  if (isRead) api.noteShown()
  return await route.handle(api, request, url)
}

async function startCommand({ board }: Api, request: IncomingMessage, url: URL): Promise<Reply> {
  const body = await readBody(request)
  if (!Value.Check(CommandRequest, body)) {
    throw new HttpError(400, '400 Bad Request: expected an object with a text `name` and an object `params`')
  }
  const result = await board.start(body)
  return ok(waits(url) ? await board.wait(result.id) : result)
}

async function getCommand({ board }: Api, _request: IncomingMessage, url: URL): Promise<Reply> {
  const id = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1))
  return ok(waits(url) ? await board.wait(id) : board.get(id))
}

/** To readers who did not show the token: all that such a conductor looks at, and no logs, which it gets by its POST. */
function withoutLogs({ status, body }: Reply): Reply {
  const text = JSON.stringify(body, (key, value: unknown) => (key === 'system_logs' ? '******' : value))
  return { status, body: JSON.parse(text) }
}

const waits = (url: URL) => url.searchParams.get('wait')?.toLowerCase() === 'true'

function requireToken({ token }: AgentApi, url: URL): void {
  const given = Buffer.from(url.searchParams.get('agent_token') ?? '')
  const expected = Buffer.from(token() ?? '')
  if (expected.length > 0 && given.length === expected.length && timingSafeEqual(given, expected)) return
  throw new HttpError(401, '401 Unauthorized: Token invalid.')
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_LIMIT_BYTES) throw new HttpError(413, `413 Payload Too Large: more than ${BODY_LIMIT_BYTES} bytes`)
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    throw new HttpError(400, `400 Bad Request: the body is not JSON: ${messageOf(error)}`)
  }
}

class HttpError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

function faultReply({ log }: AgentApi, error: unknown): Reply {
  if (error instanceof HttpError) return fault(error.status, error.message)
  if (error instanceof AgentFault) return fault(error.status, faultText(error))
  log.error(`A request failed unexpectedly: ${error instanceof Error ? error.stack : String(error)}`)
  return fault(500, `500 Internal Server Error: ${messageOf(error)}`)
}

/** Conductors look for these beginnings. */
function faultText({ type, message }: AgentFault): string {
  if (type === 'RequestedObjectNotFoundError') return `Not found: ${message}`
  if (type === 'InvalidCommandParamsError') return `Invalid command parameters: ${message}`
  return message
}

function fault(status: number, text: string): Reply {
  return { status, body: { faultcode: status < 500 ? 'Client' : 'Server', faultstring: text } }
}

function ok(body: unknown): Reply {
  return { status: 200, body }
}

function send(response: ServerResponse, { status, body, location }: Reply): void {
  const text = body === undefined ? '' : JSON.stringify(body)
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...(location === undefined ? {} : { Location: location }),
  })
  response.end(text)
}

function scheme(request: IncomingMessage): string {
  return 'encrypted' in request.socket ? 'https' : 'http'
}

function rootDocument({ origin }: URL) {
  const version = versionLinks(origin)
  return {
    name: 'OpenStack Ironic Python Agent API',
    description: 'Ferrite provisioning agent, speaking the API of the Ironic Python Agent',
    versions: [version],
    default_version: version,
  }
}

function versionDocument({ origin }: URL) {
  const links = (name: string) => [
    { href: `${origin}/v1/${name}/`, rel: 'self' },
    { href: `${origin}/${name}/`, rel: 'bookmark' },
  ]
  return {
    ...versionLinks(origin),
    commands: links('commands'),
    status: links('status'),
    media_types: [{ base: 'application/json', type: 'application/vnd.openstack.ironic-python-agent.v1+json' }],
  }
}

function versionLinks(origin: string) {
  return {
    id: 'v1',
    links: [
      { href: `${origin}/v1`, rel: 'self' },
      { href: 'https://docs.openstack.org/ironic-python-agent/', rel: 'describedby', type: 'text/html' },
    ],
  }
}
