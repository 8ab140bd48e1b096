import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { after, before, beforeEach, test } from 'node:test'
import { findAgent, pregenerateToken } from '#db/agents.ts'
import { provision, provisionStates } from '#protocol/states.ts'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let uuid: string
let count = 0
let mac: string
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())
beforeEach(async () => {
  uuid = await api.node()
  count += 1
  mac = `52:54:00:00:01:${count.toString(16).padStart(2, '0')}`
  await api.call('POST', '/v1/ports', { body: { node_uuid: uuid, address: mac } })
  await api.set(uuid, { provision_state: 'wait call-back', instance_info: { configdrive: 'secret', image_url: 'u' } })
})

type Json = Record<string, unknown>
const lookup = (query: string, version = '1.62', own = api) => own.call('GET', `/v1/lookup?${query}`, { version })
const config = (json: unknown) => (json as { config: Json }).config
const ca = '-----BEGIN CERTIFICATE-----'

/** The token as a caller at another address of this host sees it. */
async function tokenToldAt(localAddress: string): Promise<unknown> {
  const headers = { 'X-OpenStack-Ironic-API-Version': '1.62' }
  const asked = get(`${api.url}/v1/lookup?node_uuid=${uuid}`, { localAddress, headers })
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  return config(JSON.parse((await response.toArray()).join(''))).agent_token
}

async function token(): Promise<string> {
  return String(config((await lookup(`addresses=${mac}`)).json).agent_token)
}

test('the first look-up is told a token, others only that there is one', async () => {
  const first = await lookup(`addresses=52:54:00:99:99:99,nonsense,${mac.toUpperCase()}`)
  assert.equal(first.status, 200)
  const { node } = first.json as { node: Json }
  assert.deepEqual(Object.keys(node), ['uuid', 'driver_internal_info', 'properties', 'instance_info', 'links'])
  assert.deepEqual(node.instance_info, { configdrive: '******', image_url: '******' })
  assert.match(String(config(first.json).agent_token), /^[\w-]{43}$/)
  assert.equal(config(first.json).heartbeat_timeout, 300)
  assert.equal(await tokenToldAt('127.0.0.2'), '******')
  assert.equal(
    JSON.stringify((await api.call('GET', `/v1/nodes/${uuid}`)).json).includes(String(config(first.json).agent_token)),
    false,
  )
})

test('a token whose answer was lost is told again, until a heartbeat has brought it', async () => {
  const first = await token()
  assert.equal(await token(), first)
  const beat = { callback_url: 'https://10.0.0.1:9999', agent_version: '12.0.0', agent_token: first }
  assert.equal((await api.call('POST', `/v1/heartbeat/${uuid}`, { body: beat, version: '1.68' })).status, 202)
  assert.equal(await token(), '******')
})

test('a token that was made before the boot is never told', async () => {
  await pregenerateToken(api.db, uuid, 'a'.repeat(43))
  assert.equal(await token(), '******')
})

test('below 1.62 there are no tokens to be told', async () => {
  assert.equal(config((await lookup(`addresses=${mac}`, '1.61')).json).agent_token, null)
  assert.equal((await findAgent(api.db, uuid))?.token ?? null, null)
})

test('whatever is not for the caller looks the same', async () => {
  const other = await api.node()
  await api.call('POST', '/v1/ports', { body: { node_uuid: other, address: '52:54:00:00:02:01' } })
  await api.set(other, { provision_state: 'wait call-back' })
  const unknown = await lookup('addresses=52:54:00:77:77:77')
  const several = await lookup(`addresses=${mac},52:54:00:00:02:01`)
  const noUuid = await lookup('node_uuid=6d85703a-565d-469a-96ce-30b6de53079d')
  await api.set(uuid, { provision_state: 'active' })
  const wrongState = await lookup(`addresses=${mac}`)
  for (const reply of [unknown, several, noUuid, wrongState]) {
    assert.equal(reply.status, 404)
    assert.equal(reply.fault, unknown.fault)
  }
  assert.equal((await lookup('addresses=nonsense')).status, 400)
  assert.equal((await lookup('node_uuid=nonsense')).status, 400)
  assert.equal((await lookup('')).status, 400)
})

test('look-up follows the table of states, with and without fast track', async () => {
  await using fast = await startApi({ deploy: { fast_track: true } })
  await using open = await startApi({ api: { restrict_lookup: false } })
  for (const [own, allowed] of [
    [api, ['yes']],
    [fast, ['yes', 'fast track']],
    [open, ['yes', 'fast track', 'no']],
  ] as const) {
    const node = await own.node()
    for (const state of provisionStates) {
      await own.set(node, { provision_state: state })
      const expected = (allowed as readonly string[]).includes(provision[state].lookup) ? 200 : 404
      assert.equal((await lookup(`node_uuid=${node}`, '1.62', own)).status, expected, state)
    }
  }
})

test('a heartbeat is stored without the lease and wakes the flow', async () => {
  const body = {
    callback_url: 'https://10.0.0.5:9999',
    agent_version: '12',
    agent_token: await token(),
    agent_verify_ca: ca,
  }
  const beat = () => api.call('POST', `/v1/heartbeat/${uuid}`, { body, version: '1.68' })
  await api.conductor.withNode(uuid, 'deploy', async () => {
    assert.equal((await beat()).status, 202)
  })
  assert.equal((await beat()).status, 202)
  const agent = await findAgent(api.db, uuid)
  assert.deepEqual([agent?.url, agent?.version, agent?.verify_ca, agent?.heartbeats], [body.callback_url, '12', ca, 2])
  assert.deepEqual(api.conductor.told.woken.at(-1), [uuid, 'heartbeat'])
})

const good = { callback_url: 'https://10.0.0.5:9999', agent_version: '12', agent_verify_ca: ca }
const beats: [name: string, change: Json, status: number, version?: string][] = [
  ['as agents send it', {}, 202],
  ['without a token', { agent_token: undefined }, 400],
  ['with null for the token', { agent_token: null }, 400],
  ['with another token', { agent_token: 'x'.repeat(43) }, 400],
  ['without an address', { callback_url: undefined }, 400],
  ['with a strange address', { callback_url: 'ftp://10.0.0.5' }, 400],
  ['with an endless address', { callback_url: `https://10.0.0.5/${'a'.repeat(2048)}` }, 400],
  ['with an endless certificate', { agent_verify_ca: ca.padEnd(65_537) }, 400],
  ['without TLS', { callback_url: 'http://10.0.0.5:9999' }, 400],
  ['without version and status', { agent_version: undefined }, 400],
  [
    'of an installer, without an address',
    { callback_url: '', agent_version: undefined, agent_status: 'start' },
    202,
    '1.72',
  ],
  ['with an unknown status', { agent_status: 'dead' }, 400, '1.72'],
  ['with a status below 1.72', { agent_status: 'end' }, 400, '1.71'],
  ['with a certificate below 1.68', {}, 400, '1.67'],
  ['with a version below 1.36', { agent_verify_ca: undefined }, 400, '1.35'],
  ['with something unknown', { mood: 'fine' }, 400],
  ['below 1.22', {}, 404, '1.21'],
]
for (const [name, change, status, version] of beats) {
  test(`a heartbeat ${name}: ${status}`, async () => {
    const body = { ...good, agent_token: await token(), ...change }
    const reply = await api.call('POST', `/v1/heartbeat/${uuid}`, { body, version: version ?? '1.68' })
    assert.equal(reply.status, status, reply.fault)
    if (status !== 202) assert.equal((await findAgent(api.db, uuid))?.heartbeats, 0)
  })
}

test('what an agent tells at length is kept in short', async () => {
  const message = 'x'.repeat(500_000)
  const told = { agent_version: message, agent_status: 'error', agent_status_message: message }
  const body = { ...good, ...told, agent_token: await token() }
  for (let i = 0; i < 2; i += 1) {
    assert.equal((await api.call('POST', `/v1/heartbeat/${uuid}`, { body, version: '1.72' })).status, 202)
  }
  const agent = await findAgent(api.db, uuid)
  assert.deepEqual([agent?.version?.length, agent?.status_message?.length], [255, 4096])
})

test('an agent that moved, or came with another certificate, is refused', async () => {
  const body = { ...good, agent_token: await token() }
  const beat = (change: Json) =>
    api.call('POST', `/v1/heartbeat/${uuid}`, { body: { ...body, ...change }, version: '1.68' })
  assert.equal((await beat({})).status, 202)
  assert.match((await beat({ callback_url: 'https://10.0.0.6:9999' })).fault, /known at https:\/\/10\.0\.0\.5/)
  assert.match((await beat({ agent_verify_ca: 'other' })).fault, /certificate/)
  assert.equal((await beat({ callback_url: 'https://10.0.0.5:9999/' })).status, 202)
})

test('plain HTTP is fine where the operator says so; ramdisk endpoints can be switched off', async () => {
  await using plain = await startApi({ agent: { require_tls: false } })
  const node = await plain.node()
  await plain.set(node, { provision_state: 'clean wait' })
  const agent_token = config((await lookup(`node_uuid=${node}`, '1.62', plain)).json).agent_token
  const body = { callback_url: 'http://10.0.0.5:9999', agent_version: '1', agent_token }
  assert.equal((await plain.call('POST', `/v1/heartbeat/${node}`, { body, version: '1.62' })).status, 202)
  await using off = await startApi({ api: { enable_ramdisk_endpoints: false } })
  assert.equal((await lookup(`node_uuid=${node}`, '1.62', off)).status, 403)
  assert.equal((await off.call('POST', `/v1/heartbeat/${node}`, { body })).status, 403)
})

test('inspection data come at 1.1 and from 1.84', async () => {
  await api.set(uuid, { provision_state: 'inspect wait' })
  const body = { inventory: { interfaces: [{ mac_address: mac, name: 'eth0' }], cpu: {} }, root_disk: {} }
  const post = (version: string, data: unknown = body) =>
    api.call('POST', `/v1/continue_inspection?node_uuid=${uuid}`, { body: data, version })
  const reply = await post('1.84')
  assert.equal(reply.status, 202)
  assert.equal((reply.json as { node: Json }).node.uuid, uuid)
  assert.equal((await post('1.83')).status, 404)
  assert.equal((await post('1.84', { inventory: { interfaces: [] } })).status, 400)
  assert.equal((await post('1.84', {})).status, 400)
  const many = { inventory: { interfaces: Array(10_001).fill({ mac_address: mac }) } }
  assert.equal((await post('1.84', many)).status, 400)
  const unknown = { inventory: { interfaces: [{ mac_address: '52:54:00:00:77:77' }] } }
  assert.equal((await api.call('POST', '/v1/continue_inspection', { body: unknown, version: '1.1' })).status, 404)
  assert.deepEqual((await api.call('POST', '/v1/continue_inspection', { body, version: '1.1' })).json, { uuid })
  await api.set(uuid, { provision_state: 'active' })
  assert.equal((await post('1.84')).status, 404)
})
