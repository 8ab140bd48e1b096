/**
 * Speaks with Keystone: gets this service its own token, keeps it fresh, and asks with it what the tokens of callers
 * stand for. It remembers no caller's token; tokens and passwords never reach a log or a message.
 * Source: Identity API v3; keystonemiddleware/auth_token/_identity.py
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, type Dispatcher, request } from 'undici'
import type { Clock } from '#lib/clock.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { IdentityUnavailable } from './faults.ts'
import type { KeystoneSettings } from './keystone-settings.ts'
import { readToken, type Token } from './token.ts'

export interface KeystoneClient {
  /**
   * What a token stands for; undefined when it is none (any more).
   * @throws IdentityUnavailable
   */
  validate(token: string, options: { allowExpired: boolean }): Promise<Token | undefined>
  /** Gets our own token, to find out at the start whether that works. @throws IdentityUnavailable */
  login(): Promise<unknown>
  close(): Promise<void>
}

/** Our own token is renewed this long before its end. */
const renewBeforeMs = 60_000
/** Who is refused does not ask again at once: Keystone locks users out who fail too often. */
const refusedForMs = 5_000
const connections = 16
const bodyLimitBytes = 4 * 1024 * 1024
/** What tokens of application credentials with access rules need: we check those rules. */
const accessRules = { 'OpenStack-Identity-Access-Rules': '1.0' }

/** @throws InvalidInput when a certificate's file cannot be read */
export function keystoneClient(settings: KeystoneSettings, { clock, log }: { clock: Clock; log: Log }): KeystoneClient {
  const agent = agentOf(settings)
  let own: { token: string; expiresAtMs: number } | undefined
  let renewing: Promise<string> | undefined
  let refused: { fault: IdentityUnavailable; untilMs: number } | undefined

  const ownToken = async (): Promise<string> => {
    if (own && own.expiresAtMs - renewBeforeMs > clock.now()) return own.token
    if (refused && refused.untilMs > clock.now()) throw refused.fault
    renewing ??= login().finally(() => {
      renewing = undefined
    })
    return renewing
  }

  async function login(): Promise<string> {
    const { status, headers, body } = await ask('POST', '/auth/tokens', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(settings.credentials),
    })
    const token = headers['x-subject-token']
    const described = status === 201 ? readToken(body) : undefined
    if (typeof token !== 'string' || !described) {
      const hint = status === 401 ? '; check user, password and scope of [keystone_authtoken]' : ''
      const fault = unavailable(`Keystone at ${settings.url} refuses this service a token, it answers ${status}${hint}`)
      refused = { fault, untilMs: clock.now() + refusedForMs }
      throw fault
    }
    own = { token, expiresAtMs: described.expiresAtMs }
    return token
  }

  async function ask(
    method: 'GET' | 'POST',
    path: string,
    options: { headers: Record<string, string>; body?: string },
  ): Promise<{ status: number; headers: Dispatcher.ResponseData['headers']; body: unknown }> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await request(settings.url + path, {
          method,
          dispatcher: agent,
          signal: AbortSignal.timeout(settings.timeoutMs),
          ...options,
          headers: { accept: 'application/json', ...options.headers },
        })
        const text = await answer.body.text()
        return { status: answer.statusCode, headers: answer.headers, body: parsed(text) }
      } catch (error) {
        if (attempt >= settings.connectRetries || !isConnectFailure(error)) {
          throw unavailable(`Keystone at ${settings.url} does not answer: ${messageOf(error)}`, error)
        }
        await delay(500 * 2 ** attempt)
      }
    }
  }

  /** The log tells the operator why; the caller only learns that nobody can be recognised. */
  function unavailable(message: string, cause?: unknown): IdentityUnavailable {
    log.error({}, message)
    return new IdentityUnavailable('The Keystone service is temporarily unavailable.', { cause })
  }

  return {
    login: ownToken,
    async validate(token, { allowExpired }) {
      // The catalog is long, and nothing here looks at it.
      const path = `/auth/tokens?nocatalog${allowExpired ? '&allow_expired=1' : ''}`
      for (let attempt = 0; ; attempt += 1) {
        const service = await ownToken()
        const headers = { 'x-auth-token': service, 'x-subject-token': token, ...accessRules }
        const { status, body } = await ask('GET', path, { headers })
        if (status === 404) return undefined
        if (status === 401 && attempt === 0) {
          // It is our own token that is no longer accepted.
          if (own?.token === service) own = undefined
          continue
        }
        const described = status === 200 ? readToken(body) : undefined
        if (described) return described
        throw unavailable(`Keystone at ${settings.url} cannot validate a token, it answers ${status}`)
      }
    },
    close: () => agent.close(),
  }
}

function agentOf({ tls, insecure, timeoutMs }: KeystoneSettings): Agent {
  return new Agent({
    connections,
    connect: {
      timeout: timeoutMs,
      rejectUnauthorized: !insecure,
      ...(tls.cafile === null ? {} : { ca: contentsOf('cafile', tls.cafile) }),
      ...(tls.certfile === null ? {} : { cert: contentsOf('certfile', tls.certfile) }),
      ...(tls.keyfile === null ? {} : { key: contentsOf('keyfile', tls.keyfile) }),
    },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: bodyLimitBytes,
  })
}

function contentsOf(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new InvalidInput(`Cannot read [keystone_authtoken] ${name}: ${messageOf(error)}`, { cause: error })
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** No connection, or one that broke before anything was asked: worth another try. */
function isConnectFailure(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'UND_ERR_SOCKET', 'UND_ERR_CONNECT_TIMEOUT'].includes(
    String(code),
  )
}
