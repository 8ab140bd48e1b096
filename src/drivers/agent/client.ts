/**
 * Talks to the agent in a node's ramdisk: lists, asks for and starts commands. It sends the token, to whom trust.ts
 * trusts alone, and turns every failure into a fault that says which address was asked for what. It waits for nothing:
 * waiting is the flow's business.
 *
 * Source: agent protocol, "The client" and "The agent's HTTP API" (ironic/drivers/modules/agent_client.py restated).
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions, request as httpsRequest } from 'node:https'
import { Compile } from 'typebox/compile'
import { Fault, messageOf } from '#lib/fault.ts'
import { CommandList, CommandResult } from '#protocol/agent.ts'
import type { NodeContext } from '../driver.ts'
import { secureContextOf } from '../secure-contexts.ts'
import { type AgentTrust, agentTrust } from './trust.ts'

/** The agent did not answer: no connection, a broken one, a certificate that is not the pinned one. */
export class AgentUnreachable extends Fault {
  readonly status = 503
  readonly code: string = 'agent-unreachable'
  readonly mayPass: boolean = true
}

/** No agent is known: none has called since the machine's last boot. */
export class NoAgentKnown extends AgentUnreachable {
  override readonly mayPass = false
}

/** The agent works on another command. */
export class AgentBusy extends Fault {
  readonly status = 409
  readonly code = 'agent-busy'
  readonly mayPass = true
}

/** The agent answered, and refused. */
export class AgentRefused extends Fault {
  readonly status = 500
  readonly code = 'agent-refused'
}

const list = Compile(CommandList)
const result = Compile(CommandResult)
/** An answer larger than this is not one of an agent (log archives are the largest: some megabytes). */
const answerLimitBytes = 64 * 1024 * 1024

export interface AgentClient {
  /** All commands since the agent started, oldest first. */
  commands(): Promise<CommandResult[]>
  /** One command; undefined when the agent does not know it, because it was started anew. */
  command(id: string): Promise<CommandResult | undefined>
  /** Starts a command; with `wait` the answer is its end. @throws AgentBusy, AgentRefused, AgentUnreachable */
  execute(name: string, params: Record<string, unknown>, options: { wait: boolean }): Promise<CommandResult>
}

/** The client for the node's agent. @throws AgentUnreachable when no agent has called since the last boot */
export function agentClient(ctx: NodeContext): AgentClient {
  const { agent, config } = ctx
  if (!agent?.url)
    throw new NoAgentKnown(`Node ${ctx.node.uuid} has no running agent: none has called since its last boot`)
  const base = `${agent.url.replace(/\/+$/, '')}/${config.agent.agent_api_version}/commands/`
  const exchange = ctx.shared<AgentExchange>(exchangeKey, () => new HttpExchange())
  const token = agent.token

  async function call(method: 'GET' | 'POST', path: string, query: Record<string, string>, body?: unknown) {
    const url = new URL(path, base)
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value)
    if (token) url.searchParams.set('agent_token', token)
    const what = `${method} ${new URL(path, base).pathname} of the agent at ${agent?.url}`
    let attempts = method === 'GET' ? config.agent.max_command_attempts : 1
    let lastError: unknown
    for (let attempt = 0; attempt < attempts; attempt++) {
      try {
        return { ...(await exchange.send(ctx, url, method, body)), what }
      } catch (error) {
        if (ctx.signal.aborted) throw error
        lastError = error
        // The request met the agent closing an idle connection and was not read; a new connection follows, once.
        if (attempt === 0 && attempts === 1 && error instanceof ConnectionClosed) attempts = 2
      }
    }
    throw new AgentUnreachable(`${what} failed: ${messageOf(lastError)}`, { cause: lastError })
  }

  return {
    async commands() {
      const { status, body, what } = await call('GET', '', {})
      if (status !== 200 || !list.Check(body)) throw refusal(what, status, body)
      return body.commands
    },
    async command(id) {
      const { status, body, what } = await call('GET', encodeURIComponent(id), {})
      if (status === 404) return undefined
      if (status !== 200 || !result.Check(body)) throw refusal(what, status, body)
      return body
    },
    async execute(name, params, { wait }) {
      const { status, body, what } = await call('POST', '', { wait: String(wait) }, { name, params })
      if (status !== 200 || !result.Check(body)) throw refusal(`${what} (${name})`, status, body)
      return body
    },
  }
}

function refusal(what: string, status: number, body: unknown): Fault {
  const said = typeof body === 'object' && body !== null && 'faultstring' in body ? String(body.faultstring) : ''
  if (status === 409 || said.toLowerCase().includes('agent is busy'))
    return new AgentBusy(`${what}: ${said || 'agent is busy'}`)
  return new AgentRefused(`${what} was answered with status ${status}${said ? `: ${said}` : ' and no explanation'}`)
}

/** How requests reach agents: over HTTP, unless something else was shared under this key before. */
export const exchangeKey = Symbol('requests to agents')

/** How often connections that are over are looked for. */
const sweepEveryMs = 1000

export interface AgentExchange {
  /** One exchange, bounded by [agent] command_timeout; an answer that is not JSON has the body null. */
  send(ctx: NodeContext, url: URL, method: string, body: unknown): Promise<{ status: number; body: unknown }>
}

/** Keeps connections open between looks at a running command: a handshake costs a slow machine more than the answer. */
class HttpExchange implements AgentExchange {
  /** By the agent's URL. */
  readonly #pools = new Map<string, { pool: HttpAgent; trustedAs: string }>()
  #sweptAtMs = 0

  async send(ctx: NodeContext, url: URL, method: string, body: unknown): Promise<{ status: number; body: unknown }> {
    const trusted = url.protocol === 'https:' ? await agentTrust(ctx) : undefined
    const pool = this.#pool(ctx.agent?.url ?? url.origin, trusted, ctx)
    return send(url, method, body, pool, ctx.config.agent.command_timeout * 1000, ctx.signal)
  }

  #pool(url: string, trusted: AgentTrust | undefined, ctx: NodeContext): HttpAgent {
    const trustedAs = JSON.stringify(trusted) ?? ''
    const known = this.#pools.get(url)
    if (known?.trustedAs === trustedAs) return known.pool
    // The agent's earlier boot is gone.
    known?.pool.destroy()
    this.#sweep(ctx.clock.now())
    const options = { keepAlive: true, maxSockets: 2, timeout: ctx.config.agent.command_timeout * 1000 }
    const pool = trusted ? new HttpsAgent({ ...options, ...tlsOf(trusted) }) : new HttpAgent(options)
    this.#pools.set(url, { pool, trustedAs })
    return pool
  }

  /** Forgets agents with whom no connection is left; not at each new one, of which there may be hundreds a second. */
  #sweep(nowMs: number): void {
    if (Math.abs(nowMs - this.#sweptAtMs) < sweepEveryMs) return
    this.#sweptAtMs = nowMs
    for (const [url, { pool }] of this.#pools) {
      if (isInUse(pool)) continue
      pool.destroy()
      this.#pools.delete(url)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { pool } of this.#pools.values()) pool.destroy()
  }
}

function tlsOf({ verify, trust }: AgentTrust): HttpsAgentOptions {
  return { secureContext: secureContextOf(trust), rejectUnauthorized: verify }
}

/** Whether a connection is open, or a request waits for one. */
function isInUse({ sockets, freeSockets, requests }: HttpAgent): boolean {
  return [sockets, freeSockets, requests].some(some => Object.keys(some).length > 0)
}

/** A kept connection was closed by the other side before a byte of an answer came. */
class ConnectionClosed extends Error {}

/** One exchange. The whole of it is bounded by `timeoutMs`; an answer that is not JSON has the body null. */
function send(
  url: URL,
  method: string,
  body: unknown,
  agent: HttpAgent,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    let isTooLate = false
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = {
      accept: 'application/json',
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest
    let answered = false
    const fail = (error: NodeJS.ErrnoException) => {
      if (isTooLate) return reject(new Error(`no answer within ${timeoutMs / 1000} s`))
      const closed = request.reusedSocket && error.code === 'ECONNRESET' && !answered
      reject(closed ? new ConnectionClosed(error.message, { cause: error }) : error)
    }
    const request = open(url, { method, agent, headers, signal }, response => {
      answered = true
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > answerLimitBytes) request.destroy(new Error(`an answer of more than ${answerLimitBytes} bytes`))
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () => {
        let parsed: unknown = null
        try {
          parsed = JSON.parse(Buffer.concat(chunks).toString())
        } catch {
          // Not JSON: the caller sees the status and no body.
        }
        resolve({ status: response.statusCode ?? 0, body: parsed })
      })
    })
    request.on('error', fail)
    // A timer that ends with the request: one of AbortSignal.timeout would stay for the whole of its time.
    const limit = setTimeout(() => {
      isTooLate = true
      request.destroy(new Error('too late'))
    }, timeoutMs)
    request.once('close', () => clearTimeout(limit))
    request.end(text)
  })
}
