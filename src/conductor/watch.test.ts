import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import { openDatabase } from '#db/database.ts'
import { eventsOf } from '#db/events.ts'
import { insertFlow, updateFlow } from '#db/flows.ts'
import { dropLease, findNode, takeLease } from '#db/nodes.ts'
import { firstLookCounts, type Watched } from '#db/watches.ts'
import { HardwareFault, type NodeContext, Unsupported } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import type { PowerState, ProvisionState } from '#protocol/states.ts'
import { addNode } from './test-engine.ts'
import { Watch } from './watch.ts'

/** A watch over nodes whose BMCs tell what `bmc` says; time passes by `turns`. */
async function watching(conductor: Overrides['conductor'] = {}) {
  const db = await openDatabase(':memory:')
  const config = await loadConfig({ overrides: { conductor } })
  let nowMs = 1_700_000_000_000
  const clock: Clock = { now: () => nowMs, sleep: async () => {} }
  const bmc = {
    power: 'power on' as PowerState | null,
    error: null as Error | null,
    health: 'OK' as string | null,
    reads: [] as string[],
    /** Something that happens while the BMC answers. */
    meanwhile: async (_uuid: string) => {},
  }
  const put: { uuid: string; wanted: string }[] = []
  const watch = new Watch({
    db,
    config,
    clock,
    log: silent,
    hostname: 'watcher',
    context: async (node, signal) =>
      ({
        node,
        signal,
        interfaces: {
          power: {
            async get() {
              bmc.reads.push(node.uuid)
              await bmc.meanwhile(node.uuid)
              if (bmc.error) throw bmc.error
              return bmc.power
            },
          },
          management: {
            getHealth: async () => bmc.health,
            getVendor: async () => 'Maker',
            async getBootMode() {
              throw new Unsupported('no boot mode here')
            },
          },
        },
      }) as unknown as NodeContext, // all that watching asks of a node
    setPower: async (seen: Watched, wanted) => void put.push({ uuid: seen.node.uuid, wanted }),
  })
  const never = new AbortController().signal
  return {
    db,
    bmc,
    put,
    add: (state: ProvisionState, more: object = {}) => addNode(db, state, more),
    node: async (uuid: string) => (await findNode(db, uuid)) ?? assert.fail('the node is gone'),
    kinds: async (uuid: string) => (await eventsOf(db, uuid, { limit: 50 })).map(event => event.kind),
    /** Lets `seconds` pass and everything that is due be looked at. */
    async pass(seconds: number) {
      nowMs += seconds * 1000
      await watch.turn(never)
      await watch.settled()
    },
    [Symbol.asyncDispose]: () => db.destroy(),
  }
}

test('every node is read once in an interval, with what its BMC tells besides', async () => {
  await using world = await watching()
  const known = await world.add('active', { power_state: 'power on' })
  const fresh = await world.add('manageable', { power_state: null })
  for (const state of ['enroll', 'wait call-back', 'clean wait', 'adopt failed'] as const) await world.add(state)
  await world.add('active', { maintenance: true })
  await world.add('active', { target_power_state: 'power off' })
  await world.pass(0)
  await world.pass(120)
  assert.deepEqual(world.bmc.reads.toSorted(), [known, fresh].toSorted())
  const { power_state, health, boot_mode, properties } = await world.node(fresh)
  assert.deepEqual([power_state, health, boot_mode, properties], ['power on', 'OK', null, { vendor: 'Maker' }])
  await world.pass(60)
  assert.equal(world.bmc.reads.length, 2)
  await world.pass(60)
  assert.equal(world.bmc.reads.length, 4)
})

test('a node that somebody holds, or held while its BMC answered, keeps what its holder wrote', async () => {
  await using world = await watching()
  const uuid = await world.add('active', { power_state: 'power on' })
  const lease = { holder: 'host', purpose: 'test', nowMs: 0, forMs: Number.MAX_SAFE_INTEGER / 2, visible: true }
  const token = await takeLease(world.db, uuid, lease)
  await world.pass(0)
  await world.pass(120)
  assert.deepEqual(world.bmc.reads, [])
  await dropLease(world.db, uuid, token)
  world.bmc.health = 'Critical'
  world.bmc.meanwhile = async () => dropLease(world.db, uuid, await takeLease(world.db, uuid, lease))
  await world.pass(120)
  assert.equal(world.bmc.reads.length, 1)
  assert.equal((await world.node(uuid)).health, null)
  assert.equal((await world.node(uuid)).reservation, null)
})

test('a machine that is not in the state it was given is put back, and given up after some times', async () => {
  await using world = await watching({ power_state_sync_max_retries: 2 })
  const uuid = await world.add('active', { power_state: 'power off' })
  await world.pass(0)
  for (let look = 0; look < 3; look++) await world.pass(120)
  assert.deepEqual(world.put, Array(2).fill({ uuid, wanted: 'power off' }))
  const { power_state, maintenance, fault, maintenance_reason } = await world.node(uuid)
  assert.deepEqual([power_state, maintenance, fault], ['power on', true, 'power failure'])
  assert.match(maintenance_reason ?? '', /in 3 looks.*"power on" though "power off"/)
  assert.deepEqual(await world.kinds(uuid), ['power failure'])
})

test('what is seen first of a node that was taken over is right, and after that it is kept so', async () => {
  await using world = await watching({ power_state_sync_max_retries: 3 })
  const uuid = await world.add('active', { power_state: 'power off' })
  await firstLookCounts(world.db, uuid, 0)
  world.bmc.error = new HardwareFault('the BMC is silent')
  await world.pass(0)
  await world.pass(120)
  world.bmc.error = null
  await world.pass(120)
  assert.deepEqual(world.put, [])
  assert.equal((await world.node(uuid)).power_state, 'power on')
  world.bmc.power = 'power off'
  await world.pass(120)
  assert.deepEqual(world.put, [{ uuid, wanted: 'power on' }])
})

test('a node with work that waits for the next conductor is left alone', async () => {
  await using w = await watching()
  const uuid = await w.add('deploying', { power_state: 'power on' })
  const flow = {
    kind: 'deploy',
    args: {},
    requested_by: null,
    requested_project: null,
    request_id: null,
    conductor: 'dead',
    lease_token: 1,
  }
  const id = await insertFlow(w.db, { ...flow, node_uuid: uuid, nowMs: 0 })
  w.bmc.power = 'power off' // as the flow has just asked, and not yet recorded
  await w.pass(0)
  await w.pass(120)
  assert.deepEqual([w.bmc.reads, w.put], [[], []])
  await updateFlow(w.db, id, { state: 'done' })
  await w.pass(120)
  assert.equal(w.put.length, 1)
})

test('without force, or where power must stay on, the BMC is believed', async () => {
  await using world = await watching({ force_power_state_during_sync: false })
  const uuid = await world.add('active', { power_state: 'power off' })
  await using forced = await watching()
  const kept = await forced.add('active', { power_state: 'power off', disable_power_off: true })
  for (const seconds of [0, 120]) {
    await world.pass(seconds)
    await forced.pass(seconds)
  }
  assert.equal((await world.node(uuid)).power_state, 'power on')
  assert.equal((await forced.node(kept)).power_state, 'power on')
  assert.deepEqual([world.put, forced.put], [[], []])
  assert.deepEqual(await world.kinds(uuid), ['power seen'])
})

test('a BMC that does not answer puts its node in maintenance until it answers again', async () => {
  await using world = await watching({ power_state_sync_max_retries: 1, power_failure_recovery_interval: 300 })
  const uuid = await world.add('active', { power_state: 'power on' })
  const theirs = await world.add('active', { maintenance: true, maintenance_reason: 'mine' })
  world.bmc.error = new HardwareFault('The BMC at https://192.0.2.1 does not answer')
  await world.pass(0)
  await world.pass(120)
  assert.equal((await world.node(uuid)).maintenance, false)
  await world.pass(120)
  const failed = await world.node(uuid)
  assert.deepEqual([failed.maintenance, failed.fault, failed.power_state], [true, 'power failure', null])
  assert.match(failed.maintenance_reason ?? '', /does not answer/)
  await world.pass(300)
  assert.equal((await world.node(uuid)).maintenance, true)
  world.bmc.error = null
  await world.pass(300)
  const { maintenance, fault, maintenance_reason, power_state, last_error } = await world.node(uuid)
  const healed = [maintenance, fault, maintenance_reason, power_state, last_error]
  assert.deepEqual(healed, [false, null, null, 'power on', null])
  assert.deepEqual(await world.kinds(uuid), ['power failure', 'power recovered'])
  for (const { data } of await eventsOf(world.db, uuid, { limit: 50 })) {
    assert.deepEqual([data.conductor, data.provision_state, data.target_provision_state], ['watcher', 'active', null])
  }
  assert.equal((await world.node(theirs)).maintenance_reason, 'mine')
})

test('an interval of 0 switches watching off', async () => {
  await using world = await watching({ sync_power_state_interval: 0 })
  await world.add('active', { power_state: 'power on' })
  await world.pass(0)
  await world.pass(1000)
  assert.deepEqual(world.bmc.reads, [])
})
