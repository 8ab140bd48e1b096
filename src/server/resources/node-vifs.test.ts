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

test('a portgroup is one place, before ports; a VIF on one of its ports leaves the others', async () => {
  const host = await api.node({ network_interface: 'flat' })
  const made = async (kind: string, body: object) =>
    ((await api.call('POST', `/v1/${kind}`, { body: { node_uuid: host, ...body } })).json as { uuid: string }).uuid
  const bond = await made('portgroups', { name: 'bond' })
  const empty = await made('portgroups', { name: 'empty' })
  await made('ports', { address: '52:54:00:00:01:00' })
  const members = [
    await made('ports', { address: '52:54:00:00:01:01', portgroup_uuid: bond }),
    await made('ports', { address: '52:54:00:00:01:02', portgroup_uuid: bond }),
  ]
  const vifs = `/v1/nodes/${host}/vifs`
  const put = async (body: object) => (await api.call('POST', vifs, { body })).status
  assert.equal(await put({ id: 'v', portgroup_uuid: empty }), 400, 'nothing in it')
  assert.equal(await put({ id: 'v', port_uuid: members[0] }), 400, 'a member of a whole group')
  assert.equal(await put({ id: 'v' }), 204)
  const info = async () =>
    ((await api.call('GET', '/v1/portgroups/bond')).json as { internal_info: object }).internal_info
  assert.deepEqual(await info(), { tenant_vif_port_id: 'v' })
  assert.equal(await put({ id: 'v' }), 409)
  assert.deepEqual((await api.call('GET', vifs)).json, { vifs: [{ id: 'v' }] })
  assert.equal((await api.call('DELETE', `${vifs}/v`)).status, 204)
  assert.deepEqual(await info(), {})
  assert.equal(await put({ id: 'w', portgroup_uuid: bond }), 204)

  // One that had its VIF before it joined.
  const split = await made('portgroups', { name: 'split' })
  const alone = await made('ports', { address: '52:54:00:00:01:03' })
  assert.equal(await put({ id: 'x', port_uuid: alone }), 204)
  await api.call('PATCH', `/v1/ports/${alone}`, { body: [{ op: 'add', path: '/portgroup_uuid', value: split }] })
  const beside = await made('ports', { address: '52:54:00:00:01:04', portgroup_uuid: split })
  assert.equal(await put({ id: 'y', portgroup_uuid: split }), 400)
  assert.equal(await put({ id: 'y', port_uuid: beside }), 204)
})

test('the noop network interface takes every VIF and remembers none', async () => {
  const noop = await api.node()
  const call = (method: string, part: string, body?: unknown) =>
    api.call(method, `/v1/nodes/${noop}/vifs${part}`, { body })
  assert.equal((await call('POST', '', { id: 'x' })).status, 204)
  assert.deepEqual((await call('GET', '')).json, { vifs: [] })
  assert.equal((await call('DELETE', '/x')).status, 204)
})
