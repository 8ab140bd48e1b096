import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let node: string
const ports: string[] = []
before(async () => {
  api = await startApi()
  node = await api.node({ name: 'n1', network_interface: 'flat' })
  for (const [index, pxe_enabled] of [false, true].entries()) {
    const body = { node_uuid: node, address: `52:54:00:00:00:0${index}`, pxe_enabled }
    ports.push(((await api.call('POST', '/v1/ports', { body })).json as { uuid: string }).uuid)
  }
})
after(() => api[Symbol.asyncDispose]())

const path = '/v1/nodes/n1/vifs'
const attach = async (body: unknown) => (await api.call('POST', path, { body })).status
const detach = async (vif: string) => (await api.call('DELETE', `${path}/${vif}`)).status
const listed = async () => (await api.call('GET', path)).json
const infoOf = async (port: string | undefined) =>
  ((await api.call('GET', `/v1/ports/${port}`)).json as { internal_info: unknown }).internal_info

test('a VIF goes to a free port, one that boots from the network first, and off again', async () => {
  assert.equal(await attach({ id: 'vif-a', whatever: 1 }), 204)
  assert.deepEqual(await infoOf(ports[1]), { tenant_vif_port_id: 'vif-a' })
  assert.equal(await attach({ id: 'vif-a' }), 409, 'twice')
  assert.equal(await attach({ id: 'vif-b', port_uuid: ports[1] }), 400, 'that port is taken')
  assert.equal(await attach({ id: 'vif-b', port_uuid: ports[0] }), 204)
  assert.equal(await attach({ id: 'vif-c' }), 400, 'no port is free')
  assert.deepEqual(await listed(), { vifs: [{ id: 'vif-b' }, { id: 'vif-a' }] })
  assert.equal(await detach('vif-c'), 400)
  assert.equal(await detach('vif-b'), 204)
  assert.deepEqual(await infoOf(ports[0]), {})
  assert.deepEqual(await listed(), { vifs: [{ id: 'vif-a' }] })
})

test('what is malformed or too old is refused', async () => {
  for (const body of [{}, [], { id: 7 }, { id: '' }, { id: 'a b' }, { id: 'x', port_uuid: 'y' }]) {
    assert.equal(await attach(body), 400, JSON.stringify(body))
  }
  assert.equal(await attach({ id: 'x', port_uuid: ports[0], portgroup_uuid: ports[0] }), 400)
  assert.equal(await attach({ id: 'x', portgroup_uuid: ports[0] }), 400)
  for (const [method, below] of [
    ['GET', path],
    ['POST', path],
    ['DELETE', `${path}/x`],
  ] as const) {
    assert.equal((await api.call(method, below, { version: '1.27' })).status, 404)
  }
})

test('a port keeps its VIF: it can be deleted in maintenance only', async () => {
  assert.equal((await api.call('DELETE', `/v1/ports/${ports[1]}`)).status, 409)
  await api.set(node, { maintenance: true })
  assert.equal((await api.call('DELETE', `/v1/ports/${ports[1]}`)).status, 204)
})

test('the noop network interface takes every VIF and remembers none', async () => {
  const noop = await api.node()
  const call = (method: string, part: string, body?: unknown) =>
    api.call(method, `/v1/nodes/${noop}/vifs${part}`, { body })
  assert.equal((await call('POST', '', { id: 'x' })).status, 204)
  assert.deepEqual((await call('GET', '')).json, { vifs: [] })
  assert.equal((await call('DELETE', '/x')).status, 204)
})
