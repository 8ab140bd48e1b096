/** RAID by the agent, from the step to the node's row, over HTTP to an agent that remembers what it was asked. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Shared } from '#conductor/shared.ts'
import { addNode, caller, eventually, startEngine } from '#conductor/test-engine.ts'
import { loadConfig } from '#config/load.ts'
import type { StepKind } from '../step.ts'
import raid from './raid.ts'

type Json = Record<string, unknown>
const root = { raid_level: '1', size_gb: 100, controller: 'software', is_root_volume: true }
const data = { raid_level: '0', size_gb: 'MAX', controller: 'software' }
const target = { logical_disks: [root, data] }

/** Runs a step of a kind on a node; what the agent was asked, and what became of the node. */
async function ran(
  kind: StepKind,
  name: string,
  given: { args?: Json; node?: Json; result?: unknown; mute?: number },
): Promise<{ asked: Json[]; state: string; error: string | null; raid_config: unknown; properties: Json }> {
  const asked: Json[] = []
  const commands: Json[] = []
  let requests = 0
  const agent = createServer(async (request: IncomingMessage, response) => {
    requests++
    if (requests > 1 && requests <= 1 + (given.mute ?? 0)) return void response.destroy()
    const answer = (body: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (request.method === 'GET') {
      const id = /commands\/([^/?]+)/.exec(request.url ?? '')?.[1]
      answer(id ? commands.find(command => command.id === id) : { commands })
      return
    }
    const { params } = JSON.parse(await text(request)) as { params: Json } // as the client sends it
    asked.push(params)
    const command_result = {
      [`${kind}_result`]: given.result ?? null,
      [`${kind}_step`]: { interface: 'raid', step: name },
    }
    const command_name = `execute_${kind}_step`
    commands.push({ id: 'c1', command_name, command_status: 'SUCCEEDED', command_error: null, command_result })
    answer(commands[0])
  })
  agent.listen(0, '127.0.0.1')
  await once(agent, 'listening')
  const url = `http://127.0.0.1:${(agent.address() as AddressInfo).port}` // it listens on TCP
  const step = raid.steps.find(one => one.step === name && one.kinds.includes(kind))
  assert.ok(step, `there is a ${kind} step ${name}`)
  const shared = new Shared()
  const context = {
    config: await loadConfig({ overrides: {} }),
    agent: { url, verify_ca: null, token: 'x' },
    ports: [],
    agentVersions: {},
    shared: shared.get,
  }
  const definition = {
    kind: 'clean' as const,
    async run(ctx: Parameters<typeof step.run>[0]) {
      await step.run({ ...ctx, stepId: 'step 1' }, given.args ?? {})
      return 'done'
    },
  }
  await using world = await startEngine(definition, { context })
  const uuid = await addNode(world.db, 'manageable', given.node)
  await world.engine.begin({ nodeUuid: uuid, kind: 'clean', args: {}, event: 'provide', caller })
  await eventually('ends', async () => (await world.node(uuid)).lease === null)
  const node = await world.node(uuid)
  await shared.dispose()
  agent.closeAllConnections()
  agent.close()
  const { provision_state: state, last_error: error, raid_config, properties } = node
  return { asked, state, error, raid_config, properties }
}

test('what the agent built becomes raid_config, with what follows from its root volume', async () => {
  const end = await ran('clean', 'create_configuration', { node: { target_raid_config: target }, result: target })
  assert.equal(end.error, null)
  const [{ node, step }] = end.asked as [{ node: Json; step: Json }]
  assert.deepEqual(node.target_raid_config, target)
  assert.deepEqual(step, { interface: 'raid', step: 'create_configuration', args: {}, priority: 0 })
  const { logical_disks, last_updated } = end.raid_config as Json
  assert.deepEqual(logical_disks, target.logical_disks)
  assert.match(String(last_updated), /^\d{4}-/)
  assert.deepEqual(end.properties, { local_gb: 100, capabilities: 'raid_level:1' })
})

test('the agent is asked for the part that is wanted', async () => {
  const args = { create_nonroot_volumes: false }
  const result = { logical_disks: [root] }
  const end = await ran('clean', 'create_configuration', { args, node: { target_raid_config: target }, result })
  const [{ node }] = end.asked as [{ node: Json }]
  assert.deepEqual(node.target_raid_config, { logical_disks: [root] })
  assert.deepEqual((end.raid_config as Json).logical_disks, [root])
})

test('deleting leaves no RAID in the row, and no root device that was one', async () => {
  const node = { raid_config: target, properties: { root_device: { wwn: '1' }, local_gb: 5 } }
  const end = await ran('service', 'delete_configuration', { node })
  assert.deepEqual([end.error, end.raid_config, end.properties], [null, {}, { local_gb: 5 }])
})

test('a deployment applies the configuration of its argument', async () => {
  const args = { raid_config: target, delete_existing: 'no' }
  const end = await ran('deploy', 'apply_configuration', { args, result: target })
  const [{ step }] = end.asked as [{ step: Json }]
  assert.deepEqual(step.args, { raid_config: target, delete_existing: false })
  assert.deepEqual((end.raid_config as Json).logical_disks, target.logical_disks)
})

const refused: [what: string, run: Parameters<typeof ran>, message: RegExp][] = [
  ['nothing to build', ['clean', 'create_configuration', {}], /found nothing in its target_raid_config/],
  [
    'a configuration that cannot be made',
    ['deploy', 'apply_configuration', { args: { raid_config: { logical_disks: [{ ...root, raid_level: '5' }] } } }],
    /raid_level 5, expected 1 for the first/,
  ],
]
for (const [what, run, message] of refused) {
  test(`${what}: the agent is not asked`, async () => {
    const end = await ran(...run)
    assert.match(end.error ?? '', message)
    assert.deepEqual(end.asked, [])
  })
}

test('an agent that does not say what it built is a failure', async () => {
  const end = await ran('clean', 'create_configuration', { node: { target_raid_config: target }, result: {} })
  assert.match(end.error ?? '', /built RAID and did not say which: found \{\}/)
  assert.deepEqual(end.raid_config, {})
})

test('an agent that answers nothing for a moment is asked again before the step begins', async () => {
  // Twice as often as the client itself asks again.
  const end = await ran('clean', 'create_configuration', {
    node: { target_raid_config: target },
    result: target,
    mute: 6,
  })
  assert.equal(end.error, null)
  assert.equal(end.asked.length, 1)
})

test('a wanted configuration is looked at when the node is validated', async () => {
  const validate = (target_raid_config: Json) =>
    raid.validate({ node: { target_raid_config } } as unknown as Parameters<typeof raid.validate>[0]) // all it looks at
  await validate({})
  await validate(target)
  await assert.rejects(validate({ logical_disks: [data] }), /raid_level 0, expected 1 for the first/)
})
