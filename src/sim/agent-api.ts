/**
 * The HTTP API of a simulated agent: paths, token, error bodies. Commands are handed to the record; none is known here.
 *
 * Source: openstack/ironic-python-agent `api/app.py`.
 */
import type { IncomingMessage, RequestListener } from 'node:http'
import { Compile } from 'typebox/compile'
import { messageOf } from '#lib/fault.ts'
import { CommandRequest } from '#protocol/agent.ts'
import { type Commands, SimAgentError } from './commands.ts'

export interface AgentApi {
  commands: Commands
  token: string
  version: string
  /** Milliseconds since 1970. */
  startedAtMs: number
  /** Whether the connection breaks on this request: before it is read, or when the work is done but not yet told. */
  breaks(): 'before' | 'after' | null
}

interface Reply {
  status: number
  body: unknown
  location?: string
}

const commandRequest = Compile(CommandRequest)

export function agentApi(api: AgentApi): RequestListener {
  return (request, response) => {
    const breaks = api.breaks()
    if (breaks === 'before') {
      request.socket.destroy()
      return
    }
    answer(api, request)
      .catch((error: unknown): Reply => {
        const status = error instanceof SimAgentError ? error.status : 500
        return { status, body: { faultcode: status < 500 ? 'Client' : 'Server', faultstring: messageOf(error) } }
      })
      .then(({ status, body, location }) => {
        if (breaks === 'after') {
          request.socket.destroy()
          return
        }
        const text = JSON.stringify(body)
        const type = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
        response.writeHead(status, { ...type, ...(location === undefined ? {} : { Location: location }) }).end(text)
      })
      .catch(() => response.destroy())
  }
}

async function answer(api: AgentApi, request: IncomingMessage): Promise<Reply> {
  const url = new URL(request.url ?? '/', 'http://agent')
  const path = url.pathname.replace(/^\/v1(?=\/)/, '')
  const { commands, version, startedAtMs } = api
  if (path === '/' || path === '/status') {
    const status = { started_at: startedAtMs / 1000, version }
    return ok(path === '/status' ? status : { name: 'Simulated agent', versions: [], default_version: { id: 'v1' } })
  }
  if (path === '/commands') {
    return { status: 308, body: null, location: `${url.pathname}/${url.search}` }
  }
  const [, id] = /^\/commands\/([^/]*)$/.exec(path) ?? []
  if (id === undefined) throw refusal(404, `404 Not Found: ${url.pathname}`)
  if (url.searchParams.get('agent_token') !== api.token) throw refusal(401, '401 Unauthorized: Token invalid.')
  const waits = url.searchParams.get('wait')?.toLowerCase() === 'true'

  if (request.method === 'GET') {
    if (id === '') return ok({ commands: commands.list() })
    if (waits) await commands.ended(id)
    const found = commands.find(id)
    if (found === undefined) throw refusal(404, `Not found: Command with id ${id} not found.`)
    return ok(found)
  }
  if (request.method === 'POST' && id === '') {
    const body = await readJson(request)
    if (!commandRequest.Check(body)) throw refusal(400, '400 Bad Request: expected a text name and an object params')
    const result = await commands.start(body)
    if (waits) await commands.ended(result.id)
    return ok(result)
  }
  throw refusal(405, `405 Method Not Allowed: ${request.method} on ${url.pathname}`)
}

const ok = (body: unknown): Reply => ({ status: 200, body })
const refusal = (status: number, text: string) => new SimAgentError('RESTError', text, status)

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    throw refusal(400, `400 Bad Request: the body is not JSON: ${messageOf(error)}`)
  }
}
