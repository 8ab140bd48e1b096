/** Absolute URLs of answers: the base is configured, or what the request came to. Source: REST API reference, "Links". */
import type { IncomingMessage } from 'node:http'

export interface Links {
  /** Without a trailing slash: `http://host:6385`. */
  readonly base: string
}

export interface LinkOptions {
  readonly publicEndpoint: string | null
  /** Believe X-Forwarded-Proto, -Host and -Prefix; then the public endpoint does not count. */
  readonly proxied: boolean
}

export function linksOf(request: IncomingMessage, options: LinkOptions): Links {
  const { headers } = request
  if (options.publicEndpoint !== null && !options.proxied) return { base: options.publicEndpoint }
  const forwarded = (name: string) => (options.proxied ? first(headers[`x-forwarded-${name}`]) : undefined)
  const encrypted = 'encrypted' in request.socket && request.socket.encrypted === true
  const scheme = forwarded('proto') ?? (encrypted ? 'https' : 'http')
  const host = forwarded('host') ?? headers.host ?? 'localhost'
  const prefix = (forwarded('prefix') ?? '').replace(/\/+$/, '')
  return { base: `${scheme}://${host}${prefix}` }
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
