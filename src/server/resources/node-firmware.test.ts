import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
const at = '2026-11-21T05:47:09.128000+00:00'
before(async () => {
  api = await startApi()
  const node_uuid = await api.node({ name: 'n1' })
  await api.node({ name: 'bare' })
  const times = { created_at: at, updated_at: null }
  const limits = { lower_bound: null, upper_bound: null, min_length: null, max_length: null }
  await api.db
    .insertInto('bios_settings')
    .values([
      {
        ...{ node_uuid, ...times, ...limits, name: 'Virtualization', value: 'Enabled', attribute_type: 'Enumeration' },
        ...{ allowable_values: '["Enabled","Disabled"]', read_only: 0, reset_required: 1, unique: 0 },
      },
      {
        ...{ node_uuid, ...times, ...limits, name: 'Asset', value: null, attribute_type: null },
        ...{ allowable_values: 'null', read_only: null, reset_required: null, unique: null },
      },
    ])
    .execute()
  const versions = { initial_version: '1', current_version: '2', last_version_flashed: '2' }
  const maker = { vendor: 'ACME', model: null, serial_number: null }
  await api.db
    .insertInto('firmware_components')
    .values({ node_uuid, component: 'bmc', ...times, ...versions, ...maker })
    .execute()
})
after(() => api[Symbol.asyncDispose]())

const get = (path: string, version = 'latest') => api.call('GET', `/v1/nodes/${path}`, { version })
const keys = (json: unknown, list: string) => Object.keys((json as Record<string, object[]>)[list]?.[0] ?? {})

test('BIOS settings: short, in detail, chosen, one', async () => {
  const short = await get('n1/bios')
  assert.deepEqual(keys(short.json, 'bios'), ['name', 'value', 'created_at', 'updated_at', 'links'])
  assert.equal(keys((await get('n1/bios?detail=true')).json, 'bios').length, 14)
  assert.deepEqual(keys((await get('n1/bios?fields=attribute_type')).json, 'bios'), ['attribute_type', 'links'])
  assert.deepEqual((await get('bare/bios')).json, { bios: [] })
  const one = (await get('n1/bios/Virtualization')).json as Record<string, Record<string, unknown>>
  assert.deepEqual(Object.keys(one), ['Virtualization'])
  const { value, allowable_values, reset_required, unique } = one.Virtualization ?? {}
  assert.deepEqual(
    { value, allowable_values, reset_required, unique },
    { value: 'Enabled', allowable_values: ['Enabled', 'Disabled'], reset_required: true, unique: false },
  )
  const old = (await get('n1/bios/Virtualization', '1.73')).json as Record<string, object>
  assert.equal(Object.keys(old.Virtualization ?? {}).length, 5)
  for (const [path, status, version] of [
    ['n1/bios/None', 404],
    ['nobody/bios', 404],
    ['n1/bios?fields=name&detail=true', 400],
    ['n1/bios?fields=speed', 400],
    ['n1/bios?fields=name', 400, '1.73'],
    ['n1/bios?detail=true', 400, '1.73'],
    ['n1/bios', 404, '1.39'],
    ['n1/bios/Virtualization', 404, '1.39'],
  ] as const) {
    assert.equal((await get(path, version)).status, status, path)
  }
})

test('firmware components', async () => {
  assert.equal(keys((await get('n1/firmware')).json, 'firmware').length, 9)
  assert.equal(keys((await get('n1/firmware', '1.113')).json, 'firmware').length, 6)
  assert.deepEqual((await get('n1/firmware?fields=component,vendor')).json, {
    firmware: [{ component: 'bmc', vendor: 'ACME' }],
  })
  assert.deepEqual((await get('bare/firmware')).json, { firmware: [] })
  for (const [path, status, version] of [
    ['n1/firmware?fields=vendor', 400, '1.113'],
    ['n1/firmware?detail=true', 400],
    ['n1/firmware', 404, '1.85'],
  ] as const) {
    assert.equal((await get(path, version)).status, status, path)
  }
})
