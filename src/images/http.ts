/**
 * HTTP as image servers are spoken to: TLS and time limits of the configuration, Basic authentication, redirects with
 * the credentials left behind when the origin changes. Failures say what an operator can act on.
 */
import { readFileSync } from 'node:fs'
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import type { Config } from '#config/options.ts'
import { messageOf } from '#lib/fault.ts'
import { ImageUnreachable, shownUrl } from './faults.ts'

/** How image servers are asked; plain data, because it travels to the worker process. */
export interface HttpSettings {
  readonly verifyCa: boolean | string
  readonly tlsMinimumVersion: '1.2' | '1.3'
  readonly tlsCiphers: string | null
  /** To connect, to begin an answer, and between two pieces of it. */
  readonly timeoutMs: number
  readonly user: string | null
  readonly password: string | null
  /** Secrets of the server that is asked first, such as a token; nobody it redirects to gets them. */
  readonly headers?: Readonly<Record<string, string>>
  /** Hosts that may be redirected to with the credentials. */
  readonly trustedHosts?: readonly string[]
}

export interface HttpAnswer {
  /** Where it came from after redirects. */
  readonly url: URL
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  readonly body: Dispatcher.ResponseData['body']
}

export function httpSettings(config: Config): HttpSettings {
  const { DEFAULT, deploy } = config
  const basic = deploy.image_server_auth_strategy === 'http_basic'
  return {
    verifyCa: DEFAULT.webserver_verify_ca,
    tlsMinimumVersion: DEFAULT.webserver_tls_minimum_version,
    tlsCiphers: DEFAULT.webserver_tls_ciphers,
    timeoutMs: DEFAULT.webserver_connection_timeout * 1000,
    user: basic ? deploy.image_server_user : null,
    password: basic ? deploy.image_server_password : null,
  }
}

/**
 * Asks and follows redirects. Any status that is not a redirect is answered as it is; the caller consumes the body.
 * @throws ImageUnreachable when there is no answer
 */
export async function ask(
  method: 'HEAD' | 'GET',
  url: string,
  settings: HttpSettings,
  { headers = {}, signal }: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<HttpAnswer> {
  let target = new URL(url)
  const origin = target.origin
  for (let hop = 0; hop <= 10; hop += 1) {
    const trusted = origin === target.origin || settings.trustedHosts?.includes(target.host) === true
    const answer = await once(
      method,
      target,
      trusted ? settings : { ...settings, user: null, password: null, headers: {} },
      headers,
      signal,
    )
    const location = answer.headers.location
    if (![301, 302, 303, 307, 308].includes(answer.status) || typeof location !== 'string') return answer
    await answer.body.dump()
    const next = URL.parse(location, target)
    if (!next || !['http:', 'https:'].includes(next.protocol)) {
      throw new ImageUnreachable(
        `Cannot fetch ${shownUrl(url)}: it redirects to ${shownUrl(location)}; expected an http or https URL`,
      )
    }
    target = next
  }
  throw new ImageUnreachable(`Cannot fetch ${shownUrl(url)}: it redirects more than ten times`)
}

async function once(
  method: 'HEAD' | 'GET',
  url: URL,
  settings: HttpSettings,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<HttpAnswer> {
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  const user = url.username === '' ? settings.user : decoded(url.username)
  const password = url.username === '' ? settings.password : decoded(url.password)
  try {
    const {
      statusCode,
      headers: answered,
      body,
    } = await request(bare, {
      method,
      dispatcher: dispatcherOf(settings),
      headers: {
        // A length and a checksum are of the plain bytes.
        'accept-encoding': 'identity',
        'user-agent': 'ferrite',
        ...(user === null
          ? {}
          : { authorization: `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}` }),
        ...settings.headers,
        ...headers,
      },
      ...(signal ? { signal } : {}),
    })
    return { url, status: statusCode, headers: answered, body }
  } catch (error) {
    signal?.throwIfAborted()
    throw new ImageUnreachable(`Cannot fetch ${shownUrl(url)}: ${explain(error, url)}`, { cause: error })
  }
}

/** As it stands where somebody wrote a "%" that escapes nothing. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const dispatchers = new Map<string, Dispatcher>()

function dispatcherOf({ verifyCa, tlsMinimumVersion, tlsCiphers, timeoutMs }: HttpSettings): Dispatcher {
  const key = JSON.stringify([verifyCa, tlsMinimumVersion, tlsCiphers, timeoutMs])
  const known = dispatchers.get(key)
  if (known) return known
  const tls = {
    rejectUnauthorized: verifyCa !== false,
    minVersion: `TLSv${tlsMinimumVersion}` as const,
    ...(typeof verifyCa === 'string' ? { ca: readFileSync(verifyCa) } : {}),
    ...(tlsCiphers === null ? {} : { ciphers: tlsCiphers }),
  }
  const options = {
    connect: { ...tls, timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: 1000,
  }
  const proxied = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'].some(name => process.env[name])
  const made = proxied ? new EnvHttpProxyAgent({ ...options, requestTls: tls }) : new Agent(options)
  dispatchers.set(key, made)
  return made
}

/** The causes that operators meet, in words. */
export function explain(error: unknown, url: URL): string {
  const code = codeOf(error)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the name ${url.hostname} cannot be resolved`
  if (code === 'ECONNREFUSED') return `nothing listens on ${url.host}`
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return `there is no route to ${url.hostname}`
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return `${url.host} does not accept the connection in time`
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return `${url.host} does not answer in time`
  if (code === 'UND_ERR_BODY_TIMEOUT') return `${url.host} stopped sending`
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET') return `${url.host} closed the connection`
  if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code))
    return `its certificate is not trusted (${code}); see [DEFAULT] webserver_verify_ca`
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(code))
    return `it speaks no TLS version that is accepted; see [DEFAULT] webserver_tls_minimum_version`
  return messageOf(error)
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  if ('errors' in error && Array.isArray(error.errors)) return codeOf(error.errors[0])
  if ('code' in error && typeof error.code === 'string') return error.code
  return 'cause' in error ? codeOf(error.cause) : ''
}
