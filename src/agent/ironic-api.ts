/**
 * The provisioning API as the agent needs it: version, lookup, heartbeat, inspection. Single calls over the list of
 * base URLs; the one that answered moves to the front. Waiting and repeating belong to lookup.ts and heartbeat.ts.
 *
 * Source: openstack/ironic-python-agent `ironic_api_client.py`; openstack/ironic `api/controllers/v1/ramdisk.py`.
 */
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { type CommandHeader, commandHeader, type HeartbeatBody, LookupAnswer } from '#protocol/agent.ts'
import type { AgentContext } from './context.ts'
import { AgentFault } from './errors.ts'
import { type HttpAnswer, RequestFailed, readText, request } from './http.ts'

/** The API understood the request and did not do it. */
export class ApiRefused extends AgentFault {
  readonly apiStatus: number

  constructor(apiStatus: number, message: string) {
    super('IronicAPIError', message)
    this.apiStatus = apiStatus
  }
}

const RootDocument = Type.Object({ default_version: Type.Object({ version: Type.String() }) })
const LOOKUP_VERSION = '1.62'
const HEARTBEAT_VERSION = '1.68'
/** From here on conductors show their token when they read results, too; older ones have no way to. */
const TOKEN_WITH_READS_VERSION = '1.96'
/** What to assume of an API whose root document cannot be read. */
const OLDEST_VERSION = '1.31'

export class IronicApi {
  readonly #context: AgentContext
  readonly #urls: string[]
  #serverVersion: string | null = null

  constructor(context: AgentContext) {
    this.#context = context
    this.#urls = [...context.options.apiUrls]
  }

  /**
   * True when the API takes a certificate with a heartbeat, so that the agent may make its own. An API that cannot be
   * asked counts as one that does: a certificate that was told once must not be gone after a restart.
   */
  async takesCertificate(): Promise<boolean> {
    const version = await this.#version()
    return this.#isVersionKnown() ? isAtLeast(version, HEARTBEAT_VERSION) : true
  }

  /** True when the conductors behind the API are known to be of a time when results were read without the token. */
  readsWithoutToken(): boolean {
    return this.#serverVersion !== null && !isAtLeast(this.#serverVersion, TOKEN_WITH_READS_VERSION)
  }

  /**
   * @param addresses MACs of this machine
   * @throws RequestFailed, ApiRefused
   */
  async lookup(addresses: readonly string[], nodeUuid: string | null): Promise<LookupAnswer> {
    const query = new URLSearchParams({ addresses: addresses.join(',') })
    if (nodeUuid !== null) query.set('node_uuid', nodeUuid)
    const answer = await this.#call('GET', `/v1/lookup?${query}`, LOOKUP_VERSION)
    const body = await readJson(answer)
    if (answer.status !== 200) throw refused('Lookup', answer.status, body)
    if (!Value.Check(LookupAnswer, body)) {
      const [first] = Value.Errors(LookupAnswer, body)
      throw new ApiRefused(
        200,
        `Lookup: the answer is not usable: ${first?.instancePath ?? ''} ${first?.message ?? ''}`,
      )
    }
    return body
  }

  /** @throws RequestFailed, ApiRefused; anything but 202 is a refusal */
  async heartbeat(nodeUuid: string, body: HeartbeatBody, command: CommandHeader): Promise<void> {
    const told = { [commandHeader]: command }
    const answer = await this.#call('POST', `/v1/heartbeat/${nodeUuid}`, HEARTBEAT_VERSION, body, told)
    const text = await readJson(answer)
    if (answer.status !== 202) throw refused('Heartbeat', answer.status, text)
  }

  async #call(
    method: 'GET' | 'POST',
    path: string,
    newest: string,
    json?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> {
    const { options } = this.#context
    const server = await this.#version()
    return await this.#tryAll(base =>
      request(options, {
        method,
        url: base + path,
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/json',
          'X-OpenStack-Ironic-API-Version': isAtLeast(server, newest) ? newest : server,
          ...headers,
          ...(options.globalRequestId === null ? {} : { 'X-OpenStack-Request-ID': options.globalRequestId }),
        },
        ...(json === undefined ? {} : { json }),
        timeoutMs: options.httpTimeoutMs,
      }),
    )
  }

  /** Asked until known once; an API that is upgraded meanwhile still understands what an older one did. */
  async #version(): Promise<string> {
    const { options, log } = this.#context
    if (options.apiVersion !== null) return options.apiVersion
    if (this.#serverVersion !== null) return this.#serverVersion
    try {
      const body = await readJson(
        await this.#tryAll(base => request(options, { url: `${base}/`, timeoutMs: options.httpTimeoutMs })),
      )
      if (Value.Check(RootDocument, body)) {
        this.#serverVersion = body.default_version.version
        return this.#serverVersion
      }
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error
    }
    log.warn(`The root document of the API cannot be read; assuming version ${OLDEST_VERSION} for now`)
    return OLDEST_VERSION
  }

  #isVersionKnown(): boolean {
    return this.#context.options.apiVersion !== null || this.#serverVersion !== null
  }

  async #tryAll(call: (base: string) => Promise<HttpAnswer>): Promise<HttpAnswer> {
    let failure: unknown = new RequestFailed('No URL of the API is known')
    for (const base of [...this.#urls]) {
      try {
        const answer = await call(base)
        this.#urls.sort((a, b) => Number(b === base) - Number(a === base))
        return answer
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }
}

/** Null for an empty body; text when it is not JSON, so that a message can quote it. */
async function readJson(answer: HttpAnswer): Promise<unknown> {
  const text = await readText(answer)
  if (text === '') return null
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function refused(what: string, status: number, body: unknown): ApiRefused {
  return new ApiRefused(status, `${what}: the API answered ${status}: ${errorText(body)}`)
}

/** The API's errors are JSON inside JSON, or an object, or have a title, or are a proxy's page. */
function errorText(body: unknown): string {
  if (typeof body === 'string') return body.slice(0, 200)
  if (typeof body !== 'object' || body === null) return 'no explanation'
  const outer = body as Record<string, unknown> // an object, so indexable; every value is checked below
  let message = outer.error_message ?? outer.title
  if (typeof message === 'string' && message.startsWith('{')) {
    try {
      message = JSON.parse(message)
    } catch {}
  }
  if (typeof message === 'object' && message !== null && 'faultstring' in message) message = message.faultstring
  return typeof message === 'string' ? message : JSON.stringify(body).slice(0, 200)
}

function isAtLeast(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}
