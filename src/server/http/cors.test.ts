import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

const origin = 'https://dashboard.example.org'
let api: TestApi
before(async () => {
  api = await startApi({ cors: { allowed_origin: [origin] } })
})
after(() => api[Symbol.asyncDispose]())

async function ask(headers: Record<string, string>, method = 'OPTIONS', at = api): Promise<Response> {
  const response = await fetch(`${at.url}/v1/nodes`, { method, headers })
  await response.arrayBuffer()
  return response
}
const allowed = (response: Response) => response.headers.get('access-control-allow-origin')

test('a page of a listed origin may call, and read the versions', async () => {
  const response = await ask({ Origin: origin }, 'GET')
  assert.equal(response.status, 200)
  assert.equal(allowed(response), origin)
  assert.equal(response.headers.get('access-control-allow-credentials'), 'true')
  assert.match(response.headers.get('access-control-expose-headers') ?? '', /X-OpenStack-Ironic-API-Version/)
  assert.equal(response.headers.get('vary'), 'Origin')
})

test('it reads errors too', async () => {
  const response = await fetch(`${api.url}/v1/nothing`, { headers: { Origin: origin } })
  assert.deepEqual([response.status, allowed(response)], [404, origin])
  await response.arrayBuffer()
})

test('another origin is answered without the headers that let its pages read', async () => {
  const response = await ask({ Origin: 'https://elsewhere.example.org' }, 'GET')
  assert.deepEqual([response.status, allowed(response)], [200, null])
})

const question = {
  Origin: origin,
  'Access-Control-Request-Method': 'PATCH',
  'Access-Control-Request-Headers': 'X-Auth-Token, X-OpenStack-Ironic-API-Version, content-type',
}

test('the question before a request is answered as the options say', async () => {
  const response = await ask(question)
  assert.equal(response.status, 200)
  assert.equal(allowed(response), origin)
  assert.equal(response.headers.get('access-control-allow-methods'), 'PATCH')
  assert.equal(response.headers.get('access-control-max-age'), '3600')
  const headers = 'X-Auth-Token,X-OpenStack-Ironic-API-Version,content-type'
  assert.equal(response.headers.get('access-control-allow-headers'), headers)
})

const refused: [why: string, change: Record<string, string>][] = [
  ['an origin that is not listed', { Origin: 'null' }],
  ['a method that is not', { 'Access-Control-Request-Method': 'TRACE' }],
  ['a header that is not', { 'Access-Control-Request-Headers': 'X-Other' }],
]
for (const [why, change] of refused) {
  test(`the question is answered with no permission for ${why}`, async () => {
    const response = await ask({ ...question, ...change })
    assert.deepEqual([response.status, allowed(response)], [200, null])
  })
}

test('without origins there is no word of it, and with * any origin may', async () => {
  await using silent = await startApi()
  const response = await ask(question, 'OPTIONS', silent)
  assert.deepEqual([response.status, allowed(response), response.headers.get('vary')], [200, null, null])
  await using open = await startApi({ cors: { allowed_origin: ['*'] } })
  assert.equal(allowed(await ask({ Origin: 'https://any.example.org' }, 'GET', open)), '*')
})
