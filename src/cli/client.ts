/**
 * The API as the client sees it: one request after the other over node:http (which loads 12 ms faster than fetch), the
 * microversion settled on the way, conflicts tried again, errors as the API words them. Answers are returned as they
 * came: the client prints what it gets, also from a server older or newer than itself.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Fault, messageOf } from '#lib/fault.ts'
import type { Item } from './command.ts'

/** The newest microversion whose answers this client knows. */
export const newestVersion = '1.115'

/** Words for "the newest that both sides know"; `1` is the baremetal client's other one. */
const latest: readonly string[] = ['latest', '1']

export interface ApiSettings {
  /** Base URL, with or without a path before `/v1`. */
  readonly endpoint: string
  /** `latest`, or a fixed microversion such as `1.95`. */
  readonly version: string
  /** Authentication and the like. */
  readonly headers: Readonly<Record<string, string>>
  /** How long the API may stay silent before a request is given up. */
  readonly timeoutMs: number
  /** Further tries after a conflict (409), a busy service (503) or a refused connection. */
  readonly maxRetries: number
  readonly retryIntervalMs: number
  readonly tls: {
    readonly insecure?: boolean
    readonly ca?: string | undefined
    readonly cert?: string | undefined
    readonly key?: string | undefined
  }
  sleep(ms: number): Promise<void>
  /** Tells the user why it takes longer. */
  notice(text: string): void
  /** Every request and answer, without bodies; for --debug. */
  trace?(text: string): void
}

/** The API said no. */
export class ApiError extends Fault {
  readonly status: number
  readonly code = 'api-error'
  readonly requestId: string | undefined

  constructor(message: string, { status, requestId }: { status: number; requestId: string | undefined }) {
    super(message)
    this.status = status
    this.requestId = requestId
  }
}

/** No answer: nothing listens, the name is unknown, TLS failed, silence. */
export class Unreachable extends Fault {
  readonly status = 502
  readonly code = 'api-unreachable'
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

export class Api {
  readonly #settings: ApiSettings
  readonly #base: URL
  #version: string

  /** @throws Unreachable when the endpoint is not an http(s) URL */
  constructor(settings: ApiSettings) {
    this.#settings = settings
    this.#base = baseUrl(settings.endpoint)
    this.#version = latest.includes(settings.version) ? newestVersion : settings.version
  }

  async get(path: string, query?: Query): Promise<Item> {
    return asItem(await this.#request('GET', path, { query }), `GET ${path}`)
  }

  /** Creates an object. A conflict here is a duplicate, since creating takes no lock: it is not tried again. */
  async create(path: string, body: unknown): Promise<Item> {
    return asItem(await this.#request('POST', path, { body, conflictsPass: false }), `POST ${path}`)
  }

  async patch(path: string, patch: readonly unknown[], query?: Query): Promise<Item> {
    return asItem(await this.#request('PATCH', path, { query, body: patch }), `PATCH ${path}`)
  }

  async put(path: string, body?: unknown): Promise<void> {
    await this.#request('PUT', path, { body })
  }

  async delete(path: string): Promise<void> {
    await this.#request('DELETE', path)
  }

  /** Any method, for calls whose answer has no fixed shape (vendor passthru); undefined for an answer without body. */
  async call(method: Method, path: string, query?: Query, body?: unknown): Promise<unknown> {
    return await this.#request(method, path, { query, body })
  }

  /**
   * The items of a collection.
   * @param key where the answer keeps them
   * @param limit how many; 0 for all, however many pages that takes; undefined for one page of the server's size
   */
  async list(
    path: string,
    key: string,
    { query, limit }: { query: Query; limit: number | undefined },
  ): Promise<Item[]> {
    const items: Item[] = []
    let page = await this.get(path, limit ? { ...query, limit } : query)
    for (;;) {
      const found = page[key]
      if (Array.isArray(found)) items.push(...found)
      const next = typeof page.next === 'string' ? page.next : undefined
      if (next === undefined || !Array.isArray(found) || found.length === 0) return items
      if (limit === undefined) {
        this.#settings.notice(`The service listed the first ${items.length} only; --limit 0 shows all.`)
        return items
      }
      if (limit > 0 && items.length >= limit) return items.slice(0, limit)
      page = await this.get(pathOfLink(next))
    }
  }

  async #request(
    method: Method,
    path: string,
    { query, body, conflictsPass = true }: { query?: Query | undefined; body?: unknown; conflictsPass?: boolean } = {},
  ): Promise<unknown> {
    const url = this.#url(path, query)
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#exchange(method, url, body).catch((error: unknown) => asUnreachable(error, this.#base))
      if (answer instanceof Unreachable) {
        if (!this.#mayRetry(attempt, answer)) throw answer
      } else {
        if (answer.status === 406 && (await this.#lowerVersion(answer))) {
          attempt--
          continue
        }
        if (answer.status < 300) return parseBody(answer)
        const error = apiError(answer, this.#settings.version)
        const transient = answer.status === 503 || (answer.status === 409 && conflictsPass)
        if (!transient || !this.#mayRetry(attempt, error)) throw error
      }
      await this.#settings.sleep(this.#settings.retryIntervalMs)
    }
  }

  #mayRetry(attempt: number, fault: Fault): boolean {
    const { maxRetries, retryIntervalMs, notice } = this.#settings
    if (attempt > maxRetries) return false
    if (fault instanceof Unreachable && !isRefused(fault)) return false
    const seconds = retryIntervalMs / 1000
    if (attempt === 1) notice(fault.message)
    notice(`Trying again in ${seconds} s (${attempt} of ${maxRetries}).`)
    return true
  }

  /**
   * After 406: settles on the server's newest version when ours is newer. False when the version is not the reason, or
   * the user has fixed it.
   */
  async #lowerVersion(answer: Answer): Promise<boolean> {
    if (!latest.includes(this.#settings.version)) return false
    let served = answer.headers['x-openstack-ironic-api-maximum-version']
    if (served === undefined) {
      const root = await this.#exchange('GET', this.#url('/v1'), undefined, { plain: true })
      served = root.headers['x-openstack-ironic-api-maximum-version']
    }
    if (typeof served !== 'string' || !isOlder(served, this.#version)) return false
    this.#version = served
    return true
  }

  #url(path: string, query: Query = {}): URL {
    const url = new URL(this.#base)
    const [pathname = '', search = ''] = path.split('?')
    url.pathname = url.pathname.replace(/\/$/, '') + pathname
    url.search = search
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.append(key, String(value))
    }
    return url
  }

  async #exchange(method: Method, url: URL, body?: unknown, { plain = false } = {}): Promise<Answer> {
    const { timeoutMs, tls, trace } = this.#settings
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = this.#headers(plain)
    if (text !== undefined) {
      headers['Content-Type'] = 'application/json'
      headers['Content-Length'] = Buffer.byteLength(text)
    }
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const request =
      url.protocol === 'https:'
        ? (await import('node:https')).request(url, {
            method,
            headers,
            rejectUnauthorized: !tls.insecure,
            ca: tls.ca,
            cert: tls.cert,
            key: tls.key,
          })
        : httpRequest(url, { method, headers })
    request.setTimeout(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
    request.on('error', reject)
    request.on('response', response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response
        trace?.(`${method} ${url.href} -> ${status} ${requestIdOf(headers) ?? ''}`)
        resolve({ status, headers, text: Buffer.concat(chunks).toString('utf8') })
      })
    })
    request.end(text)
    return await promise
  }

  #headers(plain: boolean): Record<string, string | number> {
    const headers = { Accept: 'application/json', 'User-Agent': 'ferrite', ...this.#settings.headers }
    return plain ? headers : { ...headers, 'X-OpenStack-Ironic-API-Version': this.#version }
  }
}

/** One word of a path, safe whatever the user typed. */
export function segment(word: string): string {
  if (word === '.' || word === '..') return word.replaceAll('.', '%2E')
  return encodeURIComponent(word)
}

function baseUrl(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new Unreachable(`Cannot use the endpoint "${endpoint}": expected http://HOST:PORT or https://HOST:PORT`)
  }
  url.pathname = url.pathname.replace(/\/+(v1\/*)?$/, '')
  url.search = ''
  return url
}

/** Path and query of a `next` link; its host and prefix are the server's idea of itself and may not be reachable. */
function pathOfLink(link: string): string {
  const { pathname, search } = new URL(link, 'http://localhost')
  const at = pathname.indexOf('/v1/')
  return pathname.slice(Math.max(at, 0)) + search
}

/** Is microversion `a` older than `b`? */
function isOlder(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number)
  const [majorB = 0, minorB = 0] = b.split('.').map(Number)
  return majorA < majorB || (majorA === majorB && minorA < minorB)
}

function parseBody({ status, headers, text }: Answer): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    const type = headers['content-type'] ?? 'nothing'
    const message = `Cannot read the answer (HTTP ${status}): expected JSON, found ${type}. Is this the bare metal API?`
    throw new ApiError(message, { status, requestId: requestIdOf(headers) })
  }
}

function asItem(value: unknown, what: string): Item {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Item // checked just now
  throw new Unreachable(`Cannot use the answer to ${what}: expected a JSON object. Is this the bare metal API?`)
}

function apiError({ status, headers, text }: Answer, version: string): ApiError {
  const served = headers['x-openstack-ironic-api-maximum-version']
  const lowest = headers['x-openstack-ironic-api-minimum-version']
  const message = errorMessage(text, status)
  const fixed = status === 406 && served && !latest.includes(version)
  const range = fixed ? `; asked with ${version}, the service speaks ${lowest} to ${served}` : ''
  return new ApiError(fixed ? message.replace(/\.$/, '') + range : message, { status, requestId: requestIdOf(headers) })
}

/**
 * The sentence inside an error body: `error_message` holds a JSON text again (or an object), with `faultstring` or
 * `description`; middleware answers `error.message`, a proxy whatever it likes.
 */
function errorMessage(text: string, status: number): string {
  const body = tryParse(text)
  const inner = typeof body?.error_message === 'string' ? tryParse(body.error_message) : body?.error_message
  for (const candidate of [inner, body?.error, body]) {
    if (typeof candidate !== 'object' || candidate === null) continue
    const { faultstring, description, message } = candidate as Record<string, unknown> // an object, so any key may be read
    for (const sentence of [faultstring, description, message]) {
      if (typeof sentence === 'string' && sentence !== '') return sentence
    }
  }
  if (typeof body?.error_message === 'string') return body.error_message
  return `The service answered HTTP ${status} without saying why`
}

function tryParse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function requestIdOf(headers: IncomingMessage['headers']): string | undefined {
  const id = headers['x-openstack-request-id'] ?? headers['openstack-request-id']
  return typeof id === 'string' ? id : undefined
}

function errorCode(error: unknown): string | undefined {
  if (error instanceof AggregateError) return errorCode(error.errors[0])
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return undefined
}

function isRefused(fault: Unreachable): boolean {
  return errorCode(fault.cause) === 'ECONNREFUSED'
}

/** Turns a failed exchange into what the user can do about it. */
function asUnreachable(error: unknown, base: URL): Unreachable {
  if (error instanceof Fault) throw error
  const code = errorCode(error)
  const tried = `Cannot reach the bare metal API at ${base.origin}${base.pathname === '/' ? '' : base.pathname}`
  const local = /^(127\.|localhost$|\[::1\]$)/.test(base.hostname)
  const hints: Record<string, string> = {
    ECONNREFUSED: `connection refused. ${local ? 'Start the service with "ferrite serve", or name' : 'Name'} another one with --os-endpoint or OS_ENDPOINT.`,
    ENOTFOUND: 'the host name is unknown. Check --os-endpoint or OS_ENDPOINT.',
    EAI_AGAIN: 'the host name could not be resolved. Check --os-endpoint or OS_ENDPOINT.',
    EPROTO: 'TLS failed. Is it an http:// endpoint?',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed. Trust it with --os-cacert FILE, or use --insecure.',
    SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an unknown authority. Name it with --os-cacert FILE.',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an unknown authority. Name it with --os-cacert FILE.',
  }
  const reason = (code && hints[code]) || messageOf(error instanceof AggregateError ? error.errors[0] : error)
  return new Unreachable(`${tried}: ${reason}`, { cause: error })
}
