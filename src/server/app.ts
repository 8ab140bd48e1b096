/**
 * The HTTP server of the API: routes every declared endpoint and does for all of them what is the same. Version,
 * identity, arguments and body are settled here, from the declarations, before a handler runs; answers and faults get
 * their form here. It knows no resource.
 *
 * Source: REST API reference, "Transport".
 */
import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Compile, type Validator } from 'typebox/compile'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import { namePattern, uuidPattern } from '#protocol/field.ts'
import { type Minor, maximum, minimum, minorOf, versionText } from '#protocol/microversion.ts'
import { type Auth, type Identity, noauth } from './auth.ts'
import { parseBody } from './body.ts'
import type { Answer, Call, Endpoint, World } from './endpoint.ts'
import { endpoints as allEndpoints } from './endpoints.ts'
import { BodyLimit, Busy, faultBody, NoRoute } from './faults.ts'
import { fleetSource } from './fleet.ts'
import { linksOf } from './links.ts'
import { misfit } from './misfit.ts'
import { type ParameterReader, readerOf } from './parameters.ts'
import { normalPath, type RouteTable, routeTable } from './paths.ts'
import { turnstile } from './turnstile.ts'
import { negotiate, VersionRefused } from './versions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Microversion of the request; 0 until it is known. */
    minor: Minor
    /** `req-<uuid>`, told in every answer. */
    requestId: string
    /** The Content-Type named JSON. */
    saysJson: boolean
  }
}

export interface AppOptions extends Omit<World, 'fleet'> {
  auth?: Auth
  /** Default: all. */
  endpoints?: readonly Endpoint[]
}

export function createApp(options: AppOptions): FastifyInstance {
  const { config, log, auth = noauth, endpoints = allEndpoints } = options
  const { api } = config
  const fleet = fleetSource({ ...options, heartbeatTimeoutS: config.conductor.heartbeat_timeout })
  const world: World = { ...options, fleet }
  const routes = routeTable(endpoints)
  const gate = turnstile()

  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    rewriteUrl: request => normalPath(request.url ?? '/'),
    bodyLimit: api.max_json_body_size * 1024,
    // A client that is slow to send, or to read, holds a socket, never the service; and not for ever.
    requestTimeout: 120_000,
    connectionTimeout: 300_000,
    keepAliveTimeout: 75_000,
    http: { headersTimeout: 20_000, connectionsCheckingInterval: 5_000, maxHeaderSize: 32_768 },
    routerOptions: { maxParamLength: 1024 },
    frameworkErrors: (error, request, reply) => refuse(error, request, reply),
  })
  app.server.maxConnections = 8192

  app.decorateRequest('minor', 0)
  app.decorateRequest('requestId', '')
  app.decorateRequest('saysJson', false)

  app.addHook('onRequest', (request, reply, done) => {
    try {
      greet(request, reply)
      done()
    } catch (error) {
      done(error as Error) // greet throws faults only
    }
  })
  app.addHook('onResponse', (request, reply, done) => {
    logAnswer(request, reply)
    done()
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    const declared = request.routeOptions.config.endpoint
    // Handlers of named arguments look at a body only when it says that it is JSON.
    if (declared?.args && !request.saysJson) return done(null, {})
    if (!declared?.args && !declared?.body) return done(null, {})
    try {
      done(null, parseBody(String(body), api.max_json_body_depth))
    } catch (error) {
      done(error as Error) // parseBody throws faults only
    }
  })

  for (const declared of endpoints) {
    const ready = prepare(declared)
    const limit = { provision: api.max_json_body_size_provision, inspection: api.max_json_body_size_inspection }
    app.route({
      method: declared.method,
      url: declared.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      config: { endpoint: declared, minor: ready.minor },
      ...(declared.bodySize ? { bodyLimit: limit[declared.bodySize] * 1024 } : {}),
      handler: (request, reply) => serve(ready, request, reply),
    })
  }
  app.setNotFoundHandler((request, reply) => notFound(routes, request, reply))
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply))
  return app

  /** Names the request and settles its version, before any of its body is read. */
  function greet(request: FastifyRequest, reply: FastifyReply): void {
    const { raw } = request
    request.requestId = `req-${randomUUID()}`
    reply.raw.setHeader('x-openstack-request-id', request.requestId)
    reply.raw.setHeader('openstack-request-id', request.requestId)
    // The one content type parser is ours; what the header says only decides whether named arguments are read.
    request.saysJson = /json/i.test(raw.headers['content-type'] ?? '')
    if (raw.headers['content-type'] !== undefined) raw.headers['content-type'] = 'application/json'
    const minor = settleVersion(request, reply)
    const accept = raw.headers.accept
    if (accept !== undefined && accept !== '' && !/\*\/\*|application\/(\*|json)/i.test(accept)) {
      throw new NoRoute(406, `Cannot answer with ${accept}: answers are application/json`)
    }
    const { endpoint, minor: from = minimum } = request.routeOptions.config
    if (endpoint && minor < from && !endpoint.alsoAt?.includes(versionText(minor))) {
      const message = `${endpoint.method} ${endpoint.path} needs version ${endpoint.from}`
      throw new NoRoute(endpoint.below ?? 404, `${message}; the request was made with ${versionText(minor)}`)
    }
  }

  function settleVersion(request: FastifyRequest, reply: FastifyReply): Minor {
    const limits = () => {
      reply.raw.setHeader('x-openstack-ironic-api-minimum-version', versionText(minimum))
      reply.raw.setHeader('x-openstack-ironic-api-maximum-version', versionText(maximum))
    }
    try {
      request.minor = negotiate(request.raw.headers)
    } catch (error) {
      if (error instanceof VersionRefused && error.known) limits()
      throw error
    }
    limits()
    reply.raw.setHeader('x-openstack-ironic-api-version', versionText(request.minor))
    return request.minor
  }

  async function serve(ready: Ready, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { endpoint } = ready
    const turn = endpoint.urgent ? undefined : gate.pass()
    if (turn) await turn
    const authenticated = endpoint.policy === 'public' ? nobody : auth.authenticate(request.raw)
    const identity = authenticated instanceof Promise ? await authenticated : authenticated
    const handled = endpoint.handle(callOf(ready, request, identity) as Parameters<Endpoint['handle']>[0]) // read by its declaration
    const answer = handled instanceof Promise ? await handled : handled
    return send(endpoint, answer, reply)
  }

  function callOf(ready: Ready, request: FastifyRequest, identity: Identity): Call {
    const { endpoint, reader, body } = ready
    const params = request.params as Record<string, string> // the router gives texts
    checkParams(params)
    const given = request.query as Record<string, unknown> // the query parser gives an object
    const named = endpoint.args ? { ...given, ...objectOf(request.body) } : given
    if (body && !body.Check(request.body)) {
      throw new InvalidInput(
        misfit(`Cannot read the body of ${endpoint.method} ${endpoint.path}`, body.Errors(request.body), request.body),
      )
    }
    return {
      ...world,
      version: request.minor,
      params,
      query: reader.read(named, request.minor),
      body: request.body,
      given,
      path: request.url.split('?', 1)[0] ?? '',
      links: linksOf(request.raw, {
        publicEndpoint: api.public_endpoint,
        proxied: config.oslo_middleware.enable_proxy_headers_parsing,
      }),
      caller: { user: identity.user, requestId: request.requestId },
      allow: target => {
        if (endpoint.policy !== 'public') auth.authorize(identity, endpoint.policy, target)
      },
    }
  }

  function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const fault = asFault(error)
    if (!fault) {
      log.error({ error, request_id: request.requestId, url: request.originalUrl }, 'A request failed unexpectedly')
    }
    const told = fault ?? {
      status: 500,
      message: `Unexpected error; the service's log tells more under ${request.requestId}`,
    }
    if (fault instanceof Busy) reply.header('retry-after', '2')
    return reply.code(told.status).header('content-type', 'application/json').send(faultBody(told))
  }

  function logAnswer(request: FastifyRequest, reply: FastifyReply): void {
    const line = {
      method: request.method,
      url: request.originalUrl,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      request_id: request.requestId,
      ...globalRequestId(request),
    }
    if (request.method === 'GET' && reply.statusCode < 400) log.debug(line, 'request')
    else log.info(line, 'request')
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    endpoint?: Endpoint
    minor?: Minor
  }
}

/** An endpoint with what is made once from its declaration. */
interface Ready {
  readonly endpoint: Endpoint
  readonly minor: Minor
  readonly reader: ParameterReader
  readonly body: Validator | undefined
}

function prepare(endpoint: Endpoint): Ready {
  return {
    endpoint,
    minor: minorOf(endpoint.from),
    reader: readerOf({ ...endpoint.query, ...endpoint.args }),
    // Only Check and Errors are used, whatever the schema.
    body: endpoint.body && (Compile(endpoint.body) as unknown as Validator),
  }
}

const nobody: Identity = { user: null }
const nameRegex = new RegExp(namePattern)
const uuidRegex = new RegExp(uuidPattern)

function checkParams(params: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(params)) {
    if (name.endsWith('_ident') && !nameRegex.test(value)) throw malformed(value, 'a UUID or a name')
    if (name.endsWith('_uuid') && !uuidRegex.test(value)) throw malformed(value, 'a UUID')
  }
}

function malformed(value: string, expected: string): NoRoute {
  return new NoRoute(400, `Cannot read the path: found ${JSON.stringify(value.slice(0, 80))}, expected ${expected}`)
}

/** Named arguments of a body. */
function objectOf(body: unknown): Record<string, unknown> {
  if (body === undefined || body === null) return {}
  if (typeof body === 'object' && !Array.isArray(body)) return body as Record<string, unknown> // just tested
  throw new InvalidInput('Cannot read the body: expected an object')
}

function send(endpoint: Endpoint, answer: Answer | undefined, reply: FastifyReply): FastifyReply {
  reply.code(endpoint.status)
  if (answer?.location !== undefined) reply.header('location', answer.location)
  // Without a body there must be no Content-Type: a client parses a body as soon as one is named.
  if (answer?.json === undefined) return reply.send()
  return reply.header('content-type', 'application/json').send(answer.json)
}

function notFound(routes: RouteTable, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? ''
  const methods = routes.methodsOf(path)
  if (methods.length === 0) throw new NoRoute(404, `Nothing is served at ${path.slice(0, 200)}`)
  reply.header('allow', methods.join(', '))
  if (request.method === 'OPTIONS') return reply.code(200).send()
  throw new NoRoute(405, `${request.method} is not offered here, expected ${methods.join(' or ')}`)
}

/** What the router and the HTTP parser refuse counts as the caller's mistake, anything unknown as ours. */
function asFault(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error
  if (!(error instanceof Error) || !('statusCode' in error) || typeof error.statusCode !== 'number') return undefined
  if (error.statusCode === 413) return new BodyLimit(413, 'Cannot read the body: it is larger than allowed')
  if (error.statusCode < 500) return new InvalidInput(`Cannot read the request: ${messageOf(error)}`)
  return undefined
}

function globalRequestId(request: FastifyRequest): { global_request_id?: string } {
  const sent = request.headers['x-openstack-request-id']
  return typeof sent === 'string' && /^req-[0-9a-f-]{36}$/i.test(sent) ? { global_request_id: sent } : {}
}
