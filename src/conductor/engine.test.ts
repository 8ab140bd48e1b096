import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openDatabase } from '#db/database.ts'
import { findFlow, liveFlow } from '#db/flows.ts'
import { findNode, LeaseLost, takeLease, writeNode } from '#db/nodes.ts'
import { freshDatabase, freshUrl } from '#db/test-database.ts'
import { systemClock } from '#lib/clock.ts'
import { InvalidInput, NodeLocked } from '#lib/fault.ts'
import type { FlowDefinition } from './flow-definition.ts'
import { addNode, caller, engineOver, eventually } from './test-engine.ts'

/** A flow with steps before and after a wait for the agent, over a world that counts what was done to it. */
function sample(world: {
  effects: string[]
  heartbeat: boolean
  crash?: (name: string, when: 'before' | 'after') => void
}) {
  const definition: FlowDefinition = {
    kind: 'deploy',
    async run({ flow }) {
      const act = (name: string) =>
        flow.once(name, async () => {
          world.crash?.(name, 'before')
          world.effects.push(name)
          world.crash?.(name, 'after')
          return `${name} done`
        })
      assert.equal(await act('power on'), 'power on done')
      const seen = await flow.until(
        'agent',
        { on: ['heartbeat'], everyMs: 20, timeoutMs: 60_000, release: true, onTimeout: () => new InvalidInput('late') },
        async () => (world.heartbeat ? { url: 'http://agent' } : undefined),
      )
      assert.deepEqual(seen, { url: 'http://agent' })
      await act('write')
      await act('reboot')
      return 'done'
    },
  }
  return definition
}

describe('a flow', () => {
  test('runs to its end, and is seen in its states', async () => {
    const db = await freshDatabase()
    const world = { effects: [] as string[], heartbeat: false }
    const engine = engineOver(db, sample(world))
    await engine.start()
    const uuid = await addNode(db, 'available')
    await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    assert.equal((await findNode(db, uuid))?.provision_state, 'deploying', 'stored before begin returns')
    assert.equal((await findNode(db, uuid))?.target_provision_state, 'active')

    await eventually(
      'waits for the agent',
      async () => (await findNode(db, uuid))?.provision_state === 'wait call-back',
    )
    assert.equal((await findNode(db, uuid))?.reservation, null, 'free while it waits for the agent')
    world.heartbeat = true
    await engine.wake(uuid, 'heartbeat')
    await eventually('is active', async () => (await findNode(db, uuid))?.provision_state === 'active')
    const node = await findNode(db, uuid)
    assert.equal(node?.target_provision_state, null)
    assert.equal(node?.lease, null)
    assert.deepEqual(world.effects, ['power on', 'write', 'reboot'])
    await engine.stop()
    await db.destroy()
  })

  const points = ['power on', 'write', 'reboot'].flatMap(name => [
    { name, when: 'before' as const },
    { name, when: 'after' as const },
  ])
  for (const point of points) {
    test(`whose process dies ${point.when} "${point.name}" is finished by the next process`, async () => {
      const url = await freshUrl()
      const first = await openDatabase(url)
      const uuid = await addNode(first, 'available')
      let dead = false
      const world = {
        effects: [] as string[],
        heartbeat: true,
        crash(name: string, when: 'before' | 'after') {
          if (dead || name !== point.name || when !== point.when) return
          dead = true
          // From here on this process writes nothing any more: exactly what SIGKILL leaves.
          void first.destroy()
          throw new Error('killed')
        },
      }
      const doomed = engineOver(first, sample(world))
      await doomed.start()
      await doomed.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
      await eventually('the process dies', async () => dead)
      await doomed.stop()

      const second = await openDatabase(url)
      const engine = engineOver(second, sample(world))
      await engine.start()
      await eventually('is active', async () => (await findNode(second, uuid))?.provision_state === 'active')
      const twice = point.when === 'after' ? [point.name] : []
      assert.deepEqual([...world.effects].sort(), ['power on', 'write', 'reboot', ...twice].sort())
      await engine.stop()
      await second.destroy()
    })
  }

  test('that fails runs its undo, tells why, and leaves the node free', async () => {
    const db = await freshDatabase()
    const undone: string[] = []
    const engine = engineOver(db, {
      kind: 'deploy',
      async run({ flow }) {
        await flow.once('fails', async () => {
          throw new InvalidInput('image is 8 GiB, disk sda is 4 GiB')
        })
        return 'done'
      },
      async undo({ flow }, _args, failure) {
        await flow.once('clean up', async () => undone.push(failure.message))
      },
      failed: () => ({ deploy_step: {} }),
    })
    await engine.start()
    const uuid = await addNode(db, 'available')
    await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    await eventually('has failed', async () => (await findNode(db, uuid))?.provision_state === 'deploy failed')
    const node = await findNode(db, uuid)
    assert.equal(node?.last_error, 'image is 8 GiB, disk sda is 4 GiB')
    assert.equal(node?.lease, null)
    assert.equal(node?.target_provision_state, 'active')
    assert.deepEqual(undone, ['image is 8 GiB, disk sda is 4 GiB'])
    await engine.stop()
    await db.destroy()
  })

  test('that waits too long fails with what its wait says', async () => {
    const db = await freshDatabase()
    const engine = engineOver(db, {
      kind: 'inspect',
      async run({ flow }) {
        const onTimeout = () => new InvalidInput('no agent')
        await flow.until('agent', { everyMs: 10, timeoutMs: 60, release: true, onTimeout }, async () => undefined)
        return 'done'
      },
    })
    await engine.start()
    const uuid = await addNode(db, 'manageable')
    await engine.begin({ nodeUuid: uuid, kind: 'inspect', args: {}, event: 'inspect', caller })
    await eventually('has failed', async () => (await findNode(db, uuid))?.provision_state === 'inspect failed')
    assert.equal((await findNode(db, uuid))?.last_error, 'no agent')
    await engine.stop()
    await db.destroy()
  })

  test('is aborted while it waits: the state shows at once, the undo follows', async () => {
    const db = await freshDatabase()
    let undone = false
    const engine = engineOver(db, {
      ...sample({ effects: [], heartbeat: false }),
      async undo({ flow }) {
        await flow.once('clean up', async () => {
          undone = true
        })
      },
    })
    await engine.start()
    const uuid = await addNode(db, 'available')
    await engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    await eventually('waits', async () => (await findNode(db, uuid))?.provision_state === 'wait call-back')
    const flow = await liveFlow(db, uuid)
    assert.ok(flow)
    for (let tries = 0; ; tries++) {
      // A look at the agent may hold the node for a moment; callers of the service try again, too.
      try {
        await engine.abort(uuid, () => true, caller)
        break
      } catch (error) {
        if (!(error instanceof NodeLocked) || tries > 50) throw error
        await systemClock.sleep(5)
      }
    }
    assert.equal((await findNode(db, uuid))?.provision_state, 'deploy failed')
    await eventually('is over', async () => (await findFlow(db, flow.id))?.state === 'aborted')
    assert.equal(undone, true)
    assert.equal((await findNode(db, uuid))?.last_error, 'deploy was aborted by request in state "wait call-back"')
    assert.equal((await findNode(db, uuid))?.lease, null)
    await engine.stop()
    await db.destroy()
  })
})

describe('a lease', () => {
  test('is held by one, and fences a former holder', async () => {
    const db = await freshDatabase()
    const uuid = await addNode(db, 'available')
    const lease = { holder: 'a', purpose: 'test', nowMs: 1000, forMs: 100, visible: true }
    const old = await takeLease(db, uuid, lease)
    await assert.rejects(takeLease(db, uuid, { ...lease, holder: 'b' }), NodeLocked)
    const current = await takeLease(db, uuid, { ...lease, holder: 'b', nowMs: 1101 })
    assert.ok(current > old)
    await assert.rejects(writeNode(db, uuid, old, { last_error: 'late' }, 1102), LeaseLost)
    await writeNode(db, uuid, current, { last_error: 'mine' }, 1102)
    assert.equal((await findNode(db, uuid))?.last_error, 'mine')
    await db.destroy()
  })

  test('lets only one of two flows begin', async () => {
    const db = await freshDatabase()
    const engine = engineOver(db, sample({ effects: [], heartbeat: false }))
    const uuid = await addNode(db, 'available')
    const begin = () => engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
    const results = await Promise.allSettled([begin(), begin(), begin()])
    assert.equal(results.filter(result => result.status === 'fulfilled').length, 1)
    await db.destroy()
  })
})
