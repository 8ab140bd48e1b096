/**
 * For tests: requests that are nearly right. Each begins as one that its endpoint grants (good-requests.ts) and is then
 * spoilt: in its body, query, path, headers, method or bytes. What to put where comes from the OpenAPI document, so that
 * spoilt requests reach far into the handlers before they fail. Sends nothing itself.
 */
import fc from 'fast-check'
import { maximum, versionText } from '#protocol/microversion.ts'
import type { Endpoint } from '../endpoint.ts'
import { endpoints } from '../endpoints.ts'
import type { Furnished } from '../openapi/good-requests.ts'
import { openapiDocument } from '../openapi/openapi.ts'

export interface FuzzRequest {
  readonly method: string
  /** With its query, percent-encoded. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

type Json = Readonly<Record<string, unknown>>

/** One thing that is done to a request. Numbers choose among what there is. */
interface Spoiler {
  readonly kind: (typeof kinds)[number]
  readonly at: number
  readonly value: unknown
  readonly text: string
}

const kinds = [
  ...['field', 'field', 'field', 'replace', 'replace', 'delete', 'insert', 'wrap', 'patch', 'patch'],
  ...['parameter', 'parameter', 'query', 'param', 'param', 'segment', 'version', 'header', 'method', 'body', 'bytes'],
] as const

const words = [
  ...['', ' ', '\0', '%00', '../..', '__proto__', 'constructor', "' or 1=1 --", '💥', '\ud800', 'null', '-1', '1e999'],
  ...[
    'x'.repeat(300),
    'x'.repeat(5000),
    'CUSTOM_A',
    'true',
    'latest',
    'a,b,,c',
    '[1]',
    '{"a":1}',
    '/extra/__proto__/x',
  ],
  ...['6d85703a-565d-469a-96ce-30b6de53079d', '6D85703A565D469A96CE30B6DE53079D', '52:54:00:01:00:01', '*', '%', '_'],
  ...['2026-11-21T05:47:09+00:00', 'https://[::1]:1/x', 'file:///etc/passwd', '\r\nX-Injected: 1', '(a+)+$', '0', '٣'],
]
const word = fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 40 }))
const nested = (depth: number) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`) as unknown
const values: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 1e308, -0, 2 ** 31, 2 ** 53, 2 ** 63, [], {}, [null], [[]], { a: {} }],
  ...[nested(20), nested(60), new Array(2000).fill('x'), { ['k'.repeat(3000)]: 1 }, { '': '' }, { 'a.b/c~d': '\0' }],
  JSON.parse('{"__proto__": {"x": 1}, "constructor": {"prototype": {"x": 1}}}'),
]
const value = fc.oneof(fc.constantFrom(...values), word, fc.jsonValue({ maxDepth: 4 }))

const spoiler: fc.Arbitrary<Spoiler> = fc.record({
  kind: fc.constantFrom(...kinds),
  at: fc.nat({ max: 1_000_000 }),
  value,
  text: word,
})

/** Requests to an API that holds `furnished`; one in ten or so is left as it was. */
export function fuzzRequest(furnished: Furnished): fc.Arbitrary<FuzzRequest> {
  return fc
    .record({ endpoint: fc.constantFrom(...endpoints), spoilers: fc.array(spoiler, { maxLength: 4 }) })
    .map(({ endpoint, spoilers }) => spoilt(endpoint, furnished, spoilers))
}

/** Bytes that are no request at all, or half a one. */
export const fuzzBytes: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 400 }).map(bytes => Buffer.from(bytes)),
  fc
    .record({ start: fc.constantFrom(...starts()), rest: word, more: fc.uint8Array({ maxLength: 100 }) })
    .map(({ start, rest, more }) => Buffer.concat([Buffer.from(`${start}${rest}\r\n\r\n`), Buffer.from(more)])),
)

function starts(): string[] {
  const post = 'POST /v1/nodes HTTP/1.1\r\nHost: h\r\n'
  return [
    ...[
      '',
      '\r\n\r\n',
      'GET ',
      'GET / HTTP/9.9\r\n',
      'GET /v1/nodes HTTP/1.1\r\n',
      'FOO /v1/nodes HTTP/1.1\r\nHost: h\r\n',
    ],
    ...[
      `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
      `${post}Content-Length: -1\r\n`,
      `${post}Expect: x\r\n`,
    ],
    ...[`${post}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`, `${post}Transfer-Encoding: gzip, chunked\r\n\r\n5\r\n{"dri`],
    ...[
      `${post}Content-Length: 3\r\n\r\n{"driver": "fake-hardware"}`,
      `${post}Connection: upgrade\r\nUpgrade: h2c\r\n`,
    ],
    ...[
      `GET /v1/nodes?${'a'.repeat(40_000)} HTTP/1.1\r\n`,
      `${post}X: ${'y'.repeat(40_000)}\r\n`,
      'PRI * HTTP/2.0\r\n\r\nSM',
    ],
    ...['OPTIONS * HTTP/1.1\r\nHost: h\r\n', 'CONNECT h:1 HTTP/1.1\r\n', 'GET http://[::1 HTTP/1.1\r\nHost: h\r\n'],
  ]
}

interface Draft {
  method: string
  params: Record<string, string>
  /** Further parts of the path. */
  tail: string
  query: [string, string][]
  headers: Record<string, string>
  body: unknown
  bytes: Buffer | undefined
}

function spoilt(endpoint: Endpoint, furnished: Furnished, spoilers: readonly Spoiler[]): FuzzRequest {
  const good = furnished.of(endpoint) ?? { params: furnished.params }
  const draft: Draft = {
    method: endpoint.method,
    params: { ...good.params },
    tail: '',
    query: [...new URLSearchParams(good.query)],
    headers: { 'X-OpenStack-Ironic-API-Version': 'latest', 'Content-Type': 'application/json' },
    body: structuredClone(good.body),
    bytes: undefined,
  }
  for (const one of spoilers) spoil(draft, endpoint, furnished, one)
  const path = endpoint.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encoded(draft.params[name] ?? 'x'))
  const query = draft.query.map(([name, given]) => `${encoded(name)}=${encoded(given)}`).join('&')
  const text = draft.body === undefined ? undefined : Buffer.from(JSON.stringify(draft.body))
  return {
    method: draft.method,
    path: path + draft.tail + (query === '' ? '' : `?${query}`),
    headers: draft.headers,
    body: draft.method === 'GET' && draft.bytes === undefined ? undefined : (draft.bytes ?? text),
  }
}

function spoil(draft: Draft, endpoint: Endpoint, furnished: Furnished, { kind, at, value: own, text }: Spoiler): void {
  const { body } = draft
  // The next one may change what this one puts in.
  const value = structuredClone(own)
  const plausible = () => fitting(pick(schemaOf(endpoint), at), furnished, at)
  switch (kind) {
    case 'field': {
      const [name, schema] = pick(Object.entries(propertiesOf(endpoint)), at) ?? []
      if (name === undefined || typeof body !== 'object' || body === null || Array.isArray(body)) return
      Object.assign(body, { [name]: at % 3 === 0 ? value : fitting(schema, furnished, at) })
      return
    }
    case 'patch': {
      if (!Array.isArray(body)) return
      const root = pick(patchable(endpoint), at)
      const path = at % 4 === 0 ? text : at % 4 === 1 ? `/${root}/${text}` : `/${root}`
      const op = pick(['add', 'replace', 'remove', 'add', 'replace', 'move', 'test', text], at)
      body.splice(at % (body.length + 1), 0, { op, path, value: at % 2 === 0 ? value : plausible() })
      return
    }
    case 'replace':
    case 'delete':
    case 'insert':
    case 'wrap':
      draft.body = changed(body, kind, at, value, text)
      return
    case 'parameter': {
      const [name, schema] = pick(parametersOf(endpoint), at) ?? []
      if (name !== undefined) draft.query.push([name, at % 2 === 0 ? text : String(fitting(schema, furnished, at))])
      return
    }
    case 'query':
      draft.query.push([text, String(at)])
      return
    case 'param': {
      const name = pick(Object.keys(draft.params), at)
      const named = [...endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, one]) => one ?? '')
      const target = pick(named, at) ?? name
      if (target !== undefined)
        draft.params[target] = at % 2 === 0 ? text : (pick(Object.values(furnished.params), at) ?? '')
      return
    }
    case 'segment':
      draft.tail =
        at % 2 === 0 ? `/${encoded(text)}` : pick(['/', '//', '.json', '/detail', '/../..', '/%2e%2e/v1'], at)!
      return
    case 'version':
      draft.headers['X-OpenStack-Ironic-API-Version'] =
        at % 4 === 0 ? headerText(text) : at % 4 === 1 ? `2.${at}` : versionText(1 + (at % maximum))
      if (at % 8 === 7) draft.headers['OpenStack-API-Version'] = `baremetal ${headerText(text)}`
      return
    case 'header':
      draft.headers[
        pick(['Content-Type', 'Accept', 'X-Forwarded-Host', 'X-OpenStack-Request-Id', 'X-Auth-Token'], at)!
      ] = headerText(text)
      return
    case 'method':
      draft.method = pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND'], at)!
      return
    case 'body':
      draft.body = value
      return
    case 'bytes': {
      const whole = JSON.stringify(body ?? value) ?? ''
      const cut = whole.slice(0, at % (whole.length + 1))
      const odd = [cut, `${whole}}`, `\ufeff${whole}`, `{"a":1e999,"b":${cut}`, '[1,]', 'NaN', `"${text}`]
      draft.bytes = at % 7 === 0 ? Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x22]) : Buffer.from(pick(odd, at)!)
      return
    }
  }
}

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[at % Math.max(1, list.length)]
}

/** Percent-encoded whatever it holds, half surrogates too. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll('.', '%2E')
}

/** As a header may hold it: Node's client refuses the rest, which fuzzBytes tries. */
function headerText(text: string): string {
  return text.replaceAll(/[^\t\x20-\x7e]/g, '?').slice(0, 2000)
}

/** The document's words, read once. */
const document = JSON.parse(JSON.stringify(openapiDocument(endpoints, maximum, 'noauth'))) as {
  paths: Record<
    string,
    Record<string, { parameters: Json[]; requestBody?: { content: Record<string, { schema: Json }> } }>
  >
  components: { schemas: Record<string, Json> }
} // openapi.test.ts checks its form

function resolved(schema: unknown): Json {
  const { $ref } = (schema ?? {}) as { $ref?: string }
  if ($ref === undefined) return (schema ?? {}) as Json // a schema
  return document.components.schemas[$ref.split('/').at(-1) ?? ''] ?? {}
}

function bodySchema({ path, method }: Endpoint): Json {
  const operation = document.paths[path]?.[method.toLowerCase()]
  return resolved(operation?.requestBody?.content['application/json']?.schema)
}

function propertiesOf(endpoint: Endpoint): Json {
  return (bodySchema(endpoint).properties ?? {}) as Json // a keyword of objects
}

/** Schemas of what the endpoint's object may hold. */
function schemaOf(endpoint: Endpoint): readonly unknown[] {
  const create = endpoints.find(one => one.id === `${endpoint.id.split('.', 1)[0]}.create`)
  return Object.values(create ? propertiesOf(create) : {})
}

function patchable(endpoint: Endpoint): readonly string[] {
  const items = resolved(bodySchema(endpoint).items) as { properties?: { path?: { pattern?: string } } }
  return /\((.*?)\)/.exec(items.properties?.path?.pattern ?? '')?.[1]?.split('|') ?? []
}

function parametersOf({ path, method }: Endpoint): readonly (readonly [string, unknown])[] {
  const all = document.paths[path]?.[method.toLowerCase()]?.parameters ?? []
  return all.filter(one => one.in === 'query').map(one => [String(one.name), one.schema] as const)
}

/** A value that fits the schema, or is just beyond its limits. */
function fitting(given: unknown, furnished: Furnished, at: number): unknown {
  const schema = resolved(given) as Readonly<Record<string, never>> // keywords are read with care below
  const { anyOf, type, items, properties, required } = schema as {
    anyOf?: unknown[]
    type?: string
    items?: unknown
    properties?: Record<string, unknown>
    required?: string[]
  }
  const words = (schema as { enum?: unknown[] }).enum
  if (words) return pick(words, at)
  if ('const' in schema) return schema.const
  if (anyOf) return fitting(pick(anyOf, at), furnished, Math.floor(at / 2))
  if (type === 'boolean') return at % 2 === 0
  if (type === 'null') return null
  if (type === 'integer' || type === 'number') {
    const { minimum = 0, maximum: most = 2 ** 31 } = schema as { minimum?: number; maximum?: number }
    return pick([minimum, minimum - 1, most, most + 1, 7], at)
  }
  if (type === 'array') return new Array(at % 3).fill(fitting(items, furnished, Math.floor(at / 3)))
  if (type === 'object') {
    const wanted = Object.entries(properties ?? {}).filter(([name]) => required?.includes(name) || at % 2 === 0)
    return Object.fromEntries(wanted.map(([name, one], index) => [name, fitting(one, furnished, at + index)]))
  }
  const { maxLength } = schema as { maxLength?: number }
  if (maxLength !== undefined && at % 3 === 0) return 'x'.repeat(maxLength + (at % 2))
  return pick([...Object.values(furnished.params), 'CUSTOM_A', '52:54:00:09:09:09', 'x'], at)
}

/** The value with one place in it changed. */
function changed(
  root: unknown,
  kind: 'replace' | 'delete' | 'insert' | 'wrap',
  at: number,
  value: unknown,
  key: string,
) {
  const holder = { root }
  const places: [Record<string, unknown>, string][] = []
  const visit = (here: unknown) => {
    if (typeof here !== 'object' || here === null || places.length > 500) return
    for (const name of Object.keys(here)) {
      places.push([here as Record<string, unknown>, name])
      visit((here as Record<string, unknown>)[name])
    }
  }
  visit(holder)
  const [object, name] = pick(places, at)! // the root at least
  if (kind === 'delete') delete object[name]
  else if (kind === 'wrap') object[name] = at % 2 === 0 ? [object[name]] : { [key]: object[name] }
  else if (kind === 'replace') object[name] = value
  else {
    const inner = object[name]
    if (Array.isArray(inner)) inner.push(value)
    else if (typeof inner === 'object' && inner !== null) Object.assign(inner, { [key]: value })
    else object[name] = value
  }
  return holder.root
}
