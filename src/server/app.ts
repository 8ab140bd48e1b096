/**
 * The HTTP server of the API: routes every declared endpoint and does for all of them what is the same. Version,
 * identity, arguments and body are settled here, from the declarations, before a handler runs; answers and faults get
 * their form here. It knows no resource.
 *
 * Source: REST API reference, "Transport".
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TlsOptions } from 'node:tls'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Channel } from '#db/channel.ts'
import { Sightings } from '#db/sightings.ts'
import { type Minor, maximum, minimum, versionText } from '#protocol/microversion.ts'
import { answerOptions, logAnswer, notFound, refuse, send } from './answer-request.ts'
import { type Authenticator, type Identity, noauth, nobody } from './auth.ts'
import { parseBody } from './body.ts'
import type { Endpoint, World } from './endpoint.ts'
import { endpoints as allEndpoints } from './endpoints.ts'
import { ringBell } from './event-bell.ts'
import { eventHub } from './event-hub.ts'
import { NoRoute } from './faults.ts'
import { fleetSource } from './fleet.ts'
import { corsOf } from './http/cors.ts'
import { addHealth, alivePath, readyPath } from './http/health.ts'
import { addHealthcheck } from './http/healthcheck.ts'
import { createHttpServer, refuseConnection } from './http/http-server.ts'
import { incomingBodies } from './http/incoming.ts'
import { addMetrics, type MetricsSource, metricsPath } from './http/metrics.ts'
import { turnstile } from './http/turnstile.ts'
import { unreadAnswers } from './http/unread.ts'
import { requestsAnswered } from './measured.ts'
import { normalPath, outsideOf, routeTable } from './paths.ts'
import { type Policy, unrestricted } from './policy/policy.ts'
import { prepare, type Ready, readRequest } from './read-request.ts'
import { isForSocket, serveSocket } from './sockets.ts'
import { addUi, type UiConfig, uiPath } from './ui/routes.ts'
import { negotiate } from './versions.ts'
import { checkNetworkRules } from './vifs/attach.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Microversion of the request; 0 until it is known. */
    minor: Minor
    /** `req-<uuid>`, told in every answer. */
    requestId: string
    /** The Content-Type named JSON. */
    saysJson: boolean
    /** Who calls; nobody in particular where the endpoint is public. */
    identity: Identity
  }
  interface FastifyContextConfig {
    endpoint?: Endpoint
    minor?: Minor
    /** No part of the API: it has no version. */
    outside?: true
    /** Its handler reads a body of JSON, though it is no endpoint. */
    takesJson?: true
  }
}

export interface AppOptions extends Omit<World, 'fleet' | 'sightings' | 'hub'> {
  /** Default: nobody is asked who they are. */
  auth?: Authenticator
  /** Default: everyone may do everything. */
  policy?: Policy
  /** Default: all. */
  endpoints?: readonly Endpoint[]
  /** To the other processes. Default: there are none. */
  channel?: Pick<Channel, 'listen' | 'send'> | undefined
  /** Serve over TLS. Default: without. */
  tls?: TlsOptions | undefined
  /** Serve metrics. Default: without. */
  metrics?: MetricsSource | undefined
  /** Serve the web console. Default: without. */
  ui?: UiConfig | undefined
}

export function createApp(options: AppOptions): FastifyInstance {
  const { config, log, auth = noauth, policy = unrestricted, endpoints = allEndpoints } = options
  const { api } = config
  const fleet = fleetSource({ ...options, heartbeatTimeoutS: config.conductor.heartbeat_timeout })
  const world: World = { ...options, fleet, sightings: new Sightings(options), hub: eventHub(options) }
  const stopBell = ringBell(world.hub, options.channel)
  const onDistrust = (address: string, reason: string) => {
    const written = world.sightings.distrusted(address, reason)
    written.catch(error => log.warn({ err: error }, 'what was seen of a caller could not be written down'))
  }
  const routes = routeTable(endpoints)
  const unread = unreadAnswers()
  const incoming = incomingBodies()
  const gate = turnstile({ isFull: unread.isFull })
  const cors = corsOf(config.cors)
  const outside = outsideOf(endpoints)
  if (config.healthcheck.enabled) outside.add(config.healthcheck.path)
  for (const path of [alivePath, readyPath]) outside.add(path)
  if (options.metrics) outside.add(metricsPath)
  const foldersOutside = options.ui ? [uiPath] : []

  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    rewriteUrl: request => normalPath(request.url ?? '/', outside, foldersOutside),
    bodyLimit: api.max_json_body_size * 1024,
    serverFactory: handler => createHttpServer(handler, { tls: options.tls, onDistrust, upgrades: isForSocket }),
    clientErrorHandler: refuseConnection,
    routerOptions: { maxParamLength: 1024 },
    frameworkErrors: (error, request, reply) => refuse(error, request, reply, log),
  })

  app.decorateRequest('minor', 0)
  app.decorateRequest('requestId', '')
  app.decorateRequest('saysJson', false)
  app.decorateRequest('identity')

  app.addHook('onReady', () => checkNetworkRules(world))
  app.addHook('onRequest', (request, reply, done) => {
    try {
      name(request, reply)
      // Browsers ask before they know who their user is, and no handler answers to this method.
      if (request.method === 'OPTIONS') {
        cors?.tellBefore(request.raw, reply.raw)
        answerOptions(routes, request, reply)
        return
      }
      cors?.tell(request.raw, reply.raw)
      const identity = isPublic(request) ? nobody : auth.authenticate(request.raw)
      if (identity instanceof Promise) {
        identity.then(known => admit(request, reply, known)).then(() => done(), done)
        return
      }
      admit(request, reply, identity)
      done()
    } catch (error) {
      done(error as Error) // naming, authenticating and greeting throw faults only
    }
  })
  app.addHook('onResponse', (request, reply, done) => {
    logAnswer(request, reply, log)
    tellMeasure(request, reply)
    done()
  })

  app.addHook('preParsing', (request, reply, payload, done) => {
    try {
      incoming.watch(request.raw, reply.raw)
      done(null, payload)
    } catch (error) {
      done(error as Error) // watching throws faults only
    }
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    const { endpoint: declared, takesJson } = request.routeOptions.config
    // Handlers of named arguments look at a body only when it says that it is JSON.
    const wanted = declared?.args ? request.saysJson : declared?.body !== undefined || takesJson
    if (!wanted) return done(null, {})
    try {
      done(null, parseBody(String(body), api.max_json_body_depth))
    } catch (error) {
      done(error as Error) // parseBody throws faults only
    }
  })

  const limitKib = { provision: api.max_json_body_size_provision, inspection: api.max_json_body_size_inspection }
  for (const declared of endpoints) {
    const ready = prepare(declared)
    app.route({
      method: declared.method,
      url: declared.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      config: { endpoint: declared, minor: ready.minor },
      ...(declared.bodySize ? { bodyLimit: limitKib[declared.bodySize] * 1024 } : {}),
      handler: (request, reply) => serve(ready, request, reply),
    })
  }
  const sockets = new Set<Duplex>()
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    void serveSocket({ world, auth, policy }, request, { socket, head })
  })
  app.addHook('preClose', async () => {
    for (const socket of sockets) socket.destroy()
  })
  app.addHook('onClose', async () => stopBell())
  // A stream ends with the service, not with its client: nothing waits for it.
  app.addHook('preClose', () => world.hub.close())
  addHealthcheck(app, config.healthcheck)
  addHealth(app, world)
  if (options.metrics) addMetrics(app, options.metrics)
  if (options.ui) addUi(app, { config: options.ui, log })
  app.setNotFoundHandler((request, reply) => notFound(routes, request, reply))
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply, log))
  return app

  async function serve(ready: Ready, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { endpoint } = ready
    const turn = endpoint.urgent ? undefined : gate.pass(request.raw.socket)
    if (turn) await turn
    const handled = endpoint.handle(readRequest(ready, request, { world, policy }))
    const answer = handled instanceof Promise ? await handled : handled
    if (answer?.json !== undefined) unread.hold(reply.raw, answer.json.length)
    return send(endpoint, answer, reply)
  }
}

function name(request: FastifyRequest, reply: FastifyReply): void {
  request.requestId = `req-${randomUUID()}`
  reply.raw.setHeader('x-openstack-request-id', request.requestId)
  reply.raw.setHeader('openstack-request-id', request.requestId)
}

function tellMeasure(request: FastifyRequest, reply: FastifyReply): void {
  if (!requestsAnswered.isHeard) return
  const endpoint = request.routeOptions.config.endpoint?.id ?? 'none'
  const { method } = request
  requestsAnswered.tell({ endpoint, method, status: reply.statusCode, durationMs: reply.elapsedTime })
}

/** What no endpoint serves is told to those only who have proved who they are. */
function isPublic(request: FastifyRequest): boolean {
  const { endpoint, outside } = request.routeOptions.config
  return outside === true || endpoint?.policy === 'public'
}

/** Settles the request's version, before any of its body is read. @throws NoRoute */
function admit(request: FastifyRequest, reply: FastifyReply, identity: Identity): void {
  const { headers } = request.raw
  request.identity = identity
  // The one content type parser is ours; what the header says only decides whether named arguments are read.
  request.saysJson = /json/i.test(headers['content-type'] ?? '')
  if (headers['content-type'] !== undefined) headers['content-type'] = 'application/json'
  if (request.routeOptions.config.outside) return
  request.minor = settleVersion(request, reply)
  const { endpoint, minor: from = minimum } = request.routeOptions.config
  const { accept } = headers
  if (accept !== undefined && accept !== '' && !isServed(accept, endpoint)) {
    const types = ['application/json', ...(endpoint?.streams ? [endpoint.streams] : [])].join(' or ')
    throw new NoRoute(406, `Cannot answer with ${accept.slice(0, 200)}: answers are ${types}`)
  }
  if (!endpoint || request.minor >= from) return
  const version = versionText(request.minor)
  if (endpoint.alsoAt?.includes(version)) return
  const message = `${endpoint.method} ${endpoint.path} needs version ${endpoint.from}`
  throw new NoRoute(endpoint.below ?? 404, `${message}; the request was made with ${version}`)
}

function isServed(accept: string, endpoint: Endpoint | undefined): boolean {
  const isStream = endpoint?.streams !== undefined && accept.toLowerCase().includes(endpoint.streams)
  return isStream || /\*\/\*|application\/(\*|json)/i.test(accept)
}

function settleVersion(request: FastifyRequest, reply: FastifyReply): Minor {
  // First, so that an answer that refuses the version tells which ones there are: clients try again with what it says.
  reply.raw.setHeader('x-openstack-ironic-api-minimum-version', versionText(minimum))
  reply.raw.setHeader('x-openstack-ironic-api-maximum-version', versionText(maximum))
  const minor = negotiate(request.raw.headers)
  reply.raw.setHeader('x-openstack-ironic-api-version', versionText(minor))
  return minor
}
