/**
 * A machine that only its own agent reaches: restarted by it, and never switched on or off. Real engine, driver and
 * HTTP; the agent is a server of the test's own that goes away when it is told to restart.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { findAgent, issueToken, recordHeartbeat } from '#db/agents.ts'
import agentPower from '#drivers/agent/agent-power.ts'
import direct from '#drivers/agent/direct.ts'
import { removeRamdisk } from '#drivers/agent/ramdisk.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { powerTo } from '#drivers/power.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { Shared } from '../shared.ts'
import { addNode, caller, eventually, startEngine } from '../test-engine.ts'
import { power as powerFlow } from './power.ts'

/** What the agent does when it is told to restart: goes away, fails, or is killed before it can answer. */
type Restart = 'goes' | 'fails' | 'says nothing'

async function world(restart: Restart, body: FlowDefinition['run']) {
  const asked: string[] = []
  let status = 'RUNNING'
  const agent = createServer((request, response) => {
    const answer = (code: number, json: object) =>
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    const ran = { id: '1', command_name: 'run_image', command_result: null }
    const error =
      status === 'FAILED' ? { type: 'SystemRebootError', message: 'no', details: 'ignored', code: 500 } : null
    const command = () => ({ ...ran, command_status: status, command_error: error })
    if (request.method === 'GET') {
      const told = asked.includes('standby.run_image')
      if (told && status === 'RUNNING') return void request.socket.destroy()
      return void answer(200, { commands: told ? [command()] : [] })
    }
    let text = ''
    request.on('data', chunk => {
      text += chunk
    })
    request.on('end', () => {
      const { name } = JSON.parse(text)
      asked.push(name)
      if (name === 'standby.sync')
        return void answer(200, { ...command(), command_name: 'sync', command_status: 'SUCCEEDED' })
      if (restart === 'fails') status = 'FAILED'
      if (restart === 'says nothing') return void request.socket.destroy()
      answer(200, { ...ran, command_status: 'RUNNING', command_error: null })
    })
  }).listen(0, '127.0.0.1')
  await once(agent, 'listening')
  const url = `http://127.0.0.1:${(agent.address() as AddressInfo).port}` // it listens on TCP
  const removed: string[] = []
  const interfaces = {
    power: agentPower,
    boot: { cleanUpRamdisk: async () => void removed.push('boot') },
    network: { detach: async () => void removed.push('network') },
  }
  const shared = new Shared()
  const config = await loadConfig({
    overrides: { deploy: { fast_track: true }, agent: { max_command_attempts: 1, deploy_logs_collect: 'never' } },
  })
  const known = { url, verify_ca: null, token: 'x', heartbeat_at: timestamp(Date.now()) }
  const context = { config, interfaces, shared: shared.get, agent: known }
  const work: FlowDefinition = { kind: 'work', stateless: true, run: body }
  const engine = await startEngine([work, powerFlow], { context })
  const uuid = await addNode(engine.db, 'available', { power_interface: 'agent', power_state: 'power on' })
  await issueToken(engine.db, uuid, { token: 'x', address: '192.0.2.1' })
  const beat = { url, version: '1', verify_ca: null, status: null, status_message: null, at: timestamp(Date.now()) }
  await recordHeartbeat(engine.db, uuid, 'x', beat)
  return {
    asked,
    removed,
    agent: () => findAgent(engine.db, uuid),
    /** Runs a flow to its end. @returns its last_error */
    async flow(kind: string, args: object = {}): Promise<string | null> {
      await engine.engine.begin({ nodeUuid: uuid, kind, args: { ...args }, event: null, caller })
      await eventually('ends', async () => (await engine.node(uuid)).lease === null)
      return (await engine.node(uuid)).last_error
    },
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]()
      await shared.dispose()
      agent.closeAllConnections()
      agent.close()
    },
  }
}

const handOver = async (ctx: FlowContext) => {
  for (const name of ['tear_down_agent', 'boot_instance']) {
    await direct.steps.find(({ step }) => step === name)?.run(ctx, {})
  }
  return null
}

test('a deployment ends with a restart by the agent, after its disks were flushed', async () => {
  await using w = await world('goes', handOver)
  assert.equal(await w.flow('work'), null)
  assert.deepEqual(w.asked, ['standby.sync', 'standby.run_image'])
  assert.equal((await w.agent())?.url, null, 'the agent of that boot is forgotten')
  assert.equal((await w.agent())?.token, null)
})

test('an agent that dies of the request has restarted; one that fails it is a failure', async () => {
  await using silent = await world('says nothing', handOver)
  assert.equal(await silent.flow('work'), null)
  await using failing = await world('fails', handOver)
  assert.match((await failing.flow('work')) ?? '', /The agent failed standby\.run_image: SystemRebootError: ignored/)
  assert.notEqual((await failing.agent())?.url, null)
})

test('both kinds of reboot are the same; what needs a switch is refused, and what must end well leaves it on', async () => {
  for (const target of ['rebooting', 'soft rebooting']) {
    await using w = await world('goes', handOver)
    assert.equal(await w.flow('power', { target }), null)
    assert.deepEqual(w.asked, ['standby.run_image'], target)
    assert.equal((await w.agent())?.url, null)
  }
  await using w = await world('goes', async ctx => {
    await removeRamdisk(ctx, 'clean', { powerOff: true })
    await powerTo(ctx, 'off', 'power off')
    return null
  })
  assert.match((await w.flow('work')) ?? '', /to "power off": its power interface agent can only restart it/)
  assert.deepEqual([w.asked, w.removed], [[], ['boot', 'network']])
})
