import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { selfSigned } from '#lib/x509.ts'
import { Api, ApiError, type ApiSettings } from './client.ts'
import { type FakeApi, startFakeApi } from './fake-api.ts'
import { Unreachable } from './http.ts'

let fake: FakeApi
let notices: string[] = []
let slept: number[] = []

before(async () => {
  fake = await startFakeApi()
})
after(async () => await fake.close())
beforeEach(() => {
  fake.clear()
  notices = []
  slept = []
})

function client(changes: Partial<ApiSettings> = {}): Api {
  return new Api({
    endpoint: fake.url,
    version: 'latest',
    headers: {},
    timeoutMs: 5000,
    maxRetries: 5,
    retryIntervalMs: 2000,
    tls: {},
    sleep: async ms => void slept.push(ms),
    notice: text => void notices.push(text),
    ...changes,
  })
}

async function refusal(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof ApiError, String(error))
  return error
}

test('an older service is asked again with its own newest version, once', async () => {
  fake.maximum = '1.81'
  const api = client()
  await api.list('/v1/nodes', 'nodes', { query: {}, limit: undefined })
  await api.list('/v1/nodes', 'nodes', { query: {}, limit: undefined })
  assert.equal(fake.requests.length, 3)
})

test('a version the user fixed is not lowered, and the error says what there is', async () => {
  fake.maximum = '1.81'
  const error = await refusal(client({ version: '1.95' }).get('/v1/nodes'))
  assert.equal(error.status, 406)
  assert.match(error.message, /; asked with 1\.95, the service speaks 1\.1 to 1\.81$/)
  assert.equal(fake.requests.length, 1)
})

test('a 406 for another reason ends the call', async () => {
  fake.before.push({ status: 406, message: 'field shard needs 1.82' })
  assert.match((await refusal(client().get('/v1/nodes'))).message, /field shard needs 1\.82/)
})

test('conflicts and a busy service are tried again', async () => {
  await client().create('/v1/nodes', { driver: 'redfish', name: 'n1' })
  fake.before.push({ status: 409, message: 'Node n1 is locked by host-1' }, { status: 503, message: 'no worker' })
  await client().put('/v1/nodes/n1/states/power', { target: 'power on' })
  assert.deepEqual(slept, [2000, 2000])
  assert.deepEqual(notices, [
    'Node n1 is locked by host-1',
    'Trying again in 2 s (1 of 5).',
    'Trying again in 2 s (2 of 5).',
  ])
})

test('tries end', async () => {
  await client().create('/v1/nodes', { driver: 'redfish', name: 'n1' })
  for (let n = 0; n < 3; n++) fake.before.push({ status: 409, message: 'locked' })
  const error = await refusal(client({ maxRetries: 2 }).delete('/v1/nodes/n1'))
  assert.equal(error.status, 409)
  assert.match(error.requestId ?? '', /^req-/)
  assert.equal(slept.length, 2)
})

test('a duplicate is not tried again', async () => {
  fake.before.push({ status: 409, message: 'duplicate' })
  await refusal(client().create('/v1/nodes', { driver: 'redfish' }))
  assert.deepEqual(slept, [])
})

test('pages are followed to the limit, to the end with 0, and announced without a limit', async () => {
  for (let n = 0; n < 7; n++) await client().create('/v1/nodes', { driver: 'redfish', name: `n${n}` })
  const names = async (limit: number | undefined) =>
    (await client().list('/v1/nodes', 'nodes', { query: {}, limit })).map(({ name }) => name).join(' ')
  assert.equal(await names(5), 'n0 n1 n2 n3 n4')
  assert.equal(await names(0), 'n0 n1 n2 n3 n4 n5 n6')
  assert.equal(await names(2), 'n0 n1')
  assert.equal(await names(undefined), 'n0 n1 n2')
  assert.deepEqual(notices, ['The service listed the first 3 only; --limit 0 shows all.'])
})

test('an endpoint may end in /v1 and have a path before it', async () => {
  await client({ endpoint: `${fake.url}/v1/` }).get('/v1/nodes')
  assert.equal(fake.requests.at(-1), 'GET /v1/nodes')
  await refusal(client({ endpoint: `${fake.url}/baremetal/` }).get('/v1/nodes'))
  assert.equal(fake.requests.at(-1), 'GET /baremetal/v1/nodes')
})

test('a refused connection is tried again, then told with what to do', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  await assert.rejects(
    client({ endpoint: `http://127.0.0.1:${port}`, maxRetries: 1 }).get('/v1/nodes'),
    (error: unknown) =>
      error instanceof Unreachable && /connection refused\. Start the service with "ferrite serve"/.test(error.message),
  )
  assert.equal(slept.length, 1)
})

test('silence ends after the timeout', async () => {
  const server = createServer(() => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await assert.rejects(
    client({ endpoint: `http://127.0.0.1:${port}`, timeoutMs: 50 }).get('/v1/nodes'),
    /Cannot reach the bare metal API at .*: no answer within 0\.05 s/,
  )
  server.closeAllConnections()
  server.close()
})

test('an answer that is no JSON is called so', async () => {
  const server = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<html>'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await assert.rejects(
    client({ endpoint: `http://127.0.0.1:${port}` }).get('/v1/nodes'),
    /expected JSON, found text\/html/,
  )
  server.closeAllConnections()
  server.close()
})

test('TLS: an unknown certificate is refused unless trusted or --insecure', async () => {
  const { certPem, keyPem } = selfSigned({
    commonName: 'api',
    ipAddresses: ['127.0.0.1'],
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
  })
  const server = createTlsServer({ cert: certPem, key: keyPem }, (_, response) => response.end('{"nodes": []}'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const endpoint = `https://127.0.0.1:${port}`
  await assert.rejects(client({ endpoint }).get('/v1/nodes'), /certificate is self-signed.*--os-cacert/)
  assert.deepEqual(await client({ endpoint, tls: { ca: certPem } }).get('/v1/nodes'), { nodes: [] })
  assert.deepEqual(await client({ endpoint, tls: { insecure: true } }).get('/v1/nodes'), { nodes: [] })
  server.closeAllConnections()
  server.close()
})

test('error texts are found in every form of body', async () => {
  const bodies: [body: string, text: string][] = [
    ['{"error_message": "{\\"faultstring\\": \\"a\\"}"}', 'a'],
    ['{"error_message": "{\\"description\\": \\"b\\", \\"title\\": \\"t\\"}"}', 'b'],
    ['{"error_message": {"faultstring": "c"}}', 'c'],
    ['{"error_message": "plain"}', 'plain'],
    ['{"error": {"message": "d", "code": 401}}', 'd'],
    ['{"faultstring": "e"}', 'e'],
    ['Bad Gateway', 'The service answered HTTP 418 without saying why'],
  ]
  for (const [body, text] of bodies) {
    const server = createServer((_, response) => response.writeHead(418).end(body))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    assert.equal((await refusal(client({ endpoint: `http://127.0.0.1:${port}` }).get('/v1'))).message, text)
    server.closeAllConnections()
    server.close()
  }
})
