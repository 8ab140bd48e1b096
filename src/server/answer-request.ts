/** What leaves: answers and faults in their form, and the line that the log keeps of each request. */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { maximum } from '#protocol/microversion.ts'
import { AuthFault } from './auth/faults.ts'
import type { Answer, Endpoint } from './endpoint.ts'
import { BodyLimit, Busy, faultBody, NoRoute } from './faults.ts'
import { misplaced, type RouteTable } from './paths.ts'

export function send(endpoint: Endpoint, answer: Answer | undefined, reply: FastifyReply): FastifyReply {
  reply.code(answer?.accepted ? 202 : endpoint.status)
  if (answer?.location !== undefined) reply.header('location', answer.location)
  if (answer?.stream) {
    // Its connection serves nothing else, so that a service that stops does not wait for it to become idle.
    reply.headers({ 'content-type': answer.stream.type, connection: 'close', 'cache-control': 'no-store' })
    return reply.send(Readable.from(answer.stream.body))
  }
  // Without a body there must be no Content-Type: a client parses a body as soon as one is named.
  if (answer?.json === undefined) return reply.send()
  return reply.header('content-type', 'application/json').send(answer.json)
}

/** Tells the caller what went wrong; what is no fault is a bug, told to the log with its stack and to nobody else. */
export function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Log): FastifyReply {
  const fault = asFault(error)
  if (!fault) log.error({ err: error, ...named(request) }, 'A request failed unexpectedly')
  const told = fault ?? {
    status: 500,
    message: `Unexpected error; the service's log tells more under ${request.requestId}`,
  }
  if (fault instanceof Busy) reply.header('retry-after', '2')
  if (fault instanceof AuthFault && fault.challenge !== undefined) reply.header('www-authenticate', fault.challenge)
  return reply.code(told.status).header('content-type', 'application/json').send(faultBody(told))
}

/** A path or method that no endpoint has. @throws NoRoute */
export function notFound(routes: RouteTable, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? ''
  const methods = routes.methodsOf(path, request.minor)

  const wrong = misplaced(path)
  if (wrong) throw new NoRoute(wrong.status, `Cannot use ${path.slice(0, 200)}: expected ${wrong.expected}`)
  if (methods.length === 0) throw new NoRoute(404, `Nothing is served at ${path.slice(0, 200)}`)
  reply.header('allow', methods.join(', '))
  throw new NoRoute(405, `${request.method} is not offered here, expected ${methods.join(' or ')}`)
}

/** What may be asked of a path; of none that is unknown. */
export function answerOptions(routes: RouteTable, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const methods = routes.methodsOf(request.url.split('?', 1)[0] ?? '', maximum)
  if (methods.length > 0) reply.header('allow', methods.join(', '))
  return reply.code(200).send()
}

export function logAnswer(request: FastifyRequest, reply: FastifyReply, log: Log): void {
  const line = { ...named(request), status: reply.statusCode, ms: Math.round(reply.elapsedTime) }
  const routine = request.method === 'GET' || request.routeOptions.config.endpoint?.urgent === true
  if (routine && reply.statusCode < 400) log.debug(line, 'request')
  else log.info(line, 'request')
}

/** What the router and the HTTP parser refuse counts as the caller's mistake, anything unknown as ours. */
function asFault(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error
  if (!(error instanceof Error) || !('statusCode' in error) || typeof error.statusCode !== 'number') return undefined
  if (error.statusCode === 413) return new BodyLimit(413, 'Cannot read the body: it is larger than allowed')
  if (error.statusCode < 500) return new InvalidInput(`Cannot read the request: ${messageOf(error)}`)
  return undefined
}

/** What names a request in the log; never its query, which may carry named arguments such as a password. */
function named(request: FastifyRequest): Record<string, unknown> {
  const sent = request.headers['x-openstack-request-id']
  return {
    method: request.method,
    path: request.originalUrl.split('?', 1)[0],
    request_id: request.requestId,
    ...(typeof sent === 'string' && /^req-[0-9a-f-]{36}$/i.test(sent) ? { global_request_id: sent } : {}),
  }
}
