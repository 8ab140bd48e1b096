import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let node: string
let last = 0
before(async () => {
  api = await startApi()
  node = await api.node({ name: 'host', shard: 'S1' })
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
type Made = Json & { uuid: string }
const nobody = '6d85703a-565d-469a-96ce-30b6de53079d'
const mac = () => {
  last += 1
  return `52:54:00:00:00:${last.toString(16).padStart(2, '0')}`
}
const create = (body: Json = {}, version = 'latest') =>
  api.call('POST', '/v1/portgroups', { body: { node_uuid: node, ...body }, version })
const made = async (body: Json = {}) => (await create(body)).json as Made
const addPort = (body: Json) => api.call('POST', '/v1/ports', { body: { node_uuid: node, address: mac(), ...body } })
const patch = (what: string, operations: Json[], version = 'latest') =>
  api.call('PATCH', `/v1/${what}`, { body: operations, version })
const listed = async (path: string) => {
  const [list] = Object.values((await api.call('GET', path)).json as Record<string, Made[]>)
  return list?.map(one => one.uuid)
}

test('a new portgroup has every field of its version, and the configured mode', async () => {
  const { status, json, headers } = await create({ name: 'bond0', address: '52:54:00:AA:00:01' })
  const one = json as Json
  assert.equal(status, 201)
  assert.equal(headers.get('location'), `${api.url}/v1/portgroups/${one.uuid}`)
  assert.equal(Object.keys(one).length, 16)
  assert.deepEqual(
    [one.mode, one.address, one.standalone_ports_supported, one.dynamic_portgroup],
    ['active-backup', '52:54:00:aa:00:01', true, false],
  )
  assert.deepEqual((await api.call('GET', '/v1/portgroups/bond0')).json, one)
  const older = (await api.call('GET', '/v1/portgroups/bond0', { version: '1.25' })).json as Json
  assert.equal('mode' in older || 'physical_network' in older, false)
})

const refused: [name: string, body: Json, status: number, version?: string][] = [
  ['without a node', { node_uuid: undefined }, 400],
  ['of an unknown node', { node_uuid: nobody }, 400],
  ['with the name of another', { name: 'bond0' }, 409],
  ['with the address of another', { address: '52:54:00:aa:00:01' }, 409],
  ['with blanks in its name', { name: 'a b' }, 400],
  ['with a UUID as its name', { name: nobody }, 400],
  ['with a mode below 1.26', { mode: '802.3ad' }, 406, '1.25'],
  ['with a category below 1.103', { category: 'x' }, 406, '1.102'],
  ['below 1.23', {}, 404, '1.22'],
  ['with a read-only field', { dynamic_portgroup: true }, 400],
]
for (const [name, body, status, version] of refused) {
  test(`a portgroup ${name} is refused with ${status}`, async () => {
    const reply = await create(body, version)
    assert.equal(reply.status, status, reply.fault)
  })
}

test('lists: filters one at a time, below the node by its name', async () => {
  const own = await api.node({ name: 'listed', shard: 'S2', conductor_group: 'g2' })
  const { uuid } = await made({ node_uuid: own, address: '52:54:00:aa:00:02' })
  for (const query of ['node=listed', 'address=52:54:00:AA:00:02', 'shard=s2', 'conductor_groups=g2']) {
    assert.deepEqual(await listed(`/v1/portgroups?${query}`), [uuid], query)
    assert.deepEqual(await listed(`/v1/portgroups/detail?${query}`), [uuid], query)
  }
  assert.deepEqual(await listed('/v1/nodes/listed/portgroups'), [uuid])
  assert.deepEqual(await listed('/v1/nodes/listed/portgroups/detail'), [uuid])
  assert.equal((await api.call('GET', '/v1/portgroups?node=listed&shard=s2')).status, 400)
  assert.equal((await api.call('GET', '/v1/portgroups?node=nobody')).status, 404)
  assert.equal((await api.call('GET', '/v1/portgroups?shard=s2', { version: '1.105' })).status, 406)
  assert.equal((await api.call('DELETE', `/v1/nodes/${own}`)).status, 204)
  assert.equal((await api.call('GET', `/v1/portgroups/${uuid}`)).status, 404, 'it goes with its node')
})

test('ports join a group of their node, are listed in it, and keep it alive', async () => {
  const { uuid } = await made({ name: 'bond1' })
  const port = (await addPort({ portgroup_uuid: uuid })).json as Made
  assert.equal(port.portgroup_uuid, uuid)
  for (const path of [
    '/v1/portgroups/bond1/ports',
    `/v1/portgroups/${uuid}/ports/detail`,
    '/v1/ports?portgroup=bond1',
  ]) {
    assert.deepEqual(await listed(path), [port.uuid], path)
  }
  assert.equal((await api.call('GET', '/v1/portgroups/bond9/ports')).status, 404)
  const other = await api.node()
  assert.equal((await addPort({ node_uuid: other, portgroup_uuid: uuid })).status, 400)
  assert.equal((await patch(`ports/${port.uuid}`, [{ op: 'add', path: '/node_uuid', value: other }])).status, 400)
  assert.equal((await patch('portgroups/bond1', [{ op: 'add', path: '/node_uuid', value: other }])).status, 400)
  assert.equal((await api.call('DELETE', '/v1/portgroups/bond1')).status, 400)
  assert.equal((await patch(`ports/${port.uuid}`, [{ op: 'remove', path: '/portgroup_uuid' }])).status, 200)
  assert.equal((await api.call('DELETE', '/v1/portgroups/bond1')).status, 204)
})

test('a group without standalone ports has none that boots from the network', async () => {
  const { uuid } = await made({ standalone_ports_supported: false })
  assert.equal((await addPort({ portgroup_uuid: uuid })).status, 409)
  const port = (await addPort({ portgroup_uuid: uuid, pxe_enabled: false })).json as Made
  assert.equal((await patch(`ports/${port.uuid}`, [{ op: 'add', path: '/pxe_enabled', value: true }])).status, 409)
  const group = await made()
  await addPort({ portgroup_uuid: group.uuid })
  const unset = [{ op: 'replace', path: '/standalone_ports_supported', value: false }]
  assert.equal((await patch(`portgroups/${group.uuid}`, unset)).status, 409)
})

test('the ports of a group are in one physical network, which the group sets', async () => {
  const { uuid } = await made()
  const first = (await addPort({ portgroup_uuid: uuid, physical_network: 'net1' })).json as Made
  assert.equal((await addPort({ portgroup_uuid: uuid, physical_network: 'net2' })).status, 409)
  const move = [{ op: 'add', path: '/physical_network', value: 'net3' }]
  assert.equal((await patch(`ports/${first.uuid}`, move)).status, 400)
  assert.equal((await patch(`portgroups/${uuid}`, move, '1.101')).status, 406)
  assert.equal((await patch(`portgroups/${uuid}`, move)).status, 200)
  const { physical_network } = (await api.call('GET', `/v1/ports/${first.uuid}`)).json as Json
  assert.equal(physical_network, 'net3')
})

test('patches: what may change, and when', async () => {
  const own = await api.node()
  const { uuid } = await made({ node_uuid: own })
  const status = async (operation: Json, version = 'latest') =>
    (await patch(`portgroups/${uuid}`, [operation], version)).status
  assert.equal(await status({ op: 'replace', path: '/mode', value: '802.3ad' }), 200)
  assert.equal(await status({ op: 'remove', path: '/mode' }), 400)
  assert.equal(await status({ op: 'add', path: '/properties/miimon', value: 100 }), 200)
  assert.equal(await status({ op: 'add', path: '/properties/miimon', value: 100 }, '1.25'), 406)
  assert.equal(await status({ op: 'add', path: '/internal_info/x', value: 1 }), 400)
  assert.equal(await status({ op: 'add', path: '/address', value: '52:54:00:AA:00:01' }), 409)
  await api.set(own, { provision_state: 'active' })
  assert.equal(await status({ op: 'add', path: '/node_uuid', value: node }), 409)
  await api.set(own, { provision_state: 'inspecting' })
  assert.equal(await status({ op: 'add', path: '/extra/a', value: 1 }), 409)
  assert.equal(await status({ op: 'add', path: '/extra/a', value: 1 }, '1.38'), 200)
  await api.set(own, { provision_state: 'manageable' })
  assert.equal(await status({ op: 'add', path: '/node_uuid', value: nobody }), 400)
  assert.equal(await status({ op: 'add', path: '/node_uuid', value: node }), 200)
})

test('a list makes as many statements for many as for one', async () => {
  const cost = () => api.statements(() => api.call('GET', '/v1/portgroups/detail?node=host'))
  const few = await cost()
  for (let more = 0; more < 5; more += 1) await made()
  assert.deepEqual([await cost(), few <= 3], [few, true])
})
