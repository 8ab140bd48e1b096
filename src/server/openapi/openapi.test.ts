/**
 * The OpenAPI document: its form, its gates, and that for every endpoint a real request and its answer fit it. Beyond
 * this file every exchange of every test of the API is held against it (check-exchange.ts).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Compile as CompileJsonSchema } from 'typebox/schema'
import { maximum, minorOf } from '#protocol/microversion.ts'
import { endpoints } from '../endpoints.ts'
import { startApi } from '../test-api.ts'
import { furnish, refusing } from './good-requests.ts'
import { offered, openapiDocument } from './openapi.ts'

type Json = Record<string, unknown>
const versions = [1, 9, 38, 50, 82, 104, 112, maximum]
const documentAt = (version: number) =>
  JSON.parse(JSON.stringify(openapiDocument(endpoints, version, 'keystone'))) as Document // checked by its form below
const documents = versions.map(version => [version, documentAt(version)] as const)

const Schema = Type.Record(Type.String(), Type.Unknown())
const Ref = Type.Object(
  { $ref: Type.String({ pattern: '^#/components/\\w+/[\\w.-]+$' }) },
  { additionalProperties: false },
)
const strict = { additionalProperties: false }
const Content = Type.Object({ 'application/json': Type.Object({ schema: Schema }, strict) }, strict)
const Parameter = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    in: Type.Enum(['path', 'query', 'header']),
    required: Type.Optional(Type.Literal(true)),
    description: Type.Optional(Type.String()),
    schema: Schema,
  },
  strict,
)
const Response = Type.Object(
  {
    description: Type.String({ minLength: 1 }),
    headers: Type.Optional(Type.Record(Type.String(), Ref)),
    content: Type.Optional(Content),
  },
  strict,
)
const Operation = Type.Object(
  {
    operationId: Type.String({ minLength: 1 }),
    summary: Type.String({ minLength: 1 }),
    description: Type.Optional(Type.String()),
    tags: Type.Array(Type.String(), { minItems: 1 }),
    security: Type.Optional(Type.Array(Type.Unknown(), { maxItems: 0 })),
    parameters: Type.Array(Type.Union([Parameter, Ref])),
    requestBody: Type.Optional(
      Type.Object({ required: Type.Boolean(), description: Type.Optional(Type.String()), content: Content }, strict),
    ),
    responses: Type.Record(Type.String({ pattern: '^[2-5]\\d\\d$' }), Type.Union([Response, Ref]), {
      minProperties: 2,
    }),
    'x-minimum-version': Type.String({ pattern: '^1\\.\\d+$' }),
    'x-policies': Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    'x-status-below': Type.Optional(Type.Enum([404, 405, 406])),
  },
  strict,
)
/** OpenAPI 3.1, as far as documents like ours use it. */
const Form = Type.Object(
  {
    openapi: Type.Literal('3.1.0'),
    info: Type.Object(
      {
        title: Type.String(),
        version: Type.String({ pattern: '^1\\.\\d+$' }),
        description: Type.String(),
        license: Type.Object({ name: Type.String(), identifier: Type.String() }, strict),
      },
      strict,
    ),
    servers: Type.Array(Type.Object({ url: Type.String() }, strict), { minItems: 1 }),
    tags: Type.Array(Type.Object({ name: Type.String() }, strict)),
    security: Type.Array(Type.Record(Type.String(), Type.Array(Type.String()))),
    paths: Type.Record(
      Type.String({ pattern: '^/' }),
      Type.Record(Type.String({ pattern: '^(get|post|put|patch|delete)$' }), Operation, { minProperties: 1 }),
    ),
    components: Type.Object(
      {
        schemas: Type.Record(Type.String({ pattern: '^[\\w.-]+$' }), Schema),
        parameters: Type.Record(Type.String(), Parameter),
        headers: Type.Record(Type.String(), Type.Object({ description: Type.String(), schema: Schema })),
        responses: Type.Record(Type.String(), Response),
        securitySchemes: Type.Record(Type.String(), Type.Object({ type: Type.Enum(['apiKey', 'http']) })),
      },
      strict,
    ),
  },
  strict,
)
const form = Compile(Form)
type Document = Json & {
  paths: Record<string, Record<string, { operationId: string; parameters: Json[]; requestBody?: Json }>>
  components: { schemas: Record<string, { properties?: Record<string, Json> }> }
}

/** Every value of the document with a `$ref`, and every schema. */
function* within(value: unknown): Generator<Json> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield value as Json // just tested
  for (const inner of Object.values(value)) yield* within(inner)
}

for (const [version, document] of documents) {
  test(`the document of 1.${version} has the form of OpenAPI 3.1`, () => {
    assert.deepEqual(form.Errors(document).slice(0, 3), [])
    const operations = Object.values(document.paths).flatMap(Object.values) as { operationId: string; tags: string[] }[] // as the form says
    const ids = operations.map(one => one.operationId)
    assert.equal(new Set(ids).size, ids.length, 'operations have ids of their own')
    const expected = endpoints.filter(one => offered(one, version)).map(one => one.id)
    assert.deepEqual(ids.toSorted(), expected.toSorted())
    const tags = new Set((document.tags as { name: string }[]).map(tag => tag.name)) // as the form says
    assert.deepEqual([...new Set(operations.flatMap(one => one.tags))].sort(), [...tags].sort())
  })

  test(`references and paths of 1.${version} lead somewhere, and its schemas are schemas`, () => {
    const targets = new Set<string>()
    for (const { $ref } of within(document)) {
      if (typeof $ref !== 'string') continue
      targets.add($ref)
      const parts = $ref.split('/').slice(1)
      const found = parts.reduce<unknown>((here, part) => (here as Json | undefined)?.[part], document)
      assert.notEqual(found, undefined, $ref)
    }
    const named = Object.keys(document.components.schemas)
    assert.deepEqual(
      named.filter(name => !targets.has(`#/components/schemas/${name}`)),
      [],
      'schemas nothing uses',
    )
    for (const name of named) {
      CompileJsonSchema({ $ref: `#/components/schemas/${name}`, components: document.components })
    }
    for (const [path, item] of Object.entries(document.paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      for (const { parameters, requestBody } of Object.values(item)) {
        assert.deepEqual(
          parameters.filter(one => one.in === 'path').map(one => one.name),
          inPath,
          path,
        )
        const names = parameters.map(one => `${one.in} ${one.name ?? one.$ref}`)
        assert.equal(new Set(names).size, names.length, `${path} names a parameter twice`)
        for (const { schema } of [...parameters, ...within(requestBody)]) {
          if (schema !== undefined) CompileJsonSchema({ ...(schema as object), components: document.components })
        }
      }
    }
  })
}

test('a document knows what its version knows and no more', () => {
  const properties = (version: number, name: string) =>
    Object.keys(documentAt(version).components.schemas[name]?.properties ?? {})
  assert.ok(!properties(49, 'Node').includes('owner') && properties(50, 'Node').includes('owner'))
  assert.ok(!properties(49, 'NodeCreate').includes('owner') && properties(50, 'NodeCreate').includes('owner'))
  assert.ok(!properties(93, 'PortCreate').includes('node_ident') && properties(94, 'PortCreate').includes('node_ident'))
  assert.equal(documentAt(51).paths['/v1/allocations'], undefined)
  assert.deepEqual(Object.keys(documentAt(52).paths['/v1/allocations/{allocation_ident}'] ?? {}), ['get', 'delete'])
  assert.ok(documentAt(57).paths['/v1/allocations/{allocation_ident}']?.patch)
  const states = (version: number) => documentAt(version).components.schemas.Node?.properties?.provision_state?.enum
  assert.deepEqual(
    [states(1), states(1)].map(all => (all as unknown[]).includes(null)),
    [true, true],
  )
  assert.ok(!(states(38) as string[]).includes('inspect wait') && (states(39) as string[]).includes('inspect wait'))
  const text = (version: number, path: string, method: string) =>
    JSON.stringify(documentAt(version).paths[path]?.[method]?.requestBody)
  const verb = (version: number) => text(version, '/v1/nodes/{node_ident}/states/provision', 'put')
  assert.ok(!verb(86).includes('"service"') && verb(87).includes('"service"'))
  assert.ok(!verb(91).includes('"runbook"') && verb(92).includes('"runbook"'))
  const patched = (version: number) => text(version, '/v1/nodes/{node_ident}', 'patch')
  assert.ok(!patched(81).includes('|shard') && patched(82).includes('|shard'))
  const query = (version: number) => documentAt(version).paths['/v1/nodes']?.get?.parameters.map(one => one.name)
  assert.ok(!query(81)?.includes('shard') && query(82)?.includes('shard'))
  for (const { from } of endpoints) assert.ok(minorOf(from) <= maximum)
})

test('it is served for the newest version and for each that is named', async () => {
  await using api = await startApi()
  const version = async (query: string) => {
    const { json } = await api.call('GET', `/openapi.json${query}`, { version: null })
    return (json as { info: { version: string } }).info.version
  }
  assert.equal(await version(''), '1.115')
  assert.equal(await version('?microversion=latest'), '1.115')
  for (const minor of [1, 7, 50, 114, 50, 7]) assert.equal(await version(`?microversion=1.${minor}`), `1.${minor}`)
  for (const odd of ['1.116', '2.1', 'x', '']) {
    assert.equal((await api.call('GET', `/openapi.json?microversion=${odd}`)).status, 400, odd)
  }
})

test('security is that of the service', () => {
  const told = (auth: 'noauth' | 'http_basic' | 'keystone') => {
    const { security, components } = openapiDocument(endpoints, maximum, auth) as unknown as {
      security: object[]
      components: { securitySchemes: Record<string, { type: string }> }
    } // as the form says
    return [security, Object.values(components.securitySchemes).map(one => one.type)]
  }
  assert.deepEqual(told('noauth'), [[], []])
  assert.deepEqual(told('http_basic'), [[{ http_basic: [] }], ['http']])
  assert.deepEqual(told('keystone'), [[{ keystone: [] }], ['apiKey']])
})

test('every endpoint grants the request and gives the answer that the document tells of', async () => {
  await using api = await startApi()
  const furnished = await furnish(api)
  // Deletions come last, and of them the deeper ones first.
  const place = ({ method, path }: (typeof endpoints)[number]) => (method === 'DELETE' ? 1000 - path.length : 0)

  const failed: string[] = []
  for (const endpoint of endpoints.toSorted((a, b) => place(a) - place(b))) {
    if (refusing(endpoint.id)) continue
    const good = furnished.of(endpoint)
    const path = endpoint.path.replaceAll(/\{(\w+)\}/g, (_, name) => good?.params[name] ?? `no ${name}`)
    const url = good?.query === undefined ? path : `${path}?${good.query}`
    const options = good?.body === undefined ? {} : { body: good.body }
    const { status, fault } = await api.call(endpoint.method, url, options)
    if (status !== endpoint.status) failed.push(`${endpoint.id}: ${status} ${fault}`)
  }
  assert.deepEqual(failed, [])
})

test('what lists and shows fits the document of its version', { timeout: 120_000 }, async () => {
  await using api = await startApi()
  const furnished = await furnish(api)
  let granted = 0
  for (let minor = 1; minor <= maximum; minor += 1) {
    for (const endpoint of endpoints) {
      const { id, method } = endpoint
      const some = minor % 20 === 0 || minor === maximum || minor === minorOf(endpoint.from)
      if (method !== 'GET' || refusing(id) || !some || !offered(endpoint, minor)) continue
      const good = furnished.of(endpoint)
      const path = endpoint.path.replaceAll(
        /\{(\w+)\}/g,
        (_, name) => furnished.params[name.replace('_ident', '_uuid')] ?? good?.params[name] ?? '',
      )
      const { status } = await api.call('GET', good?.query === undefined ? path : `${path}?${good.query}`, {
        version: `1.${minor}`,
      })
      if (status === 200) granted += 1
    }
  }
  assert.ok(granted > 200, `only ${granted} answers were looked at`)
})
