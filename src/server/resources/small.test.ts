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

test('single things below a node have their place elsewhere, and so have writes', async () => {
  const node = await api.node()
  for (const [method, path, status] of [
    ['GET', 'nodes/N/ports/6d85703a-565d-469a-96ce-30b6de53079d', 400],
    ['PATCH', 'nodes/N/ports/6d85703a-565d-469a-96ce-30b6de53079d', 400],
    ['DELETE', 'nodes/N/portgroups/x', 400],
    ['GET', 'nodes/N/volume/connectors/x', 400],
    ['GET', 'nodes/N/portgroups/x/ports', 403],
    ['POST', 'nodes/N/ports', 400],
    ['POST', 'nodes/N/portgroups', 400],
    ['POST', 'nodes/N/volume/targets', 400],
    ['DELETE', 'nodes/N/ports', 400],
    ['POST', 'portgroups/x/ports', 400],
    ['DELETE', 'portgroups/x/ports/y', 400],
    ['POST', 'chassis/x/nodes', 400],
    ['GET', 'chassis/x/nodes/y/ports', 400],
    ['GET', 'nodes/N/ports/detail', 200],
    ['POST', 'nodes/N/volume', 405],
    ['POST', 'nodes/N/history', 405],
    ['POST', 'nodes/N/allocation', 405],
    ['POST', 'nodes/N', 405],
    ['GET', 'nodes/N/nothing/x', 404],
    ['POST', 'nodes/N/nothing', 404],
    ['GET', 'nodes/N/driver', 404],
    ['GET', 'shards/x', 404],
  ] as const) {
    assert.equal((await api.call(method, `/v1/${path.replace('N', node)}`)).status, status, `${method} ${path}`)
  }
  // Where nothing was yet, nothing is, whatever the method.
  assert.equal((await api.call('POST', `/v1/nodes/${node}/history`, { version: '1.77' })).status, 404)
})
