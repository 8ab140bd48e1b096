/** What must not happen when two pieces of work meet on one node, or when a lease ends under one of them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findFlow, liveFlow, updateFlow } from '#db/flows.ts'
import { deleteNode, dropLease, takeLease, writeNode } from '#db/nodes.ts'
import type { Wait } from '#drivers/driver.ts'
import { type Clock, systemClock } from '#lib/clock.ts'
import { InvalidInput, NodeLocked } from '#lib/fault.ts'
import type { FlowDefinition } from './flow-definition.ts'
import { caller, engineOver, eventually, startEngine } from './test-engine.ts'

const late = () => new InvalidInput('late')
const forAgent: Wait = { on: ['heartbeat'], everyMs: 10, timeoutMs: 60_000, release: true, onTimeout: late }

/** A deployment that waits for its agent; `look` is what it asks while it does. */
function deployment(look: (signal: AbortSignal) => Promise<true | undefined>): FlowDefinition {
  return {
    kind: 'deploy',
    async run({ flow, signal }) {
      await flow.until('agent', forAgent, () => look(signal))
      return 'done'
    },
  }
}

/** A power change that takes until `done` says so. */
function powerChange(done: () => boolean): FlowDefinition {
  return {
    kind: 'power',
    stateless: true,
    async run({ flow }) {
      await flow.once('ask', async () => {})
      await flow.until('wait', { everyMs: 10, timeoutMs: 60_000, onTimeout: late }, async () => done() || undefined)
      await flow.once('done', async () => flow.write({ power_state: 'power off' }))
      return null
    },
  }
}

describe('a power change while a deployment waits for its agent', () => {
  test('keeps the node to itself, and moves no provision state', async () => {
    let [looks, off] = [0, false]
    await using world = await startEngine([
      deployment(async () => {
        looks++
        return undefined
      }),
      powerChange(() => off),
    ])
    const { engine, node } = world
    const uuid = await world.addNode('available')
    await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    await eventually('waits', async () => (await node(uuid)).provision_state === 'wait call-back')
    await eventually('may be changed', async () => {
      await engine.begin({ nodeUuid: uuid, kind: 'power', args: {}, event: null, caller })
      return true
    })
    await systemClock.sleep(50)
    const before = looks
    const states = new Set<string>()
    for (let tries = 0; tries < 20; tries++) {
      await systemClock.sleep(10)
      const { provision_state, reservation } = await node(uuid)
      states.add(`${provision_state}, held by ${reservation}`)
    }
    assert.deepEqual([...states], ['wait call-back, held by host-1'])
    assert.equal(looks, before, 'nobody else worked on the node')
    off = true
    await eventually('is off', async () => (await node(uuid)).power_state === 'power off')
    await eventually('goes on', async () => looks > before)
    assert.equal((await node(uuid)).provision_state, 'wait call-back')
  })
})

/** A clock that runs `aheadMs` ahead of the real one and whose long pauses are short. */
function hasty(): Clock & { aheadMs: number } {
  const clock = {
    aheadMs: 0,
    now: () => systemClock.now() + clock.aheadMs,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 50), signal),
  }
  return clock
}

describe('a lease that ended', () => {
  test('under a working flow, taken and given back by somebody else: the flow goes on', async () => {
    const clock = hasty()
    let passes = 0
    const gate = Promise.withResolvers<void>()
    await using world = await startEngine(
      {
        kind: 'deploy',
        async run({ flow }) {
          passes++
          await flow.once('slow', () => (passes === 1 ? gate.promise : Promise.resolve()))
          return 'done'
        },
      },
      { clock },
    )
    const { engine, db, node } = world
    const uuid = await world.addNode('available')
    await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    await eventually('works', async () => passes === 1)
    // As after a stall of the process: somebody takes the node before the lease could be renewed.
    const lease = { holder: 'host-2', purpose: 'test', nowMs: clock.now() + 100_000, forMs: 60_000, visible: true }
    await takeLease(db, uuid, lease)
    gate.resolve()
    await systemClock.sleep(50)
    assert.equal((await node(uuid)).reservation, 'host-2')
    clock.aheadMs += 200_000 // host-2 is never heard of again
    await eventually('is active', async () => (await node(uuid)).provision_state === 'active')
    assert.equal((await node(uuid)).lease, null)
    assert.equal(passes, 2)
  })

  test('of a host that never came back is taken away, and its flow goes on here', async () => {
    const clock = hasty()
    await using world = await startEngine(
      deployment(async () => true),
      { clock },
    )
    const { db, node, engine } = world
    const uuid = await world.addNode('available')
    await engine.stop()
    await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    const flow = await liveFlow(db, uuid)
    assert.ok(flow)
    await updateFlow(db, flow.id, { state: 'running' })
    const next = engineOver(
      db,
      deployment(async () => true),
      { hostname: 'host-2', clock },
    )
    await next.start()
    await systemClock.sleep(100)
    assert.equal((await node(uuid)).reservation, 'host-1', 'not before its time')
    clock.aheadMs += 100_000
    await eventually('is active', async () => (await node(uuid)).provision_state === 'active')
    await next.stop()
  })

  test('without a flow is taken away, too', async () => {
    const clock = hasty()
    await using world = await startEngine([], { clock })
    const uuid = await world.addNode('available')
    const lease = { holder: 'host-2', purpose: 'test', nowMs: clock.now(), forMs: 60_000, visible: true }
    await takeLease(world.db, uuid, lease)
    clock.aheadMs += 100_000
    await eventually('is free', async () => (await world.node(uuid)).reservation === null)
  })
})

describe('an abort', () => {
  test('does not wait for an agent that does not answer', async () => {
    let asked = 0
    await using world = await startEngine(
      deployment(async signal => {
        asked++
        // The node frees itself after the first look; every later one hangs.
        if (asked > 1) await systemClock.sleep(60_000, signal)
        return undefined
      }),
    )
    const { engine, node, db } = world
    const uuid = await world.addNode('available')
    await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    await eventually('asks', async () => asked === 2)
    const flow = await liveFlow(db, uuid)
    assert.ok(flow)
    assert.equal(await engine.interruptLook(uuid), true)
    assert.equal((await node(uuid)).lease, null)
    await eventually('asks again', async () => asked === 3)
    await assert.rejects(
      engine.abort(uuid, () => true, caller),
      NodeLocked,
    )
    assert.equal(await engine.interruptLook(uuid), true)
    await engine.abort(uuid, () => true, caller)
    assert.equal((await node(uuid)).provision_state, 'deploy failed')
    await eventually('is over', async () => (await findFlow(db, flow.id))?.state === 'aborted')
  })

  test('of looks, however often, does not keep a wait from ending', async () => {
    let asked = 0
    await using world = await startEngine({
      kind: 'deploy',
      async run({ flow, signal }) {
        const wait = { ...forAgent, timeoutMs: 500 }
        await flow.until('agent', wait, async () => {
          asked++
          // As with the abort above: every look but the first asks an agent that does not answer.
          if (asked > 1) await systemClock.sleep(1500, signal)
          return undefined
        })
        return 'done'
      },
    })
    const { engine, node } = world
    const uuid = await world.addNode('available')
    await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    await eventually('has failed', async () => {
      await engine.interruptLook(uuid)
      return (await node(uuid)).provision_state === 'deploy failed'
    })
    assert.match((await node(uuid)).last_error ?? '', /late/)
  })

  test('asked for in mid-step of what must not be cut off takes effect before the next step', async () => {
    let second = false
    const gate = Promise.withResolvers<true>()
    let looks = 0
    await using world = await startEngine({
      kind: 'clean',
      async run({ flow }) {
        await flow.once('begin', () => flow.write({ clean_step: { step: 'a', abortable: false } }))
        await flow.until('first', forAgent, () => {
          looks++
          return looks === 1 ? Promise.resolve(undefined) : gate.promise
        })
        await flow.once('second', async () => {
          second = true
        })
        return 'done'
      },
    })
    const { engine, node, db } = world
    const uuid = await world.addNode('manageable')
    await engine.begin({ nodeUuid: uuid, kind: 'clean', args: {}, event: 'provide', caller })
    await eventually('looks', async () => looks === 2)
    const flow = await liveFlow(db, uuid)
    assert.ok(flow)
    await updateFlow(db, flow.id, { abort_requested: 1 })
    gate.resolve(true)
    await eventually('is over', async () => (await findFlow(db, flow.id))?.state === 'aborted')
    assert.equal((await node(uuid)).provision_state, 'clean failed')
    assert.equal(second, false)
  })
})

test('deleting a node ends what waits on it', async () => {
  await using world = await startEngine(deployment(async () => undefined))
  const { engine, node, db } = world
  const uuid = await world.addNode('available')
  await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  await eventually('waits', async () => (await node(uuid)).provision_state === 'wait call-back')
  const flow = await liveFlow(db, uuid)
  await eventually('is deleted', async () => {
    const lease = { holder: 'host-1', purpose: 'delete', nowMs: systemClock.now(), forMs: 60_000, visible: true }
    await deleteNode(db, uuid, await takeLease(db, uuid, lease))
    return true
  })
  await systemClock.sleep(50)
  assert.equal(await findFlow(db, flow?.id ?? 0), undefined)
})

test('a failure leaves no power target behind', async () => {
  await using world = await startEngine({
    kind: 'clean',
    async run({ flow }) {
      await flow.once('power off: ask', async () => {
        await flow.write({ target_power_state: 'power off' })
        throw new InvalidInput('no BMC')
      })
      return 'done'
    },
  })
  const uuid = await world.addNode('manageable')
  await world.engine.begin({ nodeUuid: uuid, kind: 'clean', args: {}, event: 'provide', caller })
  await eventually('failed', async () => (await world.node(uuid)).provision_state === 'clean failed')
  assert.equal((await world.node(uuid)).target_power_state, null)
})

test('what a flow was given and found is forgotten when it ends: it may hold secrets', async () => {
  await using world = await startEngine({
    kind: 'deploy',
    async run({ flow }) {
      await flow.once('plan', async () => ({ args: { password: 'hush-1' } }))
      return 'done'
    },
  })
  const { engine, db, node } = world
  const uuid = await world.addNode('available')
  await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: { configdrive: 'hush-2' }, event: 'deploy', caller })
  await eventually('is active', async () => (await node(uuid)).provision_state === 'active')
  const rows = [
    await db.selectFrom('flows').selectAll().execute(),
    await db.selectFrom('flow_steps').selectAll().execute(),
  ]
  assert.doesNotMatch(JSON.stringify(rows), /hush/)
})

test('a write after the lease was given back changes nothing', async () => {
  await using world = await startEngine([])
  const { db } = world
  const uuid = await world.addNode('available')
  const lease = { holder: 'a', purpose: 'test', nowMs: systemClock.now(), forMs: 60_000, visible: true }
  const token = await takeLease(db, uuid, lease)
  await dropLease(db, uuid, token)
  await assert.rejects(writeNode(db, uuid, token, { last_error: 'late' }, 1), /no longer held/)
})
