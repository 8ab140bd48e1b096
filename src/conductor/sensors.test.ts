/** Whose sensors are read when, and what becomes of what they tell. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import { eventsOf } from '#db/events.ts'
import { latestSensors } from '#db/sensors.ts'
import { freshDatabase } from '#db/test-database.ts'
import { HardwareFault, type NodeContext } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import type { SensorData } from '#protocol/sensors.ts'
import { SensorWatch } from './sensors.ts'
import { addNode } from './test-engine.ts'

/** A watch over nodes whose BMCs tell `bmc.data`; time passes by `pass`. */
async function watching(sensor_data: Overrides['sensor_data'] = {}) {
  const db = await freshDatabase()
  const config = await loadConfig({ overrides: { sensor_data: { send_sensor_data: true, ...sensor_data } } })
  let nowMs = 1_700_000_000_000
  const clock: Clock = { now: () => nowMs, sleep: async () => {} }
  const bmc = { data: {} as SensorData, error: null as Error | null, reads: [] as string[], hangs: false }
  const never = new AbortController().signal
  const watch = new SensorWatch({
    db,
    config,
    clock,
    log: silent,
    hostname: 'watcher',
    context: async (node, signal) =>
      ({
        node,
        interfaces: {
          management: {
            async getSensors() {
              bmc.reads.push(node.uuid)
              if (bmc.error) throw bmc.error
              if (bmc.hangs)
                await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
              return bmc.data
            },
          },
        },
      }) as unknown as NodeContext, // all that reading sensors asks of a node
  })
  return {
    db,
    bmc,
    latest: () => latestSensors(db, '', 100),
    async pass(seconds: number) {
      nowMs += seconds * 1000
      await watch.turn(never)
      await watch.settled()
    },
    [Symbol.asyncDispose]: () => db.destroy(),
  }
}

const fans = (health: 'OK' | 'Critical'): SensorData => ({ Fan: { 'Fan 1': { reading: 4000, unit: 'rpm', health } } })

test('active nodes are read once in an interval, and the latest is kept', async () => {
  await using world = await watching({ interval: 60 })
  const uuid = await addNode(world.db, 'active')
  await addNode(world.db, 'available')
  await addNode(world.db, 'active', { maintenance: true })
  world.bmc.data = fans('OK')
  await world.pass(0)
  await world.pass(60)
  await world.pass(1)
  assert.deepEqual(world.bmc.reads, [uuid])
  world.bmc.data = { Fan: { 'Fan 1': { reading: 9000, unit: 'rpm', health: 'OK' } } }
  await world.pass(60)
  const [latest, ...others] = await world.latest()
  assert.deepEqual(others, [])
  assert.deepEqual([latest?.uuid, latest?.data, latest?.isStale], [uuid, world.bmc.data, false])
})

test('a change of health is told once; a BMC that fails leaves what is known', async () => {
  await using world = await watching({ interval: 60 })
  const uuid = await addNode(world.db, 'active')
  await world.pass(0)
  for (const health of ['OK', 'Critical', 'Critical', 'OK'] as const) {
    world.bmc.data = fans(health)
    await world.pass(60)
  }
  world.bmc.error = new HardwareFault('the BMC is away')
  await world.pass(60)
  const told = (await eventsOf(world.db, uuid, { limit: 10 })).map(({ kind, data: { sensor, from, to } }) => [
    kind,
    sensor,
    from,
    to,
  ])
  assert.deepEqual(told, [
    ['sensor health', 'Fan 1', 'OK', 'Critical'],
    ['sensor health', 'Fan 1', 'Critical', 'OK'],
  ])
  const [latest] = await world.latest()
  assert.deepEqual([latest?.data, latest?.isStale], [fans('OK'), true])
})

test('only the kinds that are wanted are kept, of all nodes where that is wanted', async () => {
  await using world = await watching({ interval: 60, data_types: ['fan'], enable_for_undeployed_nodes: true })
  await addNode(world.db, 'available')
  world.bmc.data = { ...fans('OK'), System: { system: { health: 'OK' } } }
  await world.pass(0)
  await world.pass(60)
  assert.deepEqual(
    (await world.latest()).map(({ data }) => data),
    [fans('OK')],
  )
})

test('a read that takes too long is given up', async () => {
  await using world = await watching({ interval: 60, wait_timeout: 1 })
  await addNode(world.db, 'active')
  world.bmc.hangs = true
  await world.pass(0)
  await world.pass(60)
  assert.equal(world.bmc.reads.length, 1)
  const { error } = await world.db.selectFrom('sensors').select('error').executeTakeFirstOrThrow()
  assert.equal(error, 'it took more than 1 s')
})

test('nothing is read unless it is asked for', async () => {
  await using world = await watching({ send_sensor_data: false })
  await addNode(world.db, 'active')
  await world.pass(0)
  await world.pass(1000)
  assert.deepEqual(world.bmc.reads, [])
})
