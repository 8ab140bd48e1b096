/** A holder that hangs: its node is taken from it, the work goes on, and the former holder can do no harm any more. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '#db/database.ts'
import { findNode, LeaseLost } from '#db/nodes.ts'
import { freshUrl } from '#db/test-database.ts'
import type { FlowContext } from '#drivers/driver.ts'
import type { FlowDefinition } from './flow-definition.ts'
import { addNode, caller, engineOver, eventually, startEngine } from './test-engine.ts'

/** A deployment whose first pass hangs in its step until it is let go on. */
function hanging() {
  const { promise: freed, resolve: free } = Promise.withResolvers<void>()
  const passes: { ctx: FlowContext; after?: unknown }[] = []
  const effects: string[] = []
  const flow: FlowDefinition = {
    kind: 'deploy',
    async run(ctx) {
      const pass: (typeof passes)[number] = { ctx }
      passes.push(pass)
      const isFirst = passes.length === 1
      try {
        await ctx.flow.once('hang', async () => {
          if (isFirst) await freed
        })
        await ctx.flow.once('touch the machine', async () => void effects.push(isFirst ? 'former' : 'present'))
      } catch (error) {
        pass.after = error
        throw error
      }
      return 'done'
    },
  }
  return { flow, passes, effects, free }
}

test('a node is taken from a pass that hangs; the work is done anew and the former pass changes nothing', async () => {
  const { flow, passes, effects, free } = hanging()
  await using world = await startEngine(flow)
  const { db, engine } = world
  const nodeUuid = await addNode(db, 'available')
  await engine.begin({ nodeUuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  await eventually('the first pass hangs', async () => passes.length === 1)

  const lease = await engine.unlock(nodeUuid, caller)
  assert.deepEqual([lease?.holder, lease?.purpose], ['host-1', 'deploy'])
  await eventually('it is active', async () => (await world.node(nodeUuid)).provision_state === 'active')

  const before = await world.node(nodeUuid)
  free()
  await eventually('the former pass finds out', async () => passes[0]?.after !== undefined)
  assert.ok(passes[0]?.after instanceof LeaseLost, String(passes[0]?.after))
  const write = passes[0]?.ctx.flow.write({ extra: { by: 'former' } })
  await assert.rejects(write ?? Promise.resolve(), LeaseLost)
  assert.deepEqual(effects, ['present'])
  assert.deepEqual(await world.node(nodeUuid), before)
  assert.equal(await engine.unlock(nodeUuid, caller), undefined, 'nobody holds it any more')
})

test('a holder in another process that still believes to hold the node writes nothing', async () => {
  const { flow, passes, effects, free } = hanging()
  const url = await freshUrl()
  const [db, second] = [await openDatabase(url), await openDatabase(url)]
  const [former, present] = [engineOver(db, flow), engineOver(second, flow, { hostname: 'host-2' })]
  await former.start()
  const nodeUuid = await addNode(db, 'available')
  await former.begin({ nodeUuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  await eventually('the first pass hangs', async () => passes.length === 1)

  // The other process hears nothing of it: only the rows stand between it and the node.
  await present.start()
  assert.equal((await present.unlock(nodeUuid, caller))?.holder, 'host-1')
  await eventually('it is active', async () => (await findNode(second, nodeUuid))?.provision_state === 'active')
  free()
  await eventually('the former holder finds out', async () => passes[0]?.after !== undefined)
  assert.ok(passes[0]?.after instanceof LeaseLost, String(passes[0]?.after))
  assert.deepEqual(effects, ['present'])
  await Promise.all([former.stop(), present.stop()])
  await Promise.all([db.destroy(), second.destroy()])
})
