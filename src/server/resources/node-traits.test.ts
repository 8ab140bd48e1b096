import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let node: string
before(async () => {
  api = await startApi()
  node = await api.node({ name: 'host' })
})
after(() => api[Symbol.asyncDispose]())

const path = '/v1/nodes/host/traits'
const traitsOf = async () => ((await api.call('GET', path)).json as { traits: string[] }).traits
const put = (traits: unknown, version = 'latest') => api.call('PUT', path, { body: { traits }, version })

test('traits are replaced, added one by one, and taken away; the node shows them', async () => {
  assert.deepEqual(await traitsOf(), [])
  assert.equal((await put(['HW_CPU_X86_VMX', 'CUSTOM_GOLD', 'CUSTOM_GOLD'])).status, 204)
  assert.deepEqual(await traitsOf(), ['CUSTOM_GOLD', 'HW_CPU_X86_VMX'])
  for (let time = 0; time < 2; time += 1) {
    const { status, headers } = await api.call('PUT', `${path}/CUSTOM_RAID`)
    assert.equal(status, 204)
    assert.equal(headers.get('location'), `${api.url}${path}/CUSTOM_RAID`)
  }
  const shown = (await api.call('GET', `/v1/nodes/${node}`)).json as { traits: string[] }
  assert.deepEqual(shown.traits, ['CUSTOM_GOLD', 'CUSTOM_RAID', 'HW_CPU_X86_VMX'])
  const listed = (await api.call('GET', '/v1/nodes?fields=traits')).json as { nodes: { traits: string[] }[] }
  assert.deepEqual(listed.nodes[0]?.traits, shown.traits)

  assert.equal((await api.call('DELETE', `${path}/CUSTOM_GOLD`)).status, 204)
  assert.equal((await api.call('DELETE', `${path}/CUSTOM_GOLD`)).status, 404)
  assert.equal((await api.call('DELETE', path)).status, 204)
  assert.deepEqual(await traitsOf(), [])
})

test('what is no trait, too many, or said twice is refused and changes nothing', async () => {
  const many = Array.from({ length: 50 }, (_, index) => `CUSTOM_T${index}`)
  assert.equal((await put(many)).status, 204)
  const before = await traitsOf()
  assert.equal((await put([...many, 'CUSTOM_MORE'])).status, 400)
  assert.equal((await api.call('PUT', `${path}/CUSTOM_MORE`)).status, 400)
  assert.equal((await put(['HW_NO_SUCH_THING'])).status, 400)
  assert.equal((await put(['custom_x'])).status, 400)
  assert.equal((await put(undefined)).status, 400)
  assert.equal((await put('CUSTOM_X')).status, 400)
  assert.equal((await api.call('PUT', `${path}/nope`)).status, 400)
  assert.equal((await api.call('PUT', `${path}/CUSTOM_T1`, { body: { traits: [] } })).status, 400)
  assert.equal((await api.call('PUT', `${path}/CUSTOM_T1`, { raw: 'null' })).status, 204)
  assert.deepEqual(await traitsOf(), before)
})

test('before 1.37 each method refuses in its own way', async () => {
  const version = '1.36'
  assert.equal((await api.call('GET', path, { version })).status, 406)
  assert.equal((await put([], version)).status, 405)
  assert.equal((await api.call('PUT', `${path}/CUSTOM_X`, { version })).status, 405)
  assert.equal((await api.call('DELETE', path, { version })).status, 404)
  assert.equal((await api.call('DELETE', `${path}/CUSTOM_X`, { version })).status, 404)
})

test('traits wait for whoever holds the node', async () => {
  await api.conductor.withNode(node, 'test', async () => {
    assert.equal((await put(['CUSTOM_LATE'])).status, 409)
  })
  assert.equal((await api.call('GET', '/v1/nodes/nobody/traits')).status, 404)
})
