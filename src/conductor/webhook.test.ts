/** Events at a real HTTP server: in their order, again when it was away, in both forms, with a secret that nobody tells. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { appendEvent } from '#db/events.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { Log } from '#lib/log.ts'
import { addNode } from './test-engine.ts'
import { deliverWebhook } from './webhook.ts'

/** A receiver that answers as it is told to, and a conductor's side with a clock that is moved by hand. */
async function world(more: Record<string, unknown> = {}) {
  const db = await freshDatabase()
  const state = { status: 204, nowMs: Date.now() }
  const got: { headers: Record<string, unknown>; body: Record<string, unknown> }[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    if (state.status < 300) got.push({ headers: request.headers, body: JSON.parse(text) })
    response.writeHead(state.status).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  const webhook_url = `http://127.0.0.1:${port}/hook?key=hush-in-the-url`
  const config = await loadConfig({ overrides: { ferrite: { webhook_url, webhook_secret: 'Bearer hush', ...more } } })
  const lines: string[] = []
  const line = (data: object, message: string) => void lines.push(JSON.stringify([data, message]))
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }
  const clock = { now: () => state.nowMs, sleep: async () => {} }
  const deliver = (hostname = 'host-1') =>
    deliverWebhook({ db, config, clock, log, hostname }, new AbortController().signal)
  await deliver() // what happened before is nobody's business
  return {
    db,
    state,
    got,
    lines,
    deliver,
    happens: (kind: string, event: { node_uuid?: string; data?: Record<string, unknown> } = {}) =>
      appendEvent(db, { nowMs: state.nowMs, kind, ...event }),
    kinds: () => got.flatMap(({ body }) => (body.events as { kind: string }[]).map(({ kind }) => kind)), // as posted
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await db.destroy()
    },
  }
}

test('events are posted once, in their order, by type', async () => {
  await using it = await world()
  for (const kind of ['power', 'sensor health', 'provision state']) await it.happens(kind)
  await it.deliver()
  await it.deliver()
  assert.deepEqual(it.kinds(), ['power', 'provision state'])
  assert.equal(it.got[0]?.headers.authorization, 'Bearer hush')
  for (let number = 0; number < 250; number++) await it.happens('boot hop')
  await it.deliver()
  assert.equal(it.kinds().length, 252)
})

test('a receiver that is away gets everything later, and nothing is told of the secret', async () => {
  await using it = await world()
  await it.happens('power')
  it.state.status = 503
  await it.deliver()
  await it.happens('ended')
  it.state.status = 204
  await it.deliver()
  assert.deepEqual(it.kinds(), [], 'it is not time to try again yet')
  it.state.nowMs += 1000
  it.state.status = 500
  await it.deliver()
  it.state.status = 204
  it.state.nowMs += 1000
  await it.deliver()
  assert.deepEqual(it.kinds(), [], 'the second pause is longer')
  it.state.nowMs += 1000
  await it.deliver()
  assert.deepEqual(it.kinds(), ['power', 'ended'])
  assert.equal(it.lines.length, 2)
  for (const line of it.lines) assert.doesNotMatch(line, /hush/)
})

test('one process delivers at a time, and another goes on where it stopped', async () => {
  await using it = await world()
  await it.happens('power')
  await it.deliver('host-2')
  assert.deepEqual(it.kinds(), [], 'host-1 has it')
  it.state.nowMs += 61_000
  await it.deliver('host-2')
  await it.deliver('host-1')
  assert.deepEqual(it.kinds(), ['power'])
})

test('a number that another process may be about to fill is waited for', async () => {
  await using it = await world()
  await it.happens('power')
  const at = new Date(it.state.nowMs).toISOString()
  await it.db.insertInto('events').values({ id: 1000, at, kind: 'ended', data: '{}' }).execute()
  await it.deliver()
  assert.deepEqual(it.kinds(), ['power'])
  it.state.nowMs += 6000
  await it.deliver()
  assert.deepEqual(it.kinds(), ['power', 'ended'])
})

test('in the form of Ironic’s notifications', async () => {
  await using it = await world({ webhook_format: 'ironic' })
  const instance_info = { image_source: 'an image', configdrive: 'much', temp_password: 'hush' }
  const node_uuid = await addNode(it.db, 'deploying', { name: 'n1', instance_info, driver_info: { password: 'hush' } })
  const moves = [
    ['available', 'deploying'],
    ['deploying', 'wait call-back'],
    ['deploying', 'active'],
    ['deploying', 'deploy failed'],
  ] as const
  for (const [from, to] of moves)
    await it.happens('provision state', { node_uuid, data: { from, to, conductor: 'c1' } })
  await it.happens('power', { node_uuid, data: { state: 'power off' } })
  await it.happens('step started', { node_uuid })
  await it.deliver()
  const bodies = it.got.map(({ body }) => body)
  assert.deepEqual(
    bodies.map(({ event_type, priority }) => [event_type, priority]),
    [
      ['baremetal.node.provision_set.start', 'INFO'],
      ['baremetal.node.provision_set.success', 'INFO'],
      ['baremetal.node.provision_set.end', 'INFO'],
      ['baremetal.node.provision_set.error', 'ERROR'],
      ['baremetal.node.power_set.end', 'INFO'],
    ],
  )
  const [first] = bodies
  assert.equal(first?.publisher_id, 'ironic-conductor.c1')
  const payload = first?.payload as Record<string, unknown> // as notificationOf() makes it
  assert.equal(payload['ironic_object.name'], 'NodeSetProvisionStatePayload')
  const data = payload['ironic_object.data'] as Record<string, unknown>
  assert.deepEqual([data.uuid, data.name, data.previous_provision_state], [node_uuid, 'n1', 'available'])
  assert.doesNotMatch(JSON.stringify(bodies), /hush|much/)
})
