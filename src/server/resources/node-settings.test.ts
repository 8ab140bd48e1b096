import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

type Json = Record<string, unknown>

let api: TestApi
let node: string
before(async () => {
  api = await startApi()
  node = await api.node({ name: 'n1', raid_interface: 'fake', console_interface: 'fake' })
  await api.node({ name: 'plain', driver: 'redfish' })
  await api.node({ name: 'bare' })
})
after(() => api[Symbol.asyncDispose]())

const put = (path: string, body: unknown, version = 'latest') => api.call('PUT', `/v1/nodes/${path}`, { body, version })
const status = async (path: string, body: unknown, version?: string) => (await put(path, body, version)).status
const states = async () => (await api.call('GET', '/v1/nodes/n1/states')).json as Json

test('the wanted RAID is checked and stored', async () => {
  const disk = { raid_level: '1', size_gb: 100 }
  const set = (...logical_disks: unknown[]) => status('n1/states/raid', { logical_disks })
  assert.equal(await set({ ...disk, is_root_volume: true }, { ...disk, size_gb: 'MAX' }), 204)
  assert.deepEqual((await states()).target_raid_config, {
    logical_disks: [
      { ...disk, is_root_volume: true },
      { ...disk, size_gb: 'MAX' },
    ],
  })
  assert.equal(await set({ ...disk, controller: 'software', physical_disks: ['a', 'b'] }), 204)
  for (const wrong of [
    [],
    [{ size_gb: 100 }],
    [{ ...disk, raid_level: '7' }],
    [{ ...disk, size_gb: 'ALL' }],
    [{ ...disk, size_gb: -1 }],
    [{ ...disk, speed: 1 }],
    [{ ...disk, physical_disks: ['a'] }],
    [{ ...disk, controller: 'software', physical_disks: [{ size: 1 }] }],
    [
      { ...disk, is_root_volume: true },
      { ...disk, is_root_volume: true },
    ],
  ]) {
    assert.equal(await set(...wrong), 400, JSON.stringify(wrong))
  }
  assert.equal(await status('n1/states/raid', { other: 1 }), 400)
  assert.equal(await status('n1/states/raid', {}), 204)
  assert.deepEqual((await states()).target_raid_config, {})
  assert.equal(await status('bare/states/raid', {}), 404, 'no-raid')
  assert.equal(await status('n1/states/raid', {}, '1.11'), 406)
})

test('drivers with RAID tell what may be said of a disk', async () => {
  const get = (driver: string, version = 'latest') =>
    api.call('GET', `/v1/drivers/${driver}/raid/logical_disk_properties`, { version })
  const { json } = await get('redfish')
  assert.equal(Object.keys(json as Json).length, 10)
  assert.match(String((json as Json).raid_level), /1\+0/)
  assert.equal((await get('fake-hardware')).status, 404)
  assert.equal((await get('nobody')).status, 404)
  assert.equal((await get('redfish', '1.11')).status, 406)
})

test('boot mode and secure boot are taken on while the node rests', async () => {
  const reply = await put('n1/states/boot_mode', { target: 'uefi' })
  assert.deepEqual([reply.status, reply.headers.get('location')], [202, `${api.url}/v1/nodes/n1/states`])
  assert.equal(await status('n1/states/secure_boot', { target: 'yes' }), 202)
  const { boot_mode, secure_boot } = await states()
  assert.deepEqual([boot_mode, secure_boot], ['uefi', true])
  assert.equal(await status('n1/states/boot_mode', { target: 'legacy' }), 400)
  assert.equal(await status('n1/states/boot_mode', {}), 400)
  assert.equal(await status('n1/states/secure_boot', { target: 'maybe' }), 400)
  assert.equal(await status('plain/states/secure_boot', { target: true }), 400, 'not supported')
  await api.set(node, { provision_state: 'clean wait' })
  assert.equal(await status('n1/states/boot_mode', { target: 'bios' }), 409)
  assert.equal(await status('n1/states/secure_boot', { target: false }), 409)
  await api.set(node, { provision_state: 'clean failed' })
  assert.equal(await status('n1/states/boot_mode', { target: 'bios' }), 202)
  assert.equal(await status('n1/states/boot_mode', { target: 'bios' }, '1.75'), 404)
  assert.equal(await status('n1/states/secure_boot', { target: false }, '1.75'), 404)
})

test('the console is switched on and off, where there is one', async () => {
  const get = async (name: string) => api.call('GET', `/v1/nodes/${name}/states/console`)
  assert.deepEqual((await get('n1')).json, { console_enabled: false, console_info: null })
  const reply = await put('n1/states/console', { enabled: true })
  assert.deepEqual([reply.status, reply.headers.get('location')], [202, `${api.url}/v1/nodes/n1/states/console`])
  const on = (await get('n1')).json as Json
  assert.equal(on.console_enabled, true)
  assert.deepEqual(Object.keys(on.console_info as Json), ['type', 'url'])
  assert.equal(await status('n1/states/console', { enabled: 'off' }), 202)
  assert.equal((await states()).console_enabled, false)
  assert.equal(await status('n1/states/console', {}), 400)
  assert.equal((await get('bare')).status, 400)
  assert.equal(await status('bare/states/console', { enabled: true }), 400)
})
