/** PostgreSQL goes away in mid-step and comes back: the flow is neither lost nor failed, and its step's record decides. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '#db/database.ts'
import { findNode } from '#db/nodes.ts'
import { startPostgres } from '#db/test-server.ts'
import type { FlowDefinition } from './flow-definition.ts'
import { addNode, caller, engineOver, eventually } from './test-engine.ts'

test('a database that is away for a while fails no flow', async () => {
  const server = await startPostgres()
  const db = await openDatabase(await server.create('outage'), { statementTries: 2, statementIntervalMs: 50 })
  let passes = 0
  const effects: string[] = []
  const flow: FlowDefinition = {
    kind: 'deploy',
    async run(ctx) {
      passes += 1
      await ctx.flow.once('first', async () => void effects.push('first'))
      await ctx.flow.once('second', async () => {
        if (passes === 1) await server.kill()
        effects.push('second')
      })
      return 'done'
    },
  }
  const engine = engineOver(db, flow)
  await engine.start()
  const nodeUuid = await addNode(db, 'available')
  await engine.begin({ nodeUuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  await eventually('the step is done and cannot be recorded', async () => effects.includes('second'))
  await server.restart()
  const state = async () => (await findNode(db, nodeUuid))?.provision_state
  await eventually('it is active', async () => (await state()) === 'active')
  assert.deepEqual(effects, ['first', 'second', 'second'], 'what was not recorded is done again, the rest is not')
  assert.equal((await findNode(db, nodeUuid))?.last_error, null)
  await engine.stop()
  await db.destroy()
  await server.stop()
})
