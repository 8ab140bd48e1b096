import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
beforeEach(async () => {
  api = await startApi()
})
afterEach(() => api[Symbol.asyncDispose]())

const at = '2024-02-03T04:05:06+00:00'
const uuid = '0d3a4c1e-6f2b-4a53-9a35-2f5a5c7a0001'
const instance = '0d3a4c1e-6f2b-4a53-9a35-2f5a5c7a0002'
const group = '0d3a4c1e-6f2b-4a53-9a35-2f5a5c7a0003'
const node = {
  ...{ uuid, name: 'old-1', driver: 'fake-hardware', created_at: at, updated_at: at, provision_updated_at: at },
  ...{ provision_state: 'active', power_state: 'power on', instance_uuid: instance, maintenance: true },
  ...{ maintenance_reason: 'disk', fault: null, driver_info: { fake_password: 'hidden' }, traits: ['CUSTOM_A'] },
  ...{ instance_info: { image_source: 'http://images.example/a' }, protected: true, protected_reason: 'prod' },
}
const takeover = {
  node,
  portgroups: [{ uuid: group, created_at: at, name: 'bond', mode: '802.3ad' }],
  ports: [
    {
      ...{ uuid: '0d3a4c1e-6f2b-4a53-9a35-2f5a5c7a0004', created_at: at, address: '52:54:00:00:00:99' },
      ...{ portgroup_uuid: group, internal_info: { tenant_vif_port_id: 'vif' } },
    },
  ],
  volume_targets: [
    {
      ...{ uuid: '0d3a4c1e-6f2b-4a53-9a35-2f5a5c7a0005', created_at: at, volume_type: 'iscsi' },
      ...{ boot_index: 0, volume_id: 'v', properties: { target_lun: 1 } },
    },
  ],
  allocation: { uuid: instance, created_at: at, resource_class: 'metal', name: 'wish' },
  bios: [{ name: 'BootMode', value: 'Uefi', created_at: at }],
  inventory: { inventory: { cpu: { count: 4 } }, plugin_data: {} },
}

const take = (body: unknown, query = '') => api.call('POST', `/v1/takeover${query}`, { body })
const get = async (path: string) => (await api.call('GET', path)).json as Record<string, unknown> // checked by its schema

test('a node comes with its state, times and all that hangs on it', async () => {
  const taken = await take(takeover)
  assert.equal(taken.status, 200, taken.fault)
  const shown = await get(`/v1/nodes/${uuid}`)
  const { driver_info: _, ...plain } = node
  for (const [name, value] of Object.entries(plain)) assert.deepEqual(shown[name], value, name)
  assert.equal(shown.allocation_uuid, instance)
  assert.deepEqual(shown.driver_info, { fake_password: '******' })
  const { ports } = (await get(`/v1/nodes/${uuid}/ports?detail=true`)) as { ports: Record<string, unknown>[] }
  assert.deepEqual(
    ports.map(one => [one.address, one.portgroup_uuid, one.internal_info]),
    [['52:54:00:00:00:99', group, { tenant_vif_port_id: 'vif' }]],
  )
  assert.equal((await get(`/v1/nodes/${uuid}/bios/BootMode`)).status, undefined)
  assert.deepEqual(await get(`/v1/nodes/${uuid}/inventory`), takeover.inventory)
  assert.deepEqual(api.conductor.told.ports.at(-1), [uuid, ['52:54:00:00:00:99']], 'boot files and DHCP follow')
  assert.deepEqual(api.conductor.told.provisioned, [], 'no verb was started')
})

test('a node that is there already is left alone, and nothing of a refused one stays', async () => {
  assert.equal((await take(takeover)).status, 200)
  const again = await take(takeover)
  assert.equal(again.status, 409)
  assert.match(again.fault, /already exists/)

  const other = '0d3a4c1e-6f2b-4a53-9a35-2f5a5c7a0006'
  const clashing = {
    node: { ...node, uuid: other, name: 'old-2', instance_uuid: null },
    ports: [{ ...takeover.ports[0], uuid: '0d3a4c1e-6f2b-4a53-9a35-2f5a5c7a0007', portgroup_uuid: null }],
  }
  const refused = await take(clashing)
  assert.equal(refused.status, 409)
  assert.match(refused.fault, /52:54:00:00:00:99/)
  assert.equal((await api.call('GET', `/v1/nodes/${other}`)).status, 404)
})

test('looking whether it could be taken changes nothing', async () => {
  assert.equal((await take(takeover, '?check=true')).status, 200)
  assert.equal((await api.call('GET', `/v1/nodes/${uuid}`)).status, 404)
})

const refusals: readonly [string, Record<string, unknown>, RegExp][] = [
  ['something is under way', { provision_state: 'deploying' }, /state "deploying", expected one in which nothing/],
  ['somebody works on it', { reservation: 'host-9' }, /reservation is "host-9"/],
  ['a secret is masked', { driver_info: { a: { b: '******' } } }, /driver_info\.a\.b hold asterisks/],
  ['a secret inside a text is masked', { driver_internal_info: { x: 'token=****** y' } }, /driver_internal_info\.x/],
  ['nobody knows the driver', { driver: 'ilo' }, /ilo/],
  ['nobody knows an interface', { power_interface: 'ilo' }, /ilo/],
  ['its chassis is missing', { chassis_uuid: group }, /chassis/],
  ['its parent is missing', { parent_node: group }, /parent .* not here/],
  ['its allocation is not its instance', { instance_uuid: group }, /not its instance/],
]
for (const [why, changed, message] of refusals) {
  test(`a node is refused when ${why}`, async () => {
    const { status, fault } = await take({ ...takeover, node: { ...node, ...changed } })
    assert.equal(status, 400, fault)
    assert.match(fault, message)
    assert.equal((await api.call('GET', `/v1/nodes/${uuid}`)).status, 404)
  })
}
