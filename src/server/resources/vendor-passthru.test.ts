/** Vendor methods of a node that has some; those without are in unsupported.test.ts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
  await api.node({ name: 'n1', driver: 'fake-hardware', vendor_interface: 'fake' })
})
after(() => api[Symbol.asyncDispose]())

const path = '/v1/nodes/n1/vendor_passthru'

test('they are listed', async () => {
  const { json } = await api.call('GET', `${path}/methods`)
  assert.deepEqual(Object.keys(json as object), ['echo', 'ring'])
  const { ring } = json as Record<string, unknown>
  const told = { attach: false, require_exclusive_lock: true, description: 'for tests' }
  assert.deepEqual(ring, { http_methods: ['POST'], async: true, ...told })
})

test('a call with a result is answered with it, one without by 202 alone', async () => {
  const body = { raw_bytes: '0x06 0x01', deep: { a: [1] } }
  const echoed = await api.call('POST', `${path}/echo`, { body })
  assert.deepEqual([echoed.status, echoed.json], [200, body])
  const byQuery = await api.call('POST', `${path}?method=echo`, { body })
  assert.deepEqual([byQuery.status, byQuery.json], [200, body])
  const read = await api.call('GET', `${path}/echo`)
  assert.deepEqual([read.status, read.json], [200, {}])
  const rung = await api.call('POST', `${path}/ring`, { body: {} })
  assert.equal(rung.status, 202)
  assert.equal(rung.json, undefined)
})

test('what is no call of a method is refused', async () => {
  const refused = async (method: string, to: string, said: RegExp, body?: unknown) => {
    const { status, fault } = await api.call(method, to, body === undefined ? {} : { body })
    assert.equal(status, 400, to)
    assert.match(fault, said)
  }
  await refused('GET', `${path}/ring`, /no vendor method "ring"/)
  await refused('POST', `${path}/toString`, /no vendor method "toString"/, {})
  await refused('POST', `${path}/echo`, /the body is no object/, [1])
  await refused('POST', path, /expected a method in the path or the query/, {})
})
