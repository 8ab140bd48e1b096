/**
 * The API as the client sees it: one request after the other, the microversion settled on the way, conflicts tried
 * again, an expired token renewed, errors as the API words them. Answers are returned as they came: the client prints
 * what it gets, also from a server older or newer than itself.
 */
import type { Duplex } from 'node:stream'
import { Fault } from '#lib/fault.ts'
import type { Item } from './command.ts'
import {
  type Answer,
  bareMetal,
  errorMessage,
  exchange,
  isRefused,
  type Method,
  openStream,
  type Transport,
  Unreachable,
} from './http.ts'

/** The newest microversion whose answers this client knows. */
export const newestVersion = '1.115'

/** Words for "the newest that both sides know"; `1` is the baremetal client's other one. */
const latest: readonly string[] = ['latest', '1']

/** Who calls whom: what logging in gave. */
export interface Session {
  /** Base URL, with or without a path before `/v1`. */
  readonly endpoint: string
  /** What proves who calls; sent with every request. */
  readonly headers: Readonly<Record<string, string>>
  /** Logs in anew, after the API has refused the present proof; absent where that would prove nothing else. */
  renew?(): Promise<Readonly<Record<string, string>>>
}

export interface ApiSettings extends Session, Transport {
  /** `latest`, or a fixed microversion such as `1.95`. */
  readonly version: string
  /** Further tries after a conflict (409), a busy service (503) or a refused connection. */
  readonly maxRetries: number
  readonly retryIntervalMs: number
  sleep(ms: number): Promise<void>
  /** Tells the user why it takes longer. */
  notice(text: string): void
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

export type Query = Readonly<Record<string, string | number | boolean | undefined>>
export class Api {
  readonly #settings: ApiSettings
  readonly #base: URL
  #version: string
  #login: Readonly<Record<string, string>>

  /** @throws Unreachable when the endpoint is not an http(s) URL */
  constructor(settings: ApiSettings) {
    this.#settings = settings
    this.#base = baseUrl(settings.endpoint)
    this.#version = latest.includes(settings.version) ? newestVersion : settings.version
    this.#login = settings.headers
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

  /** A WebSocket of the API, as a stream of bytes both ways. Nothing is tried again. @throws ApiError, Unreachable */
  async stream(path: string): Promise<Duplex> {
    // Whoever wants none need not wait until it is loaded.
    const { openStream } = await import('./stream.ts')
    const opening = () => openStream({ ...this.#asked, url: this.#url(path), headers: this.#login }, this.#settings)
    let found = await opening()
    if ('status' in found && found.status === 401 && this.#settings.renew) {
      this.#login = await this.#settings.renew()
      found = await opening()
    }
    if ('status' in found) throw apiError(found, this.#settings.version)
    return found
  }

  /**
   * The data of server-sent events as they come, until the service ends them or `signal` does. Nothing is tried again.
   * Source: HTML standard, "Server-sent events".
   * @throws Unreachable, ApiError
   */
  async *follow(path: string, query: Query, signal: AbortSignal): AsyncGenerator<string> {
    const headers = { ...this.#login, 'X-OpenStack-Ironic-API-Version': this.#version }
    const url = this.#url(path, query)
    const request = { ...this.#asked, method: 'GET', url, headers } as const
    const answer = await openStream(request, this.#settings, signal)
    if ('status' in answer) throw apiError(answer, this.#settings.version)
    let rest = ''
    try {
      for await (const text of answer) {
        const blocks = (rest + text).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block)?.[1]
          if (data !== undefined) yield data
        }
      }
    } catch (error) {
      if (!signal.aborted) throw new Unreachable(`The stream of ${path} broke off`, { cause: error })
    }
  }

  async #request(
    method: Method,
    path: string,
    { query, body, conflictsPass = true }: { query?: Query | undefined; body?: unknown; conflictsPass?: boolean } = {},
  ): Promise<unknown> {
    const url = this.#url(path, query)
    let renewed = false
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#exchange(method, url, body).catch(asUnreachable)
      if (answer instanceof Unreachable) {
        if (!this.#mayRetry(attempt, answer)) throw answer
      } else {
        if (answer.status === 401 && this.#settings.renew && !renewed) {
          this.#login = await this.#settings.renew()
          renewed = true
          attempt--
          continue
        }
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
    const headers = { ...this.#login, ...(plain ? {} : { 'X-OpenStack-Ironic-API-Version': this.#version }) }
    return await exchange({ ...this.#asked, method, url, headers, body }, this.#settings)
  }

  get #asked() {
    return { what: bareMetal, named: '--os-endpoint or OS_ENDPOINT', base: this.#base }
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

function requestIdOf(headers: Answer['headers']): string | undefined {
  const id = headers['x-openstack-request-id'] ?? headers['openstack-request-id']
  return typeof id === 'string' ? id : undefined
}

/** A failed exchange as a value, so that it can be tried again. */
function asUnreachable(error: unknown): Unreachable {
  if (error instanceof Unreachable) return error
  throw error
}
