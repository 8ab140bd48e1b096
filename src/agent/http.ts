/**
 * The agent's HTTP client: one request, one answer, TLS as the options say, a limit on connecting and on every silence.
 * It follows redirects and uses proxies; it never retries, which is for those who know what a repetition costs.
 */
import { readFileSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'
import { Fault, messageOf } from '#lib/fault.ts'
import { BulkLine, bulkGet } from './bulk-get.ts'
import type { Options } from './options.ts'

/** No answer: refused, reset, not resolved, certificate not trusted, silent for too long. */
export class RequestFailed extends Fault {
  readonly status = 502
  readonly code = 'request-failed'
}

export interface HttpRequest {
  method?: 'GET' | 'POST' | 'HEAD'
  url: string
  headers?: Record<string, string>
  /** Sent as JSON. */
  json?: unknown
  /** For connecting and for every pause of the other side. */
  timeoutMs: number
  signal?: AbortSignal
  proxies?: { http?: string; https?: string; no?: string }
  /** Follow at most this many redirects; default 10. */
  redirects?: number
  /** The body is large: read it the cheap way where that can be done, over this connection if one is given. Only for GET. */
  bulk?: boolean | BulkLine
  /** Skip certificate checks for this request whatever the options say. */
  insecure?: boolean
}

export interface HttpAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** Not read yet; read it or destroy it. */
  body: AsyncIterable<Uint8Array> & { destroy(): void }
  /** Of the last hop. */
  url: string
}

/**
 * Sends a request and resolves once the head of the answer is there.
 * @throws RequestFailed when there is no answer
 */
export async function request(options: Options, wanted: HttpRequest): Promise<HttpAnswer> {
  if (wanted.bulk && wanted.proxies === undefined) {
    const answer = await tryBulk(wanted)
    if (answer !== null) return answer
  }
  let url = new URL(wanted.url)
  const headers = { ...wanted.headers }
  for (let left = wanted.redirects ?? 10; ; left--) {
    const body = await oneHop(options, wanted, url, headers)
    const status = body.statusCode ?? 0
    const location = body.headers.location
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) {
      return { status, headers: body.headers, body, url: url.href }
    }
    body.resume()
    if (left === 0) throw new RequestFailed(`Cannot fetch ${shown(wanted.url)}: too many redirects`)
    const next = new URL(location, url)
    if (next.host !== url.host) delete headers.Authorization // a secret for one server is not for another
    url = next
  }
}

/** Reads a body of at most `limitBytes` as text. */
export async function readText(answer: HttpAnswer, limitBytes = 16 * 1024 * 1024): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of answer.body) {
      size += chunk.length
      if (size > limitBytes)
        throw new RequestFailed(`The answer of ${shown(answer.url)} is larger than ${limitBytes} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof RequestFailed) throw error
    throw new RequestFailed(`The answer of ${shown(answer.url)} broke off: ${messageOf(error)}`, { cause: error })
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** A URL for messages: without user, password, query (which may be a signature) and fragment. */
export function shown(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url)
    return `${protocol}//${host}${pathname}`
  } catch {
    return 'a malformed URL'
  }
}

async function tryBulk(wanted: HttpRequest): Promise<HttpAnswer | null> {
  const { url, headers = {}, timeoutMs, signal, bulk } = wanted
  try {
    const answer = await bulkGet({
      url: new URL(url),
      headers,
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
      ...(bulk instanceof BulkLine ? { line: bulk } : {}),
    })
    return answer === null ? null : { ...answer, url }
  } catch (error) {
    throw new RequestFailed(`Cannot reach ${shown(url)}: ${reason(error)}`, { cause: error })
  }
}

function oneHop(
  options: Options,
  wanted: HttpRequest,
  url: URL,
  headers: Record<string, string>,
): Promise<http.IncomingMessage> {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new RequestFailed(`Cannot fetch ${shown(url.href)}: only http and https are known`)
  }
  const secure = url.protocol === 'https:'
  const payload = wanted.json === undefined ? null : Buffer.from(JSON.stringify(wanted.json))
  const agentOptions = { keepAlive: false, ...proxyOptions(wanted), ...(secure ? tlsOptions(options, wanted) : {}) }
  return new Promise((resolve, reject) => {
    const through = throughProxy(url, wanted)
    const failed = (error: unknown) =>
      reject(new RequestFailed(`Cannot reach ${shown(url.href)}${through}: ${reason(error)}`, { cause: error }))
    const sent = (secure ? https : http).request(
      url,
      {
        method: wanted.method ?? 'GET',
        agent: secure ? new https.Agent(agentOptions) : new http.Agent(agentOptions),
        headers: payload === null ? headers : { ...headers, 'Content-Length': payload.length },
        timeout: wanted.timeoutMs,
        ...(wanted.signal === undefined ? {} : { signal: wanted.signal }),
      },
      answer => {
        // The socket's own limit goes on for the body, so a server that falls silent ends the stream with this error.
        sent.off('error', failed)
        sent.on('error', error => answer.destroy(error))
        resolve(answer)
      },
    )
    sent.on('timeout', () => sent.destroy(new Error(`no data for ${wanted.timeoutMs} ms`)))
    sent.on('error', failed)
    sent.end(payload ?? undefined)
  })
}

function tlsOptions(options: Options, wanted: HttpRequest): https.AgentOptions {
  return {
    rejectUnauthorized: !(options.insecure || wanted.insecure === true),
    ...(options.caFile === null ? {} : { ca: readFileSync(options.caFile) }),
    ...(options.certFile === null || options.keyFile === null
      ? {}
      : { cert: readFileSync(options.certFile), key: readFileSync(options.keyFile) }),
    minVersion: options.tlsMinVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    ...(options.tlsCipherSuites === null ? {} : { ciphers: options.tlsCipherSuites }),
  }
}

/** For messages: the proxy that may be to blame, for a URL that it was set for. */
export function throughProxy(url: URL, { proxies }: Pick<HttpRequest, 'proxies'>): string {
  const [name, proxy] =
    url.protocol === 'https:' ? ['image_https_proxy', proxies?.https] : ['image_http_proxy', proxies?.http]
  if (proxy === undefined) return ''
  return ` through the proxy ${shown(proxy).replace(/\/$/, '')} of driver_info ${name}, or past it for image_no_proxy`
}

function proxyOptions({ proxies }: HttpRequest): http.AgentOptions {
  if (proxies === undefined) return {}
  return {
    proxyEnv: {
      ...(proxies.http === undefined ? {} : { HTTP_PROXY: proxies.http }),
      ...(proxies.https === undefined ? {} : { HTTPS_PROXY: proxies.https }),
      ...(proxies.no === undefined ? {} : { NO_PROXY: proxies.no }),
    },
  }
}

/** Node reports several failed addresses as one error without a message. */
function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}
