/** Resources of one endpoint, and paths that lead nowhere on purpose. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
  for (const shard of ['b', 'a', 'b', undefined]) await api.node(shard === undefined ? {} : { shard })
})
after(() => api[Symbol.asyncDispose]())

test('shards are counted; nodes without one are under a word', async () => {
  const { json } = await api.call('GET', '/v1/shards')
  const { shards } = json as { shards: { name: string; count: number }[] }
  assert.deepEqual(Object.fromEntries(shards.map(({ name, count }) => [name, count])), { None: 1, a: 1, b: 2 })
  assert.equal((await api.call('GET', '/v1/shards', { version: '1.81' })).status, 404)
  assert.equal((await api.call('GET', '/v1/shards/a')).status, 404)
  assert.equal((await api.call('GET', '/v1/shards?name=a')).status, 400)
})

test('events of a network service are taken when they are well-formed', async () => {
  const port_id = '6d85703a-565d-469a-96ce-30b6de53079d'
  const event = { event: 'network.bind_port', port_id, mac_address: '52:54:00:00:00:01', status: 'ACTIVE' }
  const post = async (events: unknown, version = 'latest') =>
    (await api.call('POST', '/v1/events', { body: { events }, version })).status
  assert.equal(await post([event, { ...event, device_id: null, 'binding:vnic_type': 'baremetal' }]), 204)
  assert.equal(await post([]), 400)
  assert.equal(await post([{ ...event, event: 'network.other' }]), 400)
  assert.equal(await post([{ ...event, mac_address: 'x' }]), 400)
  assert.equal(await post([{ ...event, extra: 1 }]), 400)
  assert.equal(await post([event], '1.53'), 404)
})

test('single things below a node have their place elsewhere', async () => {
  const node = await api.node()
  for (const [method, path, status] of [
    ['GET', 'ports/6d85703a-565d-469a-96ce-30b6de53079d', 400],
    ['PATCH', 'ports/6d85703a-565d-469a-96ce-30b6de53079d', 400],
    ['DELETE', 'portgroups/x', 400],
    ['GET', 'volume/connectors/x', 400],
    ['GET', 'portgroups/x/ports', 403],
    ['GET', 'ports/detail', 200],
    ['GET', 'nothing/x', 404],
  ] as const) {
    assert.equal((await api.call(method, `/v1/nodes/${node}/${path}`)).status, status, `${method} ${path}`)
  }
})
