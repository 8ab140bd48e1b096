/** Absolute URLs of answers: the base is configured, or what the request came to. Source: REST API reference, "Links". */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { withoutSlashesAtEnd } from '#lib/slashes.ts'

export interface Links {
  /** Without a trailing slash: `http://host:6385`. */
  readonly base: string
}

export interface LinkOptions {
  readonly publicEndpoint: string | null
  /** Believe what a proxy says of the request it got; then the public endpoint does not count. */
  readonly proxied: boolean
}

export function linksOf(request: IncomingMessage, options: LinkOptions): Links {
  const { headers } = request
  if (options.publicEndpoint !== null && !options.proxied) return { base: options.publicEndpoint }
  const encrypted = 'encrypted' in request.socket && request.socket.encrypted === true
  const seen = options.proxied ? seenByProxy(headers) : {}
  const prefix = (options.proxied && first(headers['x-forwarded-prefix'])) || ''
  const scheme = seen.proto ?? (encrypted ? 'https' : 'http')
  return { base: `${scheme}://${seen.host ?? headers.host ?? 'localhost'}${withoutSlashesAtEnd(prefix)}` }
}

/** What the proxy nearest to the client was asked. Source: RFC 7239; where it is used, the older headers do not count. */
function seenByProxy(headers: IncomingHttpHeaders): { proto?: string | undefined; host?: string | undefined } {
  const { forwarded } = headers
  if (forwarded === undefined) {
    return { proto: first(headers['x-forwarded-proto']), host: first(headers['x-forwarded-host']) }
  }
  const pairs = (first(forwarded) ?? '').split(';').map(pair => {
    const [name = '', ...rest] = pair.split('=')
    return [name.trim().toLowerCase(), unquoted(rest.join('=').trim())] as const
  })
  const { proto, host } = Object.fromEntries(pairs.filter(([, value]) => value !== ''))
  return { proto, host }
}

function unquoted(text: string): string {
  return text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
}

function first(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header
  const value = text?.split(',')[0]?.trim()
  return value === '' ? undefined : value
}

/** `self` and `bookmark` of a thing at `path` (`/nodes/<uuid>`), as JSON text; `base` is escaped already. */
export function selfAndBookmark(escapedBase: string, path: string): string {
  return `[{"href":"${escapedBase}/v1${path}","rel":"self"},{"href":"${escapedBase}${path}","rel":"bookmark"}]`
}

/** The inside of a JSON string. */
export function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
