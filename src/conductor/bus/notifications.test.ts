/** Ironic's notifications on a bus that is one file of ours: what is sent, to where, and what a bus that is away costs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import { appendEvent } from '#db/events.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { Log } from '#lib/log.ts'
import { notificationsSent } from '../measured.ts'
import { addNode } from '../test-engine.ts'
import { startFakeBroker } from './fake-broker.ts'
import { Notifications, sendsNotifications } from './notifications.ts'

type Envelope = Record<string, string>

/** A bus, and a conductor's side with a clock that is moved by hand. */
async function world(
  overrides: Overrides = {},
  urlFor = (port: number) => `rabbit://me:hush@127.0.0.1:1,me:hush@127.0.0.1:${port}/`,
) {
  await using started = new AsyncDisposableStack()
  const broker = started.use(await startFakeBroker())
  const db = await freshDatabase()
  started.defer(() => db.destroy())
  const config = await loadConfig({
    overrides: {
      DEFAULT: { notification_level: 'info', ...overrides.DEFAULT },
      oslo_messaging_notifications: {
        driver: ['messagingv2'],
        transport_url: urlFor(broker.port),
        ...overrides.oslo_messaging_notifications,
      },
      ...(overrides.oslo_messaging_rabbit ? { oslo_messaging_rabbit: overrides.oslo_messaging_rabbit } : {}),
    },
  })
  const state = { nowMs: Date.now() }
  const lines: string[] = []
  const line = (data: object, message: string) => void lines.push(JSON.stringify([data, message]))
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }
  const clock = { now: () => state.nowMs, sleep: async () => {} }
  const notifications = new Notifications({ db, config, clock, log, hostname: 'host-1' })
  started.defer(() => notifications.close())
  const counted: Record<string, number> = {}
  started.defer(
    notificationsSent.listen(({ outcome, count }) => {
      counted[outcome] = (counted[outcome] ?? 0) + count
    }),
  )
  const round = (signal = new AbortController().signal) => notifications.round(signal)
  await round() // what happened before is nobody's business
  const node_uuid = await addNode(db, 'deploying', { name: 'n1' })
  const held = started.move()
  return {
    broker,
    db,
    state,
    lines,
    counted,
    round,
    node_uuid,
    moves: (from: string, to: string) =>
      appendEvent(db, { nowMs: state.nowMs, kind: 'provision state', node_uuid, data: { from, to } }),
    inQueue: (name: string) => (broker.queues.get(name)?.messages ?? []) as Envelope[], // as they are sent
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

const inside = (envelope: Envelope | undefined) => JSON.parse(envelope?.['oslo.message'] ?? '{}')
const info = 'ironic_versioned_notifications.info'
const error = 'ironic_versioned_notifications.error'

test('notifications come in their order, enveloped, into a queue for each level of the topic', async () => {
  await using it = await world()
  await it.moves('available', 'deploying')
  await appendEvent(it.db, { nowMs: it.state.nowMs, kind: 'boot hop', node_uuid: it.node_uuid, data: {} })
  await it.moves('deploying', 'deploy failed')
  await it.moves('deploy failed', 'deploying')
  await it.round()
  assert.deepEqual(it.broker.exchanges.get('ironic'), { type: 'topic', durable: false })
  assert.deepEqual(
    it.inQueue(info).map(message => [message['oslo.version'], inside(message).event_type, inside(message).priority]),
    [
      ['2.0', 'baremetal.node.provision_set.start', 'INFO'],
      ['2.0', 'baremetal.node.provision_set.start', 'INFO'],
    ],
  )
  const failed = inside(it.inQueue(error)[0])
  assert.deepEqual([failed.event_type, failed.priority], ['baremetal.node.provision_set.error', 'ERROR'])
  assert.equal(failed.payload['ironic_object.data'].uuid, it.node_uuid)
  assert.match(failed._unique_id, /^[0-9a-f]{32}$/)
  assert.deepEqual([it.broker.logins, it.counted], [['me:hush'], { sent: 3 }])
  await it.round()
  assert.equal(it.inQueue(info).length, 2, 'nothing comes twice')
})

test('level, topics, exchange, queues and the older form are as they are configured', async () => {
  const DEFAULT = {
    notification_level: 'error' as const,
    control_exchange: 'metal',
    versioned_notifications_topics: ['a', 'b'],
  }
  const rabbit = { amqp_durable_queues: true }
  await using it = await world({
    DEFAULT,
    oslo_messaging_rabbit: rabbit,
    oslo_messaging_notifications: { driver: ['messaging'] },
  })
  await it.moves('available', 'deploying')
  await it.moves('deploying', 'deploy failed')
  await it.round()
  assert.deepEqual(it.broker.exchanges.get('metal'), { type: 'topic', durable: true })
  assert.deepEqual([...it.broker.queues.keys()], ['a.error', 'b.error'])
  assert.equal(it.broker.queues.get('a.error')?.durable, true)
  assert.equal(it.inQueue('b.error')[0]?.event_type, 'baremetal.node.provision_set.error')
})

test('options of the URL count instead of those of the configuration', async () => {
  const at = (port: number, query: string) => `rabbit://me:hush@127.0.0.1:${port}/?${query}`
  const rabbit = { amqp_durable_queues: false }
  await using durable = await world({ oslo_messaging_rabbit: rabbit }, port => at(port, 'amqp_durable_queues=1'))
  await durable.moves('available', 'deploying')
  await durable.round()
  assert.equal(durable.broker.queues.get(info)?.durable, true)

  await using secret = await world({}, port => at(port, 'ssl=1'))
  await secret.moves('available', 'deploying')
  await secret.round()
  assert.deepEqual([secret.broker.logins, secret.counted], [[], { refused: 1 }], 'the bus speaks no TLS')
})

test('what others made is used as it is', async () => {
  await using it = await world()
  it.broker.exchanges.set('ironic', { type: 'topic', durable: true })
  it.broker.queues.set(info, { durable: true, binding: '', messages: [] })
  await it.moves('available', 'deploying')
  await it.round()
  assert.equal(it.broker.exchanges.get('ironic')?.durable, true)
  assert.deepEqual([it.inQueue(info).length, it.broker.queues.get(info)?.durable], [1, true])
})

test('a bus that is away gets everything later, and nobody is told its password', async () => {
  await using it = await world()
  await it.moves('available', 'deploying')
  it.broker.mood = 'refusing'
  await it.round()
  await it.round()
  assert.equal(it.lines.length, 1, 'it is not time to try again yet')
  it.broker.mood = 'good'
  it.state.nowMs += 1000
  await it.round()
  assert.equal(it.inQueue(info).length, 1)
  it.broker.cutOff()
  await it.moves('deploying', 'wait call-back')
  await it.round()
  it.state.nowMs += 1000
  await it.round()
  assert.equal(it.inQueue(info).length, 2)
  assert.ok((it.counted.refused ?? 0) >= 1 && it.counted.sent === 2, JSON.stringify(it.counted))
  for (const line of it.lines) assert.doesNotMatch(line, /hush/)
})

test('a bus that says nothing holds nobody up who wants to end', async () => {
  await using it = await world()
  it.broker.mood = 'silent'
  await it.moves('available', 'deploying')
  await it.round(AbortSignal.timeout(300))
  assert.deepEqual(it.inQueue(info), [])
})

test('what nobody took for too long is given up, and counted', async () => {
  await using it = await world()
  await it.moves('available', 'deploying')
  const at = new Date(it.state.nowMs - 60_000).toISOString()
  const data = JSON.stringify({ from: 'deploying', to: 'active' })
  const late = { at, node_uuid: it.node_uuid, kind: 'provision state', data }
  await it.db
    .insertInto('events')
    .values({ id: 150_000, ...late })
    .execute()
  await it.round()
  assert.deepEqual(
    it.inQueue(info).map(message => inside(message).event_type),
    ['baremetal.node.provision_set.end'],
  )
  assert.ok((it.counted['given up'] ?? 0) > 49_000, JSON.stringify(it.counted))
})

test('nothing is sent that is not asked for, and a URL that cannot be read is refused at once', async () => {
  const asks = async (overrides: Overrides) => sendsNotifications(await loadConfig({ overrides }))
  assert.equal(await asks({}), false)
  assert.equal(await asks({ DEFAULT: { notification_level: 'info' } }), false)
  const drivers = (...driver: string[]) => ({ oslo_messaging_notifications: { driver } })
  assert.equal(await asks(drivers('messagingv2')), false)
  assert.equal(await asks({ DEFAULT: { notification_level: 'info' }, ...drivers('noop', 'log') }), false)
  assert.equal(await asks({ DEFAULT: { notification_level: 'info' }, ...drivers('noop', 'messagingv2') }), true)
  await assert.rejects(
    world({ oslo_messaging_notifications: { transport_url: 'amqp://u:hush@h' } }),
    /expected rabbit:/,
  )
})
