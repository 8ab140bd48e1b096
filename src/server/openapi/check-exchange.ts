/**
 * For tests: holds every request that succeeded, and every answer, against the OpenAPI document of the version that the
 * request was made with. A document that says less, more or other than the server does fails the test that meets it.
 */
import { Compile, type Validator } from 'typebox/schema'
import { type Minor, maximum, minorOf } from '#protocol/microversion.ts'
import type { Endpoint } from '../endpoint.ts'
import { endpoints } from '../endpoints.ts'
import { misfit } from '../misfit.ts'
import { normalPath, outsideOf } from '../paths.ts'
import { offered, openapiDocument } from './openapi.ts'

export interface Exchange {
  readonly method: string
  /** With its query. */
  readonly path: string
  /** As sent; undefined where there was none. */
  readonly body: string | undefined
  readonly response: Response
  /** Of the answer; undefined where it had none. */
  readonly json: unknown
}

/** The parts of the document that are read here; openapi.test.ts checks its form. */
interface Operation {
  readonly parameters: readonly { readonly in: string; readonly name: string }[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: object } } }
  readonly responses: Readonly<
    Record<string, { readonly $ref?: string; readonly content?: { readonly 'application/json': { schema: object } } }>
  >
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

const routes = endpoints.map(endpoint => ({
  endpoint,
  regex: new RegExp(`^${endpoint.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
}))
const outside = outsideOf(endpoints)
const documents = new Map<Minor, Document>()
const validators = new Map<string, Validator>()

/** @throws Error that names what does not fit */
export function checkExchange(exchange: Exchange): void {
  const { method, path, response } = exchange
  const [normal = '', query = ''] = normalPath(path, outside).split('?', 2)
  const fits = routes.filter(one => one.endpoint.method === method && one.regex.test(normal))
  const endpoint = (fits.find(one => !one.endpoint.path.includes('{')) ?? fits[0])?.endpoint
  if (!endpoint) return
  const used = response.headers.get('x-openstack-ironic-api-version')
  const version = used === null ? maximum : minorOf(used)
  if (!offered(endpoint, version)) {
    if (response.status < 400) throw new Error(`${method} ${path} is served at ${used}, though not offered there`)
    return
  }
  const operation = documentAt(version).paths[endpoint.path]?.[method.toLowerCase()]
  if (!operation) throw new Error(`${method} ${endpoint.path} is not in the document of ${used}`)
  checkAnswer(exchange, endpoint, version, operation)
  if (response.status < 400) checkRequest(exchange, endpoint, version, operation, query)
}

function checkAnswer(
  { method, path, response, json }: Exchange,
  endpoint: Endpoint,
  version: Minor,
  operation: Operation,
) {
  const told = operation.responses[response.status]
  if (!told) throw new Error(`${method} ${path} answered ${response.status}, which its document does not know`)
  const type = response.headers.get('content-type')
  const schema = told.$ref === undefined ? told.content?.['application/json'].schema : error
  if (schema === undefined) {
    if (json !== undefined || type !== null) throw new Error(`${method} ${path} has a body or a Content-Type (${type})`)
    return
  }
  const key = told.$ref === undefined ? `${endpoint.id} answer` : 'error'
  check(`The answer of ${method} ${path} at ${version}`, validator(version, key, schema), json)
}

const error = { $ref: '#/components/schemas/Error' }

function checkRequest(
  { method, path, body }: Exchange,
  endpoint: Endpoint,
  version: Minor,
  operation: Operation,
  query: string,
) {
  const known = new Set(operation.parameters.filter(one => one.in === 'query').map(one => one.name))
  const named = new Set(Object.keys(endpoint.args ?? {})) // also taken from the query; told in the body
  for (const name of new URLSearchParams(query).keys()) {
    if (!known.has(name) && !named.has(name)) throw new Error(`${method} ${path}: ${name} is not in its document`)
  }
  const schema = operation.requestBody?.content['application/json'].schema
  if (schema === undefined || body === undefined || body === '') return
  const sent = telling(JSON.parse(body))
  if (sent === null) return
  check(`The body of ${method} ${path} at ${version}`, validator(version, `${endpoint.id} body`, schema), sent)
}

/**
 * A body without what says nothing and passes at every version: empty fields of old clients, and patches that take a
 * field away which the version does not know.
 */
function telling(body: unknown): unknown {
  if (Array.isArray(body)) return body.filter(one => one?.op !== 'remove')
  if (typeof body !== 'object' || body === null) return body
  return Object.fromEntries(
    Object.entries(body).filter(([name, value]) => value !== null && !(name === 'conductor_group' && value === '')),
  )
}

function check(what: string, validator: Validator, value: unknown): void {
  if (validator.Check(value)) return
  throw new Error(misfit(`${what} does not fit the document`, validator.Errors(value)[1], value))
}

function documentAt(version: Minor): Document {
  const found = documents.get(version)
  if (found) return found
  const made = JSON.parse(JSON.stringify(openapiDocument(endpoints, version, 'keystone'))) as Document // its own form
  documents.set(version, made)
  return made
}

function validator(version: Minor, key: string, schema: object): Validator {
  const found = validators.get(`${version} ${key}`)
  if (found) return found
  const made = Compile({ ...schema, components: documentAt(version).components })
  validators.set(`${version} ${key}`, made)
  return made
}
