import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from '../test-api.ts'

test('a ramdisk of old posts to the endpoint of the inspector, without a version', async () => {
  await using api = await startApi()
  const mac = '52:54:00:00:00:01'
  const uuid = await api.node()
  await api.call('POST', '/v1/ports', { body: { address: mac, node_uuid: uuid } })
  await api.set(uuid, { provision_state: 'inspect wait' })
  const post = (body: unknown) => api.call('POST', '/v1/continue', { version: null, body })
  const found = await post({ inventory: { interfaces: [{ mac_address: mac }] }, root_disk: {} })
  assert.deepEqual([found.status, found.json], [200, { uuid }])
  const unknown = { inventory: { interfaces: [{ mac_address: '52:54:00:00:00:02' }] } }
  assert.equal((await post(unknown)).status, 404)
  assert.equal((await post({ interfaces: {} })).status, 400)
  assert.equal((await post('text')).status, 400)
})

test('it is closed with the other endpoints of ramdisks', async () => {
  await using api = await startApi({ api: { enable_ramdisk_endpoints: false } })
  const body = { inventory: { interfaces: [{ mac_address: '52:54:00:00:00:01' }] } }
  assert.equal((await api.call('POST', '/v1/continue', { version: null, body })).status, 403)
})
