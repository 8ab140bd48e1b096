import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { issueToken, recordHeartbeat } from '#db/agents.ts'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let uuid: string
let mac: string
let boot: string
let count = 0
before(async () => {
  api = await startApi({ ferrite: { ramdisk_log_size: 4000 } })
})
after(() => api[Symbol.asyncDispose]())
beforeEach(async () => {
  uuid = await api.node({ driver_info: { fake_password: 'hush-hush' } })
  count += 1
  mac = `52:54:00:00:02:${count.toString(16).padStart(2, '0')}`
  boot = randomUUID()
  await api.call('POST', '/v1/ports', { body: { node_uuid: uuid, address: mac } })
  await api.set(uuid, { provision_state: 'wait call-back' })
})

/** As a ramdisk does it: without a version, without a login. */
async function post(piece: number, text: string, more: object = {}): Promise<number> {
  const body = { boot_id: boot, piece, text, addresses: [mac], ...more }
  return (await api.call('POST', '/v1/ramdisk_log', { body, version: null })).status
}

type Log = { text: string; last_piece: number | null }
const log = async (after?: number) =>
  (await api.call('GET', `/v1/nodes/${uuid}/ramdisk_logs/${boot}${after === undefined ? '' : `?after=${after}`}`))
    .json as Log // by its schema
const boots = async () => {
  const { json } = await api.call('GET', `/v1/nodes/${uuid}/ramdisk_logs`)
  return (json as { ramdisk_logs: { boot_id: string; size_bytes: number }[] }).ramdisk_logs // by its schema
}

test('what a machine tells before it has a token is kept, in order, each piece once', async () => {
  assert.equal(await post(0, 'kernel\n'), 202)
  assert.equal(await post(1, 'agent\n'), 202)
  assert.equal(await post(1, 'said twice\n'), 202)
  assert.deepEqual(await log(), { boot_id: boot, text: 'kernel\nagent\n', last_piece: 1 })
  assert.deepEqual(await log(0), { boot_id: boot, text: 'agent\n', last_piece: 1 })
  assert.deepEqual(await log(1), { boot_id: boot, text: '', last_piece: null })
  assert.deepEqual(
    (await boots()).map(({ boot_id, size_bytes }) => [boot_id, size_bytes]),
    [[boot, 13]],
  )
})

test('no node waits for a ramdisk: the answer is that of a look-up', async () => {
  await api.set(uuid, { provision_state: 'active' })
  assert.equal(await post(0, 'x'), 404)
  assert.equal(await post(0, 'x', { addresses: ['52:54:00:99:99:99'] }), 404)
  assert.equal(await post(0, 'x', { addresses: [] }), 400)
  assert.deepEqual(await boots(), [])
  assert.equal((await api.call('GET', `/v1/nodes/${uuid}/ramdisk_logs/${boot}`)).status, 404)
})

test('once a heartbeat has brought the token nothing is taken without it, and with it whatever the state', async () => {
  await issueToken(api.db, uuid, { token: 'the-token-of-the-agent', address: '192.0.2.1' })
  assert.equal(await post(0, 'before\n'), 202)
  const beat = {
    url: 'https://192.0.2.1:9999',
    version: '1',
    verify_ca: null,
    status: null,
    status_message: null,
    at: '',
  }
  assert.equal(await recordHeartbeat(api.db, uuid, 'the-token-of-the-agent', beat), true)
  assert.equal(await post(1, 'a stranger\n'), 400)
  assert.equal(await post(1, 'a stranger\n', { node_uuid: uuid, agent_token: 'wrong' }), 400)
  await api.set(uuid, { provision_state: 'available' })
  assert.equal(
    await post(1, 'after the-token-of-the-agent\n', { node_uuid: uuid, agent_token: 'the-token-of-the-agent' }),
    202,
  )
  assert.equal((await log()).text, 'before\nafter ******\n')
})

test('secrets are masked: those of the node, and what looks like one', async () => {
  await post(0, 'bmc hush-hush, cmdline ipa-agent-token=abcdef rootpwd="x"\n\0')
  assert.equal((await log()).text, 'bmc ******, cmdline ipa-agent-token=****** rootpwd=******\n')
})

test('of a log that is too long the beginning and the end are kept, and the gap is told', async () => {
  for (let piece = 0; piece < 20; piece++)
    assert.equal(await post(piece, `${String(piece).padStart(3, '0')}${'x'.repeat(396)}\n`), 202)
  const { text, last_piece } = await log()
  const pieces = [...text.matchAll(/^(\d{3})x/gm)].map(([, number]) => Number(number))
  assert.deepEqual(pieces, [0, 1, 12, 13, 14, 15, 16, 17, 18, 19])
  assert.match(text, /^\[\.\.\. .* 10 pieces .*\]$/m)
  assert.equal(last_piece, 19)
  assert.equal((await boots())[0]?.size_bytes, 4000)
})

test('the last three boots of a node are kept', async () => {
  const all: string[] = []
  for (let number = 0; number < 5; number++) {
    boot = randomUUID()
    all.unshift(boot)
    await post(0, 'x')
    // Boots are told apart by the millisecond of their first piece.
    await sleep(5)
  }
  assert.deepEqual(
    (await boots()).map(({ boot_id }) => boot_id),
    all.slice(0, 3),
  )
})

test('what is no piece is refused', async () => {
  for (const wrong of [
    { text: 'x'.repeat(65_537) },
    { text: '' },
    { piece: -1 },
    { boot_id: 'x' },
    { addresses: 'x' },
    { more: 1 },
  ]) {
    assert.equal(await post(0, 'x', wrong), 400, JSON.stringify(wrong).slice(0, 40))
  }
  assert.deepEqual(await boots(), [])
})

test('ramdisk_log_size 0 and endpoints that are switched off: the ramdisk is told to stop', async () => {
  for (const options of [{ ferrite: { ramdisk_log_size: 0 } }, { api: { enable_ramdisk_endpoints: false } }]) {
    await using own = await startApi(options)
    const body = { boot_id: boot, piece: 0, text: 'x', addresses: [mac] }
    assert.equal((await own.call('POST', '/v1/ramdisk_log', { body })).status, 403)
  }
})
