import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { issueToken, recordHeartbeat } from '#db/agents.ts'
import { eventsOf } from '#db/events.ts'
import { Sightings } from '#db/sightings.ts'
import { awaitAgent, bootRamdisk } from '#drivers/agent/ramdisk.ts'
import { type Clock, systemClock } from '#lib/clock.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { Shared } from '../shared.ts'
import { caller, eventually, startEngine } from '../test-engine.ts'

const timeoutS = 1800
const definition: FlowDefinition = {
  kind: 'deploy',
  async run(ctx) {
    await awaitAgent(ctx, 'deploy', await bootRamdisk(ctx, 'deploy'), timeoutS)
    return 'done'
  },
}

/** A flow that boots a ramdisk, and a clock that is moved by hand. */
async function booting() {
  let offsetMs = 0
  const clock: Clock = { ...systemClock, now: () => Date.now() + offsetMs }
  let state = 'power off'
  const seen = { powerOns: 0, prepared: 0 }
  const shared = new Shared()
  const context = {
    config: await loadConfig({ overrides: { ferrite: { boot_attempts: 2 } } }),
    ports: [],
    shared: shared.get,
    interfaces: {
      deploy: {},
      power: {
        get: async () => state,
        async set(_: unknown, to: string) {
          if (to === 'power on') seen.powerOns++
          state = to
        },
      },
      management: {
        macAddresses: async () => [],
        getBootDevice: async () => ({ boot_device: null, persistent: null }),
      },
      boot: {
        async prepareRamdisk() {
          seen.prepared++
        },
      },
    },
  }
  const world = await startEngine(definition, { clock, context })
  const uuid = await world.addNode('available')
  await world.engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  /** Whether the flow has looked at all that happened, and waits for the agent. */
  const waits = async () => {
    const flow = await world.db.selectFrom('flows').select(['state', 'woken']).executeTakeFirstOrThrow()
    const { provision_state } = await world.node(uuid)
    return flow.state === 'waiting' && Number(flow.woken) === 0 && provision_state === 'wait call-back'
  }
  await eventually('waits for the agent', waits)
  return {
    uuid,
    seen,
    waits,
    db: world.db,
    node: () => world.node(uuid),
    hop: () => new Sightings({ db: world.db, clock }).hop({ hop: 'script', nodeUuid: uuid }),
    async pass(seconds: number) {
      offsetMs += seconds * 1000
      await world.engine.wake(uuid, 'heartbeat')
    },
    async call() {
      await issueToken(world.db, uuid, { token: 'x', address: '192.0.2.1' })
      const beat = { version: '1', verify_ca: null, status: null, status_message: null, at: '' }
      await recordHeartbeat(world.db, uuid, 'x', { url: 'http://192.0.2.1:9999', ...beat })
      await world.engine.wake(uuid, 'heartbeat')
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await shared.dispose()
    },
  }
}

test('a network boot that stands still is begun again, and the agent of the second boot is taken', async () => {
  await using boot = await booting()
  await boot.hop()
  await boot.pass(299)
  await eventually('looked', boot.waits)
  assert.equal(boot.seen.powerOns, 1)
  await boot.pass(2)
  await eventually('booted again', async () => boot.seen.powerOns === 2 && (await boot.waits()))
  assert.equal(boot.seen.prepared, 1)
  const [event] = (await eventsOf(boot.db, boot.uuid, { limit: 100 })).filter(one => one.kind === 'boot again')
  assert.match(String(event?.data.why), /no port|boot script/)
  await boot.call()
  await eventually('active', async () => (await boot.node()).provision_state === 'active')
})

test('a boot that nothing was seen of is left to its firmware; the last attempt ends with an explanation', async () => {
  await using boot = await booting()
  await boot.pass(1000)
  await eventually('looked', boot.waits)
  assert.equal(boot.seen.powerOns, 1)
  await boot.hop()
  await boot.pass(301)
  await eventually('booted again', async () => boot.seen.powerOns === 2 && (await boot.waits()))
  await boot.hop()
  await boot.pass(400)
  await eventually('looked', boot.waits)
  assert.equal(boot.seen.powerOns, 2)
  await boot.pass(timeoutS)
  await eventually('failed', async () => (await boot.node()).provision_state === 'deploy failed')
  assert.match((await boot.node()).last_error ?? '', /did not call within 1800 s/)
})
