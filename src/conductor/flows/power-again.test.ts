/** A BMC that accepts a power change and forgets it, as one does that restarts at that moment. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { HardwareFault } from '#drivers/driver.ts'
import { type Clock, systemClock } from '#lib/clock.ts'
import { Shared } from '../shared.ts'
import { addNode, caller, eventually, startEngine } from '../test-engine.ts'
import { power } from './power.ts'

/** Time that passes twenty times as fast. */
const hasty: Clock = {
  now: () => systemClock.now() * 20,
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
}

/** Runs a power change; @returns its error, and when the state was asked for, in seconds from the first time. */
async function asks(set: (time: number) => 'power on' | 'nothing' | 'refused') {
  const times: number[] = []
  let state = 'power off'
  const way = {
    supported: ['power on'],
    get: async () => state,
    async set() {
      times.push(hasty.now())
      const done = set(times.length)
      if (done === 'refused') throw new HardwareFault('The BMC answered 409')
      if (done !== 'nothing') state = done
    },
  }
  const shared = new Shared()
  const config = await loadConfig({ overrides: { conductor: { power_state_change_timeout: 60 } } })
  const context = { config, interfaces: { power: way }, shared: shared.get, clock: hasty }
  await using world = await startEngine(power, { clock: hasty, context })
  const uuid = await addNode(world.db, 'available', { power_state: 'power off' })
  await world.engine.begin({ nodeUuid: uuid, kind: 'power', args: { target: 'power on' }, event: null, caller })
  await eventually('ends', async () => (await world.node(uuid)).lease === null)
  await shared.dispose()
  const [first = 0] = times
  return { error: (await world.node(uuid)).last_error, at: times.map(ms => Math.round((ms - first) / 1000)) }
}

test('a power change that was forgotten is asked for again after 15 s', async () => {
  const { error, at } = await asks(time => (time === 1 ? 'nothing' : 'power on'))
  assert.equal(error, null)
  assert.equal(at.length, 2)
  assert.ok((at[1] ?? 0) >= 15 && (at[1] ?? 0) < 40, `asked again after ${at[1]} s`)
})

test('a BMC that refuses the second request is waited for all the same', async () => {
  const { error, at } = await asks(time => (time === 1 ? 'nothing' : 'refused'))
  assert.match(error ?? '', /did not reach "power on" within 60 s: .* still reports "power off"/)
  assert.ok(at.length >= 3, `asked ${at.length} times`)
})
