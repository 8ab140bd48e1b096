/**
 * Makes a handler's call of a request, by the declaration of its endpoint: path parameters, arguments, body. What the
 * declaration needs compiled is compiled once, when the routes are made.
 */
import type { FastifyRequest } from 'fastify'
import { Compile, type Validator } from 'typebox/compile'
import { InvalidInput } from '#lib/fault.ts'
import { namePattern, uuidPattern } from '#protocol/field.ts'
import { type Minor, minorOf } from '#protocol/microversion.ts'
import type { Call, Endpoint, World } from './endpoint.ts'
import { NoRoute } from './faults.ts'
import { linksOf } from './links.ts'
import { misfit } from './misfit.ts'
import { type ParameterReader, readerOf } from './parameters.ts'
import { type Policy, requireAny } from './policy/policy.ts'

/** An endpoint with what is made once from its declaration. */
export interface Ready {
  readonly endpoint: Endpoint
  readonly minor: Minor
  readonly reader: ParameterReader
  readonly body: Validator | undefined
}

export function prepare(endpoint: Endpoint): Ready {
  return {
    endpoint,
    minor: minorOf(endpoint.from),
    reader: readerOf({ ...endpoint.query, ...endpoint.args }),
    // Only Check and Errors are used, whatever the schema.
    body: endpoint.body && (Compile(endpoint.body) as unknown as Validator),
  }
}

/** @throws NoRoute for a malformed path, InvalidInput or NotAcceptable for arguments and body */
export function readRequest(
  ready: Ready,
  request: FastifyRequest,
  { world, policy }: { world: World; policy: Policy },
): Parameters<Endpoint['handle']>[0] {
  const { endpoint, reader, body } = ready
  const { config } = world
  const { identity } = request
  const params = request.params as Record<string, string> // the router gives texts
  checkParams(params)
  const given = request.query as Record<string, unknown> // the query parser gives an object
  const named = endpoint.args ? { ...given, ...objectOf(request.body) } : given
  if (body && !body.Check(request.body)) {
    const attempt = `Cannot read the body of ${endpoint.method} ${endpoint.path}`
    throw new InvalidInput(misfit(attempt, body.Errors(request.body), request.body, endpoint.body))
  }
  const call: Call = {
    ...world,
    version: request.minor,
    params,
    query: reader.read(named, request.minor),
    body: request.body,
    given,
    path: request.url.split('?', 1)[0] ?? '',
    header: name => request.raw.headers[name]?.toString(),
    links: linksOf(request.raw, {
      publicEndpoint: config.api.public_endpoint,
      proxied: config.oslo_middleware.enable_proxy_headers_parsing,
    }),
    address: request.ip,
    caller: {
      user: identity.userId ?? identity.userName,
      project: identity.projectId,
      requestId: request.requestId,
      admin: identity.roles.includes('admin'),
    },
    identity,
    may: (name, target) => policy.allows(identity, name, target),
    restricts: policy.restricts,
    allow: target => {
      if (endpoint.policy !== 'public') requireAny(policy, identity, endpoint.policy, target)
    },
  }
  return call as Parameters<Endpoint['handle']>[0] // read by this endpoint's own declaration
}

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
