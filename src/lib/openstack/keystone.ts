/**
 * Our own place at Keystone: gets a token, keeps it fresh, knows what came with it, and asks Keystone. Passwords and
 * tokens never reach a message. What is asked, and what an answer means to us, is the caller's.
 * Source: Identity API v3
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Agent, type Dispatcher, request } from 'undici'
import type { Clock } from '../clock.ts'
import { Fault, InvalidInput, messageOf } from '../fault.ts'

/** Keystone, or a service behind it, does not answer, or not as it should. */
export class OpenstackUnavailable extends Fault {
  readonly status = 503
  readonly code = 'openstack-unavailable'
}

export interface KeystoneAccess {
  /** The configuration's section, for messages. */
  readonly section: string
  /** With /v3 at the end. */
  readonly url: string
  /** Body of the request for our own token. */
  readonly credentials: Readonly<Record<string, unknown>>
  readonly tls: TlsFiles
  /** Do not check the certificate. */
  readonly insecure: boolean
  readonly timeoutMs: number
  /** Tries to connect after the first. */
  readonly connectRetries: number
}

export interface TlsFiles {
  readonly cafile: string | null
  readonly certfile: string | null
  readonly keyfile: string | null
}

const Endpoint = Type.Object({
  interface: Type.String(),
  url: Type.String(),
  region: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  region_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
})
const CatalogEntry = Type.Object({
  type: Type.String(),
  name: Type.Optional(Type.String()),
  endpoints: Type.Array(Endpoint),
})
export type CatalogEntry = Static<typeof CatalogEntry>

const LoginDocument = Compile(
  Type.Object({
    token: Type.Object({
      expires_at: Type.String(),
      project: Type.Optional(Type.Object({ id: Type.String() })),
      catalog: Type.Optional(Type.Array(CatalogEntry)),
    }),
  }),
)

/** Our token and what Keystone said with it. */
export interface Login {
  readonly token: string
  readonly expiresAtMs: number
  readonly projectId: string | null
  readonly catalog: readonly CatalogEntry[]
}

export interface JsonAnswer {
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  /** undefined when it is no JSON. */
  readonly body: unknown
}

export interface Keystone {
  /** Our login, renewed before it ends; asked for once however many want it. @throws OpenstackUnavailable */
  login(): Promise<Login>
  /** Somebody refused this token: the next login is a new one. */
  forget(token: string): void
  /** @throws OpenstackUnavailable when there is no answer */
  ask(
    method: 'GET' | 'POST',
    path: string,
    options: { headers: Record<string, string>; body?: string },
  ): Promise<JsonAnswer>
  close(): Promise<void>
}

/** Our own token is renewed this long before its end. */
const renewBeforeMs = 60_000
/** Who is refused does not ask again at once: Keystone locks users out who fail too often. */
const refusedForMs = 5_000
const connections = 16
const keystoneLimitBytes = 4 * 1024 * 1024

/** @throws InvalidInput when a certificate's file cannot be read */
export function openKeystone(access: KeystoneAccess, { clock }: { clock: Clock }): Keystone {
  const agent = agentOf(access)
  let own: Login | undefined
  let renewing: Promise<Login> | undefined
  let refused: { fault: OpenstackUnavailable; untilMs: number } | undefined

  async function renew(): Promise<Login> {
    const { status, headers, body } = await ask('POST', '/auth/tokens', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(access.credentials),
    })
    const token = headers['x-subject-token']
    const described = status === 201 && LoginDocument.Check(body) ? body.token : undefined
    const expiresAtMs = Date.parse(described?.expires_at ?? '')
    if (typeof token !== 'string' || !described || Number.isNaN(expiresAtMs)) {
      const hint = status === 401 ? `; check user, password and scope of [${access.section}]` : ''
      const fault = new OpenstackUnavailable(
        `Keystone at ${access.url} refuses this service a token, it answers ${status}${hint}`,
      )
      refused = { fault, untilMs: clock.now() + refusedForMs }
      throw fault
    }
    own = { token, expiresAtMs, projectId: described.project?.id ?? null, catalog: described.catalog ?? [] }
    return own
  }

  async function ask(
    method: 'GET' | 'POST',
    path: string,
    options: { headers: Record<string, string>; body?: string },
  ): Promise<JsonAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await askJson(access.url + path, { method, dispatcher: agent, timeoutMs: access.timeoutMs, ...options })
      } catch (error) {
        if (attempt >= access.connectRetries || !isConnectFailure(error)) {
          throw new OpenstackUnavailable(`Keystone at ${access.url} does not answer: ${messageOf(error)}`, {
            cause: error,
          })
        }
        await delay(500 * 2 ** attempt)
      }
    }
  }

  return {
    async login() {
      if (own && own.expiresAtMs - renewBeforeMs > clock.now()) return own
      if (refused && refused.untilMs > clock.now()) throw refused.fault
      renewing ??= renew().finally(() => {
        renewing = undefined
      })
      return renewing
    },
    forget(token) {
      if (own?.token === token) own = undefined
    },
    ask,
    close: () => agent.close(),
  }
}

export interface JsonRequest {
  readonly method: 'GET' | 'POST' | 'HEAD' | 'PUT' | 'DELETE'
  readonly dispatcher: Dispatcher
  readonly timeoutMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  readonly signal?: AbortSignal
}

/** One request, one answer. @throws what undici throws when there is none */
export async function askJson(url: string, { timeoutMs, headers, signal, ...rest }: JsonRequest): Promise<JsonAnswer> {
  const limit = AbortSignal.timeout(timeoutMs)
  const answer = await request(url, {
    ...rest,
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    headers: { accept: 'application/json', ...headers },
  })
  return { status: answer.statusCode, headers: answer.headers, body: parsed(await answer.body.text()) }
}

/** Connections to Keystone and to the services of a section. @throws InvalidInput when a file cannot be read */
export function agentOf({
  tls,
  insecure,
  timeoutMs,
  section,
  bodyLimitBytes = keystoneLimitBytes,
}: Pick<KeystoneAccess, 'tls' | 'insecure' | 'timeoutMs' | 'section'> & { bodyLimitBytes?: number }): Agent {
  const contents = (name: keyof TlsFiles) => {
    const path = tls[name]
    return path === null ? undefined : contentsOf(section, name, path)
  }
  const [ca, cert, key] = [contents('cafile'), contents('certfile'), contents('keyfile')]
  return new Agent({
    connections,
    connect: {
      timeout: timeoutMs,
      rejectUnauthorized: !insecure,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: bodyLimitBytes,
  })
}

/** No connection, or one that broke before anything was asked: worth another try. */
export function isConnectFailure(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT'].includes(
    String(code),
  )
}

function contentsOf(section: string, name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new InvalidInput(`Cannot read [${section}] ${name}: ${messageOf(error)}`, { cause: error })
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
