/**
 * How simulated machines reach servers: a bounded pool of kept connections for the whole fleet, where thousands of real
 * machines would have one each. It retries nothing and reads nothing into the answers.
 */
import { Agent, request } from 'undici'

export interface Answer {
  status: number
  text: string
}

export interface Download {
  status: number
  /** From the headers; null when they do not say. */
  sizeBytes: number | null
  body: AsyncIterable<Uint8Array>
}

export interface Call {
  method: 'GET' | 'POST'
  url: string
  headers?: Record<string, string>
  json?: unknown
  signal: AbortSignal
}

/** Connections to one server at a time; further requests wait for one. */
const CONNECTIONS = 64
const SILENCE_LIMIT_MS = 30_000

export class Network {
  readonly #agent: Agent

  /** @param caPem authorities to trust besides the system's */
  constructor(options: { caPem?: string } = {}) {
    this.#agent = new Agent({
      connections: CONNECTIONS,
      headersTimeout: SILENCE_LIMIT_MS,
      bodyTimeout: SILENCE_LIMIT_MS,
      ...(options.caPem === undefined ? {} : { connect: { ca: options.caPem } }),
    })
  }

  /** One exchange; rejects when there is no whole answer. */
  async call(call: Call): Promise<Answer> {
    const { statusCode, body } = await this.#request(call)
    return { status: statusCode, text: await body.text() }
  }

  /** The caller reads the body to its end, or aborts. */
  async download(call: Omit<Call, 'method' | 'json'>): Promise<Download> {
    const { statusCode, headers, body } = await this.#request({ ...call, method: 'GET' })
    const length = Number(headers['content-length'])
    return { status: statusCode, sizeBytes: Number.isInteger(length) ? length : null, body }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  #request({ method, url, headers, json, signal }: Call) {
    return request(url, {
      method,
      signal,
      dispatcher: this.#agent,
      headers: { accept: '*/*', ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: json === undefined ? null : JSON.stringify(json),
    })
  }
}
