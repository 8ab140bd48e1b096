/**
 * One HTTP request and its answer, over node:http (which loads 12 ms faster than fetch), and what went wrong in words
 * that say what to do. Knows the shapes of OpenStack's error bodies, and nothing of any one service. What proves who
 * calls is in the headers: they are never shown, --debug included.
 */
import type { IncomingMessage } from 'node:http'
import { Fault, messageOf } from '#lib/fault.ts'

/** `what` of the service that this is the client of. */
export const bareMetal = 'bare metal API'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Transport {
  /** How long the other side may stay silent before a request is given up. */
  readonly timeoutMs: number
  readonly tls: {
    readonly insecure?: boolean
    readonly ca?: string | undefined
    readonly cert?: string | undefined
    readonly key?: string | undefined
  }
  /** Every request and answer, without headers and bodies; for --debug. */
  trace?(text: string): void
}

export interface Request {
  /** Who is asked, in errors: `bare metal API`. */
  readonly what: string
  /** How the user names it: `--os-endpoint or OS_ENDPOINT`. */
  readonly named: string
  /** The service's own URL, shown in errors. */
  readonly base: URL
  readonly method: Method
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** No answer: nothing listens, the name is unknown, TLS failed, silence. */
export class Unreachable extends Fault {
  readonly status = 502
  readonly code = 'api-unreachable'
}

// Imported, it would load all that it exports with it: WebSocket, and TLS for that, which takes as long as all the rest.
const { request: httpRequest } = process.getBuiltinModule('node:http')

/** @throws Unreachable */
export async function exchange(request: Request, transport: Transport): Promise<Answer> {
  try {
    return await send(request, transport)
  } catch (error) {
    throw asUnreachable(error, request)
  }
}

async function send(
  { method, url, headers: given, body }: Request,
  { timeoutMs, tls, trace }: Transport,
): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const headers: Record<string, string | number> = { Accept: 'application/json', 'User-Agent': 'ferrite', ...given }
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
      const id = headers['x-openstack-request-id'] ?? ''
      trace?.(`${method} ${url.origin}${url.pathname}${url.search} -> ${status} ${id}`.trimEnd())
      resolve({ status, headers, text: Buffer.concat(chunks).toString('utf8') })
    })
  })
  request.end(text)
  return await promise
}

/**
 * Opens an answer without an end: its texts as they come, until the other side ends it or `signal` does. Errors come as
 * whole answers.
 * @throws Unreachable
 */
export async function openStream(
  request: Request,
  transport: Transport,
  signal: AbortSignal,
): Promise<Answer | AsyncIterable<string>> {
  const { method, url, headers: given } = request
  const headers = { 'User-Agent': 'ferrite', ...given, Accept: 'text/event-stream' }
  const { insecure, ca, cert, key } = transport.tls
  const tls = { rejectUnauthorized: !insecure, ca, cert, key }
  try {
    const send = url.protocol === 'https:' ? (await import('node:https')).request : httpRequest
    const asking = send(url, { method, headers, signal, ...tls })
    const came = Promise.withResolvers<IncomingMessage>()
    asking.on('error', came.reject).on('response', came.resolve)
    asking.end()
    const response = await came.promise
    const { statusCode: status = 0, headers: told } = response
    transport.trace?.(`${method} ${url.origin}${url.pathname}${url.search} -> ${status}`)
    response.setEncoding('utf8')
    if (status === 200) return response
    let text = ''
    for await (const chunk of response) text += chunk
    return { status, headers: told, text }
  } catch (error) {
    throw asUnreachable(error, request)
  }
}

/**
 * The sentence inside an error body: `error_message` holds a JSON text again (or an object), with `faultstring` or
 * `description`; middleware answers `error.message`, a proxy whatever it likes.
 */
export function errorMessage(text: string, status: number): string {
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

export function tryParse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function errorCode(error: unknown): string | undefined {
  if (error instanceof AggregateError) return errorCode(error.errors[0])
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return undefined
}

export function isRefused(fault: Unreachable): boolean {
  return errorCode(fault.cause) === 'ECONNREFUSED'
}

/** Turns a failed exchange into what the user can do about it. */
/** What kept a request from its answer, in words that say what to do. */
export function asUnreachable(error: unknown, { what, named, base }: Request): Unreachable {
  const code = errorCode(error)
  const tried = `Cannot reach the ${what} at ${base.origin}${base.pathname === '/' ? '' : base.pathname}`
  const ours = what === bareMetal && /^(127\.|localhost$|\[::1\]$)/.test(base.hostname)
  const hints: Record<string, string> = {
    ECONNREFUSED: `connection refused. ${ours ? 'Start the service with "ferrite serve", or name' : 'Name'} another one with ${named}.`,
    ENOTFOUND: `the host name is unknown. Check ${named}.`,
    EAI_AGAIN: `the host name could not be resolved. Check ${named}.`,
    EPROTO: 'TLS failed. Is it an http:// endpoint?',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed. Trust it with --os-cacert FILE, or use --insecure.',
    SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an unknown authority. Name it with --os-cacert FILE.',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an unknown authority. Name it with --os-cacert FILE.',
  }
  const reason = (code && hints[code]) || messageOf(error instanceof AggregateError ? error.errors[0] : error)
  return new Unreachable(`${tried}: ${reason}`, { cause: error })
}
