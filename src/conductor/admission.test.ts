import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { findFlow } from '#db/flows.ts'
import { systemClock } from '#lib/clock.ts'
import { awaitPlace, fairOrder, handOutAll } from './admission.ts'
import type { FlowDefinition } from './flow-definition.ts'
import { addNode, caller, eventually, startEngine } from './test-engine.ts'

const asked = (...projects: string[]) => projects.map((project, index) => ({ project, name: `${project}${index}` }))
const names = (order: readonly { name: string }[]) => order.map(one => one.name).join(' ')

test('projects take turns, and who has places already comes later', () => {
  assert.equal(names(fairOrder([], asked('a', 'a', 'a', 'b', 'c'))), 'a0 b3 c4 a1 a2')
  assert.equal(names(fairOrder([{ project: 'a', places: 2 }], asked('a', 'b', 'b', 'b'))), 'b1 b2 a0 b3')
  assert.equal(names(fairOrder([{ project: 'b', places: 1 }], asked('a', 'a', 'b'))), 'a0 a1 b2')
  assert.equal(names(fairOrder([], [])), '')
})

test('of six deployments two run at a time; the others wait in sight and come to their turn', async () => {
  const { promise: open, resolve: finish } = Promise.withResolvers<void>()
  let inside = 0
  let most = 0
  const flow: FlowDefinition = {
    kind: 'deploy',
    async run(ctx) {
      await awaitPlace(ctx, 'deploy')
      await ctx.flow.once('work', async () => {
        inside += 1
        most = Math.max(most, inside)
        await open
        inside -= 1
      })
      return 'done'
    },
  }
  const config = await loadConfig({ overrides: { conductor: { max_concurrent_deploy: 2 } } })
  await using world = await startEngine(flow, { context: { config } })
  const { db, engine } = world
  const nodes: string[] = []
  for (const owner of ['a', 'a', 'a', 'a', 'b', 'b']) nodes.push(await addNode(db, 'available', { owner }))
  for (const nodeUuid of nodes) await engine.begin({ nodeUuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  const positions = async () => {
    const flows = await db.selectFrom('flows').select('id').orderBy('id').execute()
    return Promise.all(flows.map(async ({ id }) => (await findFlow(db, Number(id)))?.progress?.position ?? null))
  }
  await eventually('two are inside, four in the queue', async () => {
    await handOutAll({ db, clock: systemClock, config })
    const places = await positions()
    return inside === 2 && places.filter(place => place === null).length === 2
  })
  // Whoever came first has a place; those of "b" come before the third of "a".
  const places = await positions()
  assert.deepEqual(places.filter(place => place !== null).sort(), [1, 2, 3, 4])
  const waiting = nodes[places.indexOf(4)]
  assert.ok(waiting)
  const node = await world.node(waiting)
  assert.deepEqual([node.provision_state, node.reservation], ['wait call-back', null])
  await engine.abort(waiting, () => true, caller)
  await eventually('the last one gave up', async () => (await world.node(waiting)).provision_state === 'deploy failed')

  finish()
  await eventually('all others are active', async () => {
    for (const host of await handOutAll({ db, clock: systemClock, config })) engine.call(host)
    const states = await Promise.all(nodes.map(async uuid => (await world.node(uuid)).provision_state))
    return states.filter(state => state === 'active').length === 5
  })
  assert.equal(most, 2)
})
