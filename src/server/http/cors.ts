/**
 * Cross-origin requests: which pages of other origins may call the API from a browser, as [cors] says. An origin that
 * is not listed gets the same answers without the headers that let its pages read them.
 *
 * Source: WHATWG Fetch, "CORS protocol"; the options are those of oslo.middleware, which Ironic's API stands behind.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Config } from '#config/options.ts'

export interface Cors {
  /** Headers for an answer to this request. */
  tell(request: IncomingMessage, response: ServerResponse): void
  /** Headers for the answer to a browser's question before the request, which comes as OPTIONS. */
  tellBefore(request: IncomingMessage, response: ServerResponse): void
}

/** Headers that pages may always send: the common ones, and those that every call of this API needs. */
const alwaysAllowed = [
  'accept',
  'accept-language',
  'cache-control',
  'content-language',
  'content-type',
  'expires',
  'last-modified',
  'pragma',
  'x-auth-token',
  'x-openstack-ironic-api-version',
  'x-openstack-ironic-api-minimum-version',
  'x-openstack-ironic-api-maximum-version',
]

/** Undefined where no origin is allowed. */
export function corsOf(options: Config['cors']): Cors | undefined {
  const { allowed_origin } = options
  if (allowed_origin === null || allowed_origin.length === 0) return undefined
  const origins = new Set(allowed_origin)
  const methods = new Set(options.allow_methods.map(method => method.toUpperCase()))
  const headers = new Set([...alwaysAllowed, ...options.allow_headers.map(header => header.toLowerCase())])
  const exposed = options.expose_headers.join(',')

  /** How the answer names the request's origin; undefined for one that is not allowed. */
  const named = ({ headers: { origin } }: IncomingMessage) => {
    if (origin === undefined) return undefined
    return origins.has(origin) ? origin : origins.has('*') ? '*' : undefined
  }
  const allow = (response: ServerResponse, origin: string) => {
    response.setHeader('access-control-allow-origin', origin)
    if (options.allow_credentials) response.setHeader('access-control-allow-credentials', 'true')
  }

  return {
    tell(request, response) {
      response.setHeader('vary', 'Origin')
      const origin = named(request)
      if (origin === undefined) return
      allow(response, origin)
      if (exposed !== '') response.setHeader('access-control-expose-headers', exposed)
    },
    tellBefore(request, response) {
      response.setHeader('vary', 'Origin')
      const origin = named(request)
      const method = request.headers['access-control-request-method']
      if (origin === undefined || method === undefined || !methods.has(method)) return
      const asked = namesIn(request.headers['access-control-request-headers'])
      if (!asked.every(name => headers.has(name.toLowerCase()))) return
      allow(response, origin)
      response.setHeader('access-control-max-age', String(options.max_age))
      response.setHeader('access-control-allow-methods', method)
      if (asked.length > 0) response.setHeader('access-control-allow-headers', asked.join(','))
    },
  }
}

function namesIn(header: string | undefined): string[] {
  return (header ?? '')
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}
