import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { issueToken, recordHeartbeat } from '#db/agents.ts'
import direct from '#drivers/agent/direct.ts'
import { HardwareFault } from '#drivers/driver.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { Shared } from '../shared.ts'
import { addNode, caller, eventually, startEngine } from '../test-engine.ts'

const definition: FlowDefinition = {
  kind: 'deploy',
  async run(ctx) {
    await direct.steps.find(step => step.step === 'tear_down_agent')?.run(ctx, {})
    return 'done'
  },
}

class BmcAway extends HardwareFault {
  override get mayPass(): boolean {
    return true
  }
}

/** What a node ends in whose agent answers every command like this while it is to be torn down. */
async function ending(
  answer: { status: number; body: object },
  driver_info: object,
  { bmcAway = 0, asked = [] as string[] } = {},
): Promise<[string, string | null]> {
  let away = bmcAway
  const agent = createServer((_, response) => {
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
  }).listen(0, '127.0.0.1')
  await once(agent, 'listening')
  const address = agent.address()
  assert.ok(typeof address === 'object' && address !== null)
  const url = `http://127.0.0.1:${address.port}`
  let state = 'power on'
  const power = {
    async get() {
      if (away-- > 0) throw new BmcAway('The BMC answered 503')
      return state
    },
    async set(_: unknown, to: string) {
      asked.push(to)
      state = to
    },
  }
  const overrides = {
    agent: { post_deploy_get_power_state_retries: 0, post_deploy_get_power_state_retry_interval: 0 },
  }
  const shared = new Shared()
  const context = {
    config: await loadConfig({ overrides }),
    agent: { url, verify_ca: null, token: 'x' },
    interfaces: { power },
    shared: shared.get,
  }
  await using world = await startEngine(definition, { context })
  const uuid = await addNode(world.db, 'available', { driver_info })
  await issueToken(world.db, uuid, { token: 'x', address: '192.0.2.1' })
  const beat = { url, version: '1', verify_ca: null, status: null, status_message: null, at: '' }
  await recordHeartbeat(world.db, uuid, 'x', beat)
  await world.engine.begin({ nodeUuid: uuid, kind: 'deploy', args: {}, event: 'deploy', caller })
  await eventually('ends', async () => (await world.node(uuid)).lease === null)
  const { provision_state, last_error } = await world.node(uuid)
  await shared.dispose()
  agent.closeAllConnections()
  agent.close()
  return [provision_state, last_error]
}

test('an agent that is busy switching the machine off already, told so before a restart, is no failure', async () => {
  const busy = { status: 409, body: { faultstring: 'Agent is busy executing command power_off' } }
  assert.deepEqual(await ending(busy, {}), ['active', null])
})

test('an agent that could not flush its disks is a failure: power would be cut over unwritten data', async () => {
  const command = { id: '1', command_name: 'sync', command_status: 'FAILED', command_result: null }
  const command_error = { type: 'CommandExecutionError', code: 500, message: 'sync failed', details: 'sda: I/O error' }
  const answer = { status: 200, body: { ...command, command_error } }
  const [state, error] = await ending(answer, { deploy_forces_oob_reboot: true })
  assert.equal(state, 'deploy failed')
  assert.match(error ?? '', /standby\.sync.*I\/O error/)
})

test('a machine that its agent does not switch off is switched off by force', async () => {
  const asked: string[] = []
  const refused = { status: 500, body: { faultstring: 'no such command' } }
  assert.deepEqual(await ending(refused, {}, { asked }), ['active', null])
  assert.deepEqual(asked, ['power off'])
  // Told so, and silent: the same, also when the BMC is away for a look.
  const command = { id: '1', command_name: 'power_off', command_status: 'RUNNING', command_result: null }
  const told = { status: 200, body: { ...command, command_error: null } }
  assert.deepEqual(await ending(told, {}, { asked, bmcAway: 1 }), ['active', null])
  assert.deepEqual(asked, ['power off', 'power off'])
})

test('deploy_forces_oob_reboot: the disks are flushed, and the BMC does the rest', async () => {
  const asked: string[] = []
  const command = { id: '1', command_name: 'sync', command_status: 'SUCCEEDED', command_result: null }
  const synced = { status: 200, body: { ...command, command_error: null } }
  for (const yes of [true, 'true', 'Yes']) {
    assert.deepEqual(await ending(synced, { deploy_forces_oob_reboot: yes }, { asked }), ['active', null])
  }
  assert.deepEqual(asked, ['power off', 'power off', 'power off'])
})
