/**
 * A conversation with one BMC over Redfish: logs in, retries what may pass, remembers recent answers for a second, and
 * turns every failure into a fault that names address, request, and what was found. It knows nothing of nodes, power or
 * boot devices.
 *
 * Source: DMTF DSP0266 (sessions, ETags, error answers); openstack/sushy connector.py, auth.py (retries, fall-backs).
 */
import type { Duplex } from 'node:stream'
import { type Static, type TSchema, Type } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import type { Clock } from '#lib/clock.ts'
import { InvalidInput } from '#lib/fault.ts'
import { linkedSignal } from '#lib/linked-signal.ts'
import type { Log } from '#lib/log.ts'
import type { BmcSettings } from './driver-info.ts'
import { BmcRefused, connectionFailure, faultOf, NotRedfish, refusal, saysSessionsAreUsedUp } from './faults.ts'
import { type Answer, type Exchange, type Method, openTransport, type Transport } from './transport.ts'
import { openWebSocket } from './web-socket.ts'

export interface World {
  clock: Clock
  log: Log
  /** From 0 to 1, for jitter. */
  random: () => number
  /** Other than a real connection in tests. */
  open?: (bmc: BmcSettings) => Transport
}

/** How long an answer to GET counts as recent. */
const RECENT_MS = 1000

/** Checks a body against a schema; made once per kind of resource. */
export interface Reader<S extends TSchema> {
  readonly what: string
  readonly validator: Validator<Record<never, never>, S>
}

export function reader<S extends TSchema>(what: string, schema: S): Reader<S> {
  return { what, validator: Compile(schema) }
}

export const Reference = Type.Object({ '@odata.id': Type.String() })

const root = reader(
  'service root',
  Type.Object({
    Systems: Type.Optional(Reference),
    Managers: Type.Optional(Reference),
    Registries: Type.Optional(Reference),
    Tasks: Type.Optional(Reference),
    UpdateService: Type.Optional(Reference),
    EventService: Type.Optional(Reference),
    Vendor: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    Links: Type.Optional(Type.Object({ Sessions: Type.Optional(Reference) })),
    RedfishVersion: Type.Optional(Type.String()),
    '@odata.id': Type.Optional(Type.String()),
  }),
)
export type ServiceRoot = Static<typeof root.validator extends Validator<Record<never, never>, infer S> ? S : never>

/** Machines of a kind link the same from their root: what we read of it is kept once for all of them. By its JSON. */
const knownRoots = new Map<string, ServiceRoot>()
const MOST_KNOWN_ROOTS = 200

const collection = reader('collection', Type.Object({ Members: Type.Array(Reference) }))

type Login = { kind: 'none' } | { kind: 'basic' } | { kind: 'session'; token: string; path: string | null }

export class RedfishClient {
  readonly #bmc: BmcSettings
  readonly #world: World
  readonly #transport: Transport
  /** Ends what still runs when the client is closed. */
  readonly #closed = new AbortController()
  /** By path; undefined while nothing is recent, which is most of the time. */
  #recent: Map<string, { answer: Answer; untilMs: number }> | undefined
  #login: Promise<Login> | undefined
  #forgetting: NodeJS.Timeout | undefined
  #root: ServiceRoot | undefined
  #onlySystem: string | undefined

  constructor(bmc: BmcSettings, world: World) {
    this.#bmc = bmc
    this.#world = world
    this.#transport = (world.open ?? openTransport)(bmc)
  }

  get origin(): string {
    return this.#bmc.origin
  }

  /** The service root; asked once. */
  async root(signal: AbortSignal): Promise<ServiceRoot> {
    this.#root ??= await this.#readRoot(signal)
    return this.#root
  }

  /**
   * Reads a resource; an answer that is less than a second old serves again unless `fresh` is asked.
   * @throws BmcRefused when the status is not 200; HardwareFault when the body does not fit
   */
  async get<S extends TSchema>(
    path: string,
    as: Reader<S>,
    options: { signal: AbortSignal; fresh?: boolean },
  ): Promise<{ resource: Static<S>; etag: string | null }> {
    const recent = this.#recent?.get(path)
    const usable = recent !== undefined && !options.fresh && recent.untilMs > this.#world.clock.now()
    const answer = usable ? recent.answer : await this.#authorised({ method: 'GET', path, signal: options.signal })
    if (answer.status !== 200) throw refusal(this.#bmc, 'GET', path, answer)
    if (!usable) this.#remember(path, answer)
    return { resource: this.#read(as, path, answer), etag: etagOf(answer) }
  }

  /** Paths of a collection's members. */
  async members(path: string, signal: AbortSignal): Promise<string[]> {
    const { resource } = await this.get(path, collection, { signal })
    return resource.Members.map(member => member['@odata.id'])
  }

  /** One GET that is never answered from memory, whatever its status: monitors of tasks answer by it. */
  async look(path: string, signal: AbortSignal): Promise<Answer> {
    return this.#authorised({ method: 'GET', path, signal })
  }

  /** @throws BmcRefused when the status is not 2xx */
  async delete(path: string, signal: AbortSignal): Promise<Answer> {
    return this.#change({ method: 'DELETE', path, signal })
  }

  /** @throws BmcRefused when the status is not 2xx */
  async post(path: string, body: unknown, signal: AbortSignal): Promise<Answer> {
    return this.#change({ method: 'POST', path, body, signal })
  }

  /**
   * Changes a resource, with the ETag of the last GET where there is one. A BMC that calls a fresh ETag outdated is
   * asked with its strong form, and then without any.
   * @throws BmcRefused when the status is not 2xx
   */
  async patch(path: string, body: unknown, options: { signal: AbortSignal; etag: string | null }): Promise<Answer> {
    const forms = [options.etag, strongForm(options.etag), null]
    const etags = [...new Set(forms)]
    for (const [index, etag] of etags.entries()) {
      const headers = etag === null ? {} : { 'if-match': etag }
      try {
        return await this.#change({ method: 'PATCH', path, body, headers, signal: options.signal })
      } catch (error) {
        const outdated = error instanceof BmcRefused && error.httpStatus === 412
        if (!outdated || index === etags.length - 1) throw error
      }
    }
    throw new Error('unreachable: the last form either answers or throws')
  }

  /**
   * A WebSocket of the BMC, as a stream of bytes that outlives `signal`. A session that was used last long ago may be
   * refused: read something before.
   * @throws BmcUnreachable, BmcAccessDenied, BmcRefused
   */
  async openSocket(path: string, signal: AbortSignal, protocols: readonly string[] = []): Promise<Duplex> {
    const headers = headersOf(this.#bmc, await this.#loggedIn(signal))
    return await openWebSocket(this.#bmc, path, { headers, protocols, signal })
  }

  /**
   * Path of the system that a node is: the one given, or the only one the BMC has.
   * @throws InvalidInput when there are several, or none
   */
  async systemPath(given: string | null, signal: AbortSignal): Promise<string> {
    if (given?.startsWith('/')) return given
    if (given === null && this.#onlySystem !== undefined) return this.#onlySystem
    const { Systems } = await this.root(signal)
    if (Systems === undefined)
      throw new NotRedfish(`Cannot find systems at ${this.#bmc.origin}: its service root links none`)
    const systems = Systems['@odata.id']
    if (given !== null) return `${systems.replace(/\/$/, '')}/${given}`
    const members = await this.members(systems, signal)
    const [first, ...others] = members
    if (first === undefined || others.length > 0) {
      const found = first === undefined ? 'none' : members.join(', ')
      throw new InvalidInput(
        `Cannot tell which system of the BMC at ${this.#bmc.origin} is meant: it has ${members.length} (${found}); ` +
          'expected driver_info/redfish_system_id to name one',
      )
    }
    this.#onlySystem = first
    return first
  }

  /** Closes the connections, and before that logs out where there is a session; else it expires by itself. */
  async close({ logsOut }: { logsOut: boolean }): Promise<void> {
    const login = logsOut ? await this.#login?.catch(() => undefined) : undefined
    if (login?.kind === 'session' && login.path !== null) {
      const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(2000)])
      await this.#transport
        .exchange({ method: 'DELETE', path: login.path, headers: headersOf(this.#bmc, login), signal })
        .catch(() => undefined) // it expires by itself
    }
    this.#closed.abort(new Error(`The client of the BMC at ${this.#bmc.origin} is closed`))
    await this.#transport.close()
  }

  async #readRoot(signal: AbortSignal): Promise<ServiceRoot> {
    const path = this.#bmc.rootPath
    // By the standard it needs no login; firmware that wants one anyway gets one.
    const open = await this.#persistent({ method: 'GET', path, signal })
    const wantsLogin = open.status === 401 || open.status === 403
    const answer = wantsLogin && this.#bmc.username !== null ? await this.#withBasic(path, signal) : open
    if (answer.status === 401 || answer.status === 403) throw refusal(this.#bmc, 'GET', path, answer)
    const isRoot = answer.status === 200 && typeof answer.body === 'object' && root.validator.Check(answer.body)
    const { Systems, Links, RedfishVersion } = isRoot ? (answer.body as ServiceRoot) : {}
    if (Systems === undefined && Links === undefined && RedfishVersion === undefined) {
      throw new NotRedfish(
        `Cannot find a Redfish service at ${this.#bmc.origin}${path}: it answered HTTP ${answer.status} ` +
          `with ${typeof answer.body === 'object' ? 'JSON that is no service root' : 'something that is not JSON'}; check redfish_address`,
      )
    }
    return sharedRoot(root.validator.Clean(answer.body) as ServiceRoot) // checked just above
  }

  #withBasic(path: string, signal: AbortSignal): Promise<Answer> {
    return this.#persistent({ method: 'GET', path, headers: headersOf(this.#bmc, { kind: 'basic' }), signal })
  }

  async #change(request: Exchange): Promise<Answer> {
    const answer = await this.#authorised(request).finally(() => this.#forget())
    if (answer.status >= 200 && answer.status < 300) return answer
    throw refusal(this.#bmc, request.method, request.path, answer, request.body)
  }

  /** One request with our credentials; a session that the BMC has forgotten is opened anew, once. */
  async #authorised(request: Exchange): Promise<Answer> {
    for (let isRenewed = false; ; isRenewed = true) {
      const isNew = this.#login === undefined
      const login = await this.#loggedIn(request.signal)
      const answer = await this.#persistent({
        ...request,
        headers: { ...request.headers, ...headersOf(this.#bmc, login) },
      })
      const refused = answer.status === 401 || answer.status === 403
      if (!refused || login.kind !== 'session' || isNew || isRenewed) return answer
      this.#world.log.debug({ bmc: this.#bmc.origin, status: answer.status }, 'session refused, logging in again')
      this.#login = undefined
    }
  }

  /** Callers that come while somebody logs in wait for that one login. */
  async #loggedIn(signal: AbortSignal): Promise<Login> {
    this.#login ??= this.#logIn().catch(error => {
      this.#login = undefined
      throw error
    })
    return aborting(this.#login, signal)
  }

  async #logIn(): Promise<Login> {
    const { username, password, authType } = this.#bmc
    const signal = this.#closed.signal
    if (username === null) return { kind: 'none' }
    if (authType === 'basic') return { kind: 'basic' }
    const sessions = (await this.root(signal)).Links?.Sessions?.['@odata.id']
    if (sessions === undefined && authType === 'auto') return { kind: 'basic' }
    const path = sessions ?? `${this.#bmc.rootPath}SessionService/Sessions`
    const answer = await this.#persistent({
      method: 'POST',
      path,
      body: { UserName: username, Password: password ?? '' },
      signal,
      // A session whose answer was lost expires by itself; asking for another does no harm.
      isLogin: true,
    })
    const token = answer.headers['x-auth-token']
    if (answer.status >= 200 && answer.status < 300 && typeof token === 'string') {
      return { kind: 'session', token, path: sessionPath(answer, this.#bmc.origin) }
    }
    // A wrong password is not tried a second way: every try counts towards a lock-out.
    if (answer.status === 401 || authType === 'session') throw refusal(this.#bmc, 'POST', path, answer)
    this.#world.log.debug(
      { bmc: this.#bmc.origin, status: answer.status },
      'no session to be had, using basic authentication',
    )
    return { kind: 'basic' }
  }

  /** One request, repeated with growing pauses while the failure may pass and repeating does no harm. */
  async #persistent({ isLogin = false, ...request }: Exchange & { isLogin?: boolean }): Promise<Answer> {
    using linked = linkedSignal(request.signal, this.#closed.signal)
    const { signal } = linked
    const name = `${request.method} ${request.path}`
    for (let attempt = 1; ; attempt += 1) {
      const result = await this.#transport.exchange({ ...request, signal }).then(
        answer => ({ answer }),
        (error: unknown) => ({ error }),
      )
      if (signal.aborted) throw signal.reason
      let reason: string
      if ('answer' in result) {
        const { answer } = result
        // Sessions of conductors that were killed last for half an hour: nothing that a pause would mend.
        if (isLogin && saysSessionsAreUsedUp(answer)) return answer
        if (!retryStatus(request.method, answer.status) || attempt >= this.#bmc.attempts) return answer
        reason = `HTTP ${answer.status}`
      } else {
        const failure = connectionFailure(result.error)
        // TCP itself has sent a connection request many times before it times out.
        const limit = failure.kind === 'connect timeout' ? Math.min(2, this.#bmc.attempts) : this.#bmc.attempts
        const harmless = !failure.mayBeDone || request.method !== 'POST' || isLogin
        if (!failure.mayPass || !harmless || attempt >= limit) throw faultOf(this.#bmc, name, failure, attempt)
        reason = failure.reason
      }
      const pauseMs = Math.max(this.#pauseMs(attempt), 'answer' in result ? retryAfterMs(result.answer) : 0)
      this.#world.log.debug(
        { bmc: this.#bmc.origin, request: name, attempt, reason, pauseMs },
        'BMC request is repeated',
      )
      await this.#world.clock.sleep(pauseMs, signal)
    }
  }

  /** A quarter of the interval at first, then doubling, so that short hiccups cost little; a quarter up or down. */
  #pauseMs(attempt: number): number {
    const growth = Math.min(2 ** (attempt - 3), 8)
    return this.#bmc.retryIntervalMs * growth * (0.75 + this.#world.random() / 2)
  }

  #read<S extends TSchema>(as: Reader<S>, path: string, answer: Answer): Static<S> {
    if (as.validator.Check(answer.body)) return answer.body
    const [problem] = as.validator.Errors(answer.body)
    throw new NotRedfish(
      `Cannot read the ${as.what} at ${this.#bmc.origin}${path}: ` +
        `${problem?.instancePath || 'the body'} ${problem?.message ?? 'is not what Redfish says'}`,
    )
  }

  #remember(path: string, answer: Answer): void {
    const now = this.#world.clock.now()
    this.#recent ??= new Map()
    for (const [key, { untilMs }] of this.#recent) if (untilMs <= now) this.#recent.delete(key)
    this.#recent.set(path, { answer, untilMs: now + RECENT_MS })
    // Not left to the next request, which may be minutes away: the answers of a thousand idle BMCs are many megabytes.
    clearTimeout(this.#forgetting)
    this.#forgetting = setTimeout(() => this.#forget(), RECENT_MS).unref()
  }

  #forget(): void {
    clearTimeout(this.#forgetting)
    this.#forgetting = undefined
    this.#recent = undefined
  }
}

function sharedRoot(body: ServiceRoot): ServiceRoot {
  const json = JSON.stringify(body)
  const known = knownRoots.get(json) ?? body
  if (knownRoots.size < MOST_KNOWN_ROOTS) knownRoots.set(json, known)
  return known
}

/** A server error may pass; whether a POST was carried out before a 500 nobody knows, but 503 and 429 say it was not. */
function retryStatus(method: Method, status: number): boolean {
  if (status === 503 || status === 429) return true
  return method === 'GET' && status >= 500 && status !== 501
}

/** The Retry-After header in seconds, up to half a minute. */
function retryAfterMs(answer: Answer): number {
  const seconds = Number(answer.headers['retry-after'])
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 30) * 1000 : 0
}

function headersOf(bmc: BmcSettings, login: Login): Record<string, string> {
  if (login.kind === 'session') return { 'x-auth-token': login.token }
  if (login.kind === 'none') return {}
  const pair = `${bmc.username ?? ''}:${bmc.password ?? ''}`
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** The Location of a new session; some firmware sends a whole URL, some none but the resource. */
function sessionPath(answer: Answer, origin: string): string | null {
  const body = answer.body
  const own = typeof body === 'object' && body !== null && '@odata.id' in body ? body['@odata.id'] : null
  const location = answer.headers.location ?? own
  const url = typeof location === 'string' ? URL.parse(location, origin) : null
  return url?.origin === origin ? url.pathname : null
}

function etagOf(answer: Answer): string | null {
  const header = answer.headers.etag
  if (typeof header === 'string') return header
  const body = answer.body
  const inBody = typeof body === 'object' && body !== null && '@odata.etag' in body ? body['@odata.etag'] : null
  return typeof inBody === 'string' ? inBody : null
}

function strongForm(etag: string | null): string | null {
  return etag === null ? null : etag.replace(/^W\//, '')
}

/** The promise's result, unless the signal comes first; the work itself goes on for the others who wait. */
async function aborting<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
