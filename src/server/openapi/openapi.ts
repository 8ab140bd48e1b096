/**
 * The OpenAPI 3.1 document of the API as one microversion has it, made from the declarations of the endpoints and from
 * nothing else: what is routed, checked and answered is what is told here. It reads no request and no row.
 *
 * Source: OpenAPI Specification 3.1; REST API reference, "Transport" and "Errors".
 */
import { Type } from 'typebox'
import { namePattern, uuidPattern } from '#protocol/field.ts'
import { type Minor, minimum, minorOf, versionText } from '#protocol/microversion.ts'
import type { Endpoint } from '../endpoint.ts'
import type { Parameter, Parameters } from '../parameters.ts'
import { JsonPatch, patchPaths } from '../patch.ts'
import { type Gates, gatesOf } from './gates.ts'
import { type SchemaMaker, schemaMaker, schemaNames } from './openapi-schema.ts'

type Json = Readonly<Record<string, unknown>>

export type AuthStrategy = 'noauth' | 'http_basic' | 'keystone'

/** The document of the endpoints that `version` has. */
export function openapiDocument(endpoints: readonly Endpoint[], version: Minor, auth: AuthStrategy): Json {
  const schemas = schemaMaker(schemaNames(endpoints), version)
  const paths: Record<string, Record<string, Json>> = {}
  for (const endpoint of endpoints) {
    if (!offered(endpoint, version)) continue
    paths[endpoint.path] ??= {}
    const gates = endpoint.body === JsonPatch ? gatesOfPatch(endpoint, endpoints) : {}
    paths[endpoint.path]![endpoint.method.toLowerCase()] = operation(endpoint, { version, schemas, gates }) // just made
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Bare metal API',
      version: versionText(version),
      description:
        `The API of OpenStack Ironic as Ferrite serves it, at microversion ${versionText(version)}. ` +
        'Every request names its microversion in a header; without one it is 1.1.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(Object.keys(paths).map(tagOf))].sort().map(name => ({ name })),
    security: auth === 'noauth' ? [] : [{ [auth]: [] }],
    paths,
    components: {
      schemas: { ...schemas.named, Error: ErrorSchema },
      parameters: versionParameters,
      headers,
      responses: Object.fromEntries(
        Object.entries(refusals).map(([status, description]) => [status, refusal(description)]),
      ),
      securitySchemes: auth === 'noauth' ? {} : { [auth]: securitySchemes[auth] },
    },
  }
}

export function offered({ from, alsoAt }: Endpoint, version: Minor): boolean {
  return version >= minorOf(from) || (alsoAt?.includes(versionText(version)) ?? false)
}

function tagOf(path: string): string {
  return path.split('/').find(part => part !== '' && part !== 'v1') ?? 'versions'
}

/** What an operation is told with. */
interface Telling {
  readonly version: Minor
  readonly schemas: SchemaMaker
  /** Of the fields of what a PATCH changes. */
  readonly gates: Gates
}

/** All fields of an object stand in the body that creates it, those that answers leave out, too. */
function gatesOfPatch({ id }: Endpoint, endpoints: readonly Endpoint[]): Gates {
  const noun = id.split('.', 1)[0]
  const body = endpoints.find(one => one.id === `${noun}.create`)?.body
  return (body && gatesOf(body)) ?? {}
}

function operation(endpoint: Endpoint, telling: Telling): Json {
  const { version, schemas } = telling
  const { id, path, from, status, policy, response } = endpoint
  const body = requestBody(endpoint, telling)
  const answer = {
    description: status === 202 ? 'Accepted; the work goes on.' : status === 201 ? 'Made.' : 'Done.',
    headers: status === 201 ? { ...commonHeaders, Location: { $ref: '#/components/headers/Location' } } : commonHeaders,
    ...(response && { content: { 'application/json': { schema: schemas.of(response) } } }),
  }
  return {
    operationId: id,
    summary: summaryOf(id),
    ...(endpoint.doc !== undefined && { description: endpoint.doc }),
    tags: [tagOf(path)],
    ...(policy === 'public' && { security: [] }),
    parameters: [
      ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => inPath(name)),
      ...inQuery(endpoint.query ?? {}, version),
      ...(body ? [] : inQuery(endpoint.args ?? {}, version)),
      ...Object.keys(versionParameters).map(name => ({ $ref: `#/components/parameters/${name}` })),
    ],
    ...(body && { requestBody: body }),
    responses: {
      [status]: answer,
      ...(endpoint.mayAccept && {
        202: { description: 'Accepted; there is no result to tell.', headers: commonHeaders },
      }),
      ...Object.fromEntries(refusedWith(endpoint).map(code => [code, { $ref: `#/components/responses/${code}` }])),
    },
    'x-minimum-version': from,
    ...(policy !== 'public' && { 'x-policies': policy }),
    ...(minorOf(from) > minimum && { 'x-status-below': endpoint.below ?? 404 }),
  }
}

/** `node.setProvision` reads `Node: set provision`. */
function summaryOf(id: string): string {
  const words = (text: string) => text.replaceAll(/([A-Z])/g, ' $1').toLowerCase()
  const [noun = '', action = ''] = id.split('.')
  return `${noun.charAt(0).toUpperCase()}${words(noun.slice(1))}: ${words(action)}`
}

function inPath(name: string): Json {
  const pattern = name.endsWith('_ident') ? namePattern : name.endsWith('_uuid') ? uuidPattern : undefined
  const description = name.endsWith('_ident') ? 'UUID or name' : undefined
  return {
    name,
    in: 'path',
    required: true,
    ...(description && { description }),
    schema: { type: 'string', minLength: 1, ...(pattern && { pattern }) },
  }
}

function inQuery(parameters: Parameters, version: Minor): Json[] {
  return known(parameters, version).map(([name, one]) => ({
    name,
    in: 'query',
    ...(one.required && { required: true }),
    ...(one.doc !== undefined && { description: one.doc }),
    schema: valueSchema(one, version),
  }))
}

function known(parameters: Parameters, version: Minor): [string, Parameter][] {
  return Object.entries(parameters).filter(([, one]) => minorOf(one.from ?? '1.1') <= version)
}

/** The schema of one value; where only some words are taken, those that the version knows. */
function valueSchema({ schema, values }: Parameter, version: Minor): Json {
  if (values === undefined) return schema as Json // a schema is a plain object
  return { enum: Object.keys(values).filter(value => minorOf(values[value] ?? '1.1') <= version) }
}

function requestBody({ body, args, method }: Endpoint, { version, schemas, gates }: Telling): Json | undefined {
  if (body) {
    const schema = body === JsonPatch ? patchSchema(gates, version) : schemas.of(body)
    return { required: Object.keys(schema).length > 0, content: { 'application/json': { schema } } }
  }
  const named = known(args ?? {}, version)
  if (args === undefined || (named.length === 0 && method === 'GET')) return undefined
  const required = named.filter(([, one]) => one.required).map(([name]) => name)
  const properties = Object.fromEntries(
    named.map(([name, one]) => {
      const schema = valueSchema(one, version)
      const nullable = one.required ? schema : { anyOf: [schema, { type: 'null' }] }
      return [name, one.doc === undefined ? nullable : { ...nullable, description: one.doc }]
    }),
  )
  const schema = { type: 'object', properties, ...(required.length > 0 && { required }), additionalProperties: false }
  return {
    description: 'The same names are also taken from the query.',
    required: required.length > 0,
    content: { 'application/json': { schema } },
  }
}

/** A patch whose paths begin with a field that may be patched. */
function patchSchema(gates: Gates, version: Minor): Json {
  const roots = Object.entries(gates)
    .filter(([, gate]) => gate.patch && minorOf(gate.from) <= version)
    .map(([name]) => name)
  const { items } = JsonPatch
  const { path } = items.properties
  const properties = { ...items.properties, path: { ...path, pattern: patchPaths(roots) } }
  return { ...JsonPatch, items: { ...items, properties } }
}

/** What an endpoint may answer beside success. */
function refusedWith({ method, policy, path, body, args }: Endpoint): string[] {
  const codes = ['400', '404', '406', '500', '503']
  if (policy !== 'public') codes.push('401', '403')
  else if (path !== '/' && path !== '/v1') codes.push('403')
  if (method !== 'GET' || path.includes('boot_device') || path.includes('lookup')) codes.push('409')
  if (body ?? args) codes.push('413')
  return codes.sort()
}

const refusals: Readonly<Record<string, string>> = {
  400: 'The request cannot be: an unknown, missing or malformed argument, or not possible in this state.',
  401: 'No credentials, or wrong ones.',
  403: 'Not allowed to this caller, or at all.',
  404: 'Not there, or not in this version.',
  406: 'The version, or something that came with a later one, cannot be served.',
  409: 'In conflict with something else, or the node is worked on; perhaps later.',
  413: 'The body is too large.',
  500: 'A defect, or a machine that failed.',
  503: 'Too much to do; try again.',
}

function refusal(description: string): Json {
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }
  return { description, headers: { 'X-OpenStack-Request-Id': { $ref: '#/components/headers/RequestId' } }, content }
}

/** The inner document is told in the form of its text, because it leaves as text. */
const ErrorSchema = Type.Union([
  Type.Object({
    error_message: Type.String({
      contentMediaType: 'application/json',
      contentSchema: Type.Union([
        Type.Object({
          faultcode: Type.Enum(['Client', 'Server']),
          faultstring: Type.String(),
          debuginfo: Type.Union([Type.String(), Type.Null()]),
        }),
        Type.Object({ code: Type.Integer(), title: Type.String(), description: Type.String() }),
      ]),
    }),
  }),
  Type.Object({ faultcode: Type.Enum(['Client', 'Server']), faultstring: Type.String() }),
  Type.Object({ error: Type.Object({ code: Type.Integer(), message: Type.String() }) }),
])

const text = { schema: { type: 'string' } }
const headers = {
  RequestId: { description: 'Names this request in the log.', ...text },
  Version: { description: 'The microversion that was used.', ...text },
  MinimumVersion: { description: 'The oldest microversion served.', ...text },
  MaximumVersion: { description: 'The newest microversion served.', ...text },
  Location: { description: 'Where the new object is.', required: true, ...text },
}
const commonHeaders = {
  'X-OpenStack-Request-Id': { $ref: '#/components/headers/RequestId' },
  'X-OpenStack-Ironic-API-Version': { $ref: '#/components/headers/Version' },
  'X-OpenStack-Ironic-API-Minimum-Version': { $ref: '#/components/headers/MinimumVersion' },
  'X-OpenStack-Ironic-API-Maximum-Version': { $ref: '#/components/headers/MaximumVersion' },
}
const versionParameters = {
  IronicVersion: {
    name: 'X-OpenStack-Ironic-API-Version',
    in: 'header',
    description: '`1.N`, or `latest`; 1.1 without it.',
    schema: { type: 'string' },
  },
  OpenStackVersion: {
    name: 'OpenStack-API-Version',
    in: 'header',
    description: '`baremetal 1.N`; goes before the other header.',
    schema: { type: 'string' },
  },
}
const securitySchemes = {
  keystone: { type: 'apiKey', in: 'header', name: 'X-Auth-Token', description: 'A token of Keystone.' },
  http_basic: { type: 'http', scheme: 'basic' },
} as const
