import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { registerConductor } from '#db/conductors.ts'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
  await registerConductor(api.db, {
    hostname: 'dead',
    group: 'g',
    nowMs: Date.now() - 3_600_000,
    interfaces: [{ hardware_type: 'ghost', interface_type: 'power', interface_name: 'ghost', is_default: true }],
  })
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
const get = (path: string, version = 'latest') => api.call('GET', path, { version })
const named = (json: unknown) => (json as { drivers: Json[] }).drivers.map(one => one.name)

test('drivers are those of live conductors', async () => {
  assert.deepEqual(named((await get('/v1/drivers')).json), ['fake-hardware', 'redfish'])
  assert.deepEqual(named((await get('/v1/drivers?type=classic')).json), [])
  assert.equal((await get('/v1/drivers/ghost')).status, 404)
  assert.equal((await get('/v1/drivers?type=other')).status, 400)
  assert.equal((await get('/v1/drivers?type=dynamic', '1.29')).status, 406)
})

test('a driver shows what the version knows', async () => {
  const keys = async (version: string) => Object.keys((await get('/v1/drivers/redfish', version)).json as object)
  assert.deepEqual(await keys('1.1'), ['name', 'hosts', 'links'])
  assert.ok((await keys('1.14')).includes('properties'))
  assert.ok((await keys('1.30')).includes('enabled_network_interfaces'))
  assert.ok(!(await keys('1.39')).includes('default_bios_interface'))
  assert.equal((await keys('1.86')).length, 31)
  const { enabled_boot_interfaces, default_boot_interface } = (await get('/v1/drivers/fake-hardware')).json as Json
  assert.deepEqual([enabled_boot_interfaces, default_boot_interface], [['fake', 'ipxe'], 'fake'])
})

test('fields of drivers', async () => {
  assert.deepEqual(Object.keys((await get('/v1/drivers/redfish?fields=name')).json as object), ['name', 'links'])
  assert.equal((await get('/v1/drivers?fields=name', '1.76')).status, 406)
  assert.equal((await get('/v1/drivers?fields=nope')).status, 400)
  assert.equal((await get('/v1/drivers?fields=name&detail=true')).status, 400)
})

test('properties describe the settings', async () => {
  assert.deepEqual((await get('/v1/drivers/redfish/properties')).json, { redfish_address: 'URL of the BMC. Required.' })
})

test('conductors: short, full, one, pages', async () => {
  const list = async (query: string) =>
    (await get(`/v1/conductors${query}`)).json as { conductors: Json[]; next?: string }
  const { conductors } = await list('')
  assert.deepEqual(
    conductors.map(one => [one.hostname, one.alive]),
    [
      ['dead', false],
      ['host-1', true],
    ],
  )
  assert.deepEqual(Object.keys(conductors[0] ?? {}), ['hostname', 'conductor_group', 'alive', 'links'])
  assert.deepEqual((await list('?detail=true')).conductors[1]?.drivers, ['fake-hardware', 'redfish'])
  const first = await list('?limit=1&sort_dir=desc')
  assert.equal(first.conductors[0]?.hostname, 'host-1')
  assert.equal((await list(first.next?.slice(`${api.url}/v1/conductors`.length) ?? '')).conductors[0]?.hostname, 'dead')
  assert.equal((await get('/v1/conductors?marker=nobody')).status, 404)
  assert.equal((await get('/v1/conductors?sort_key=alive')).status, 400)
  assert.deepEqual(Object.keys((await get('/v1/conductors/host-1?fields=alive')).json as object), ['alive', 'links'])
  assert.equal((await get('/v1/conductors/nobody')).status, 404)
})

test('properties are told by query too', async () => {
  const asked = await api.call('GET', '/v1/drivers/properties?driver_name=redfish')
  assert.deepEqual(asked.json, (await api.call('GET', '/v1/drivers/redfish/properties')).json)
  assert.equal((await api.call('GET', '/v1/drivers/properties')).status, 400)
  assert.equal((await api.call('GET', '/v1/drivers/properties?driver_name=nope')).status, 404)
})
