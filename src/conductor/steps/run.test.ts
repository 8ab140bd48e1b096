/**
 * Steps on an agent: the real conductor over fake hardware, with a small agent of its own over real HTTP that calls
 * whenever its machine is switched on.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig, type Overrides } from '#config/load.ts'
import { findAgent, issueToken, recordHeartbeat } from '#db/agents.ts'
import { eventsOf } from '#db/events.ts'
import { listHistoryRows } from '#db/history-rows.ts'
import { findNode, type Node } from '#db/nodes.ts'
import { freshDatabase } from '#db/test-database.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import type { ProvisionState, Verb } from '#protocol/states.ts'
import type { ProvisionRequest } from '../conductor.ts'
import { createConductor } from '../service.ts'
import { addNode, caller } from '../test-engine.ts'

interface OfferedStep {
  step: string
  interface: string
  priority: number
  reboot_requested?: boolean
  abortable?: boolean
}

/** What the agent says and does; the test changes it. */
class Agent {
  steps: OfferedStep[] = [
    { step: 'one', interface: 'deploy', priority: 20, abortable: true },
    { step: 'two', interface: 'deploy', priority: 10 },
  ]
  version = '1'
  /** Steps that were run, and boots, in order. */
  readonly did: string[] = []
  /** Steps that do not end before they are taken out. */
  readonly endless = new Set<string>()
  /** Takes the password, and is gone before its answer leaves. */
  closed = false
  password = ''
  /** Called when a step is asked for, before versions are compared. */
  onStep: (step: string) => void = () => {}
  #commands: Record<string, unknown>[] = []

  boots(): void {
    this.#commands = []
    this.did.push('boot')
  }

  answer(path: string, body: { name: string; params: Record<string, unknown> } | null): unknown {
    for (const command of this.#commands) {
      if (command.command_status === 'RUNNING' && !this.endless.has(String(command.step)))
        command.command_status = 'SUCCEEDED'
    }
    if (body === null) {
      const id = path.split('/').pop()
      return id ? this.#commands.find(command => command.id === id) : { commands: this.#commands }
    }
    const [kind = '', name = ''] = body.name.split('.')
    const command = {
      id: crypto.randomUUID(),
      command_name: name,
      command_error: null,
      command_result: null as unknown,
    }
    const end = (command_status: string, more: object = {}) => {
      const whole = { ...command, command_status, ...more }
      this.#commands.push(whole)
      return whole
    }
    if (name === `get_${kind}_steps`) {
      const command_result = { [`${kind}_steps`]: { M: this.steps }, hardware_manager_version: { m: this.version } }
      return end('SUCCEEDED', { command_result })
    }
    if (name === 'finalize_rescue') {
      this.password = String(body.params.rescue_password)
      this.closed = true
      return undefined
    }
    const { step } = body.params as { step: { step: string } } // as the conductor sends it
    this.onStep(step.step)
    const wanted = body.params[`${kind}_version`] as { m: string }
    if (wanted.m !== this.version) return end(kind === 'clean' ? 'CLEAN_VERSION_MISMATCH' : 'VERSION_MISMATCH')
    this.did.push(step.step)
    return end('RUNNING', { step: step.step })
  }
}

async function startWorld(overrides: Overrides = {}) {
  const config = await loadConfig({
    overrides: {
      ...overrides,
      DEFAULT: {
        enabled_hardware_types: ['fake-hardware'],
        enabled_boot_interfaces: ['fake'],
        enabled_rescue_interfaces: ['agent', 'no-rescue'],
      },
      ferrite: { poll_interval_ms: 100, agent_lost_timeout: 5 },
      // This agent knows steps and nothing else.
      agent: { ...overrides.agent, deploy_logs_collect: 'never' },
    },
  })
  const agent = new Agent()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = request.method === 'POST' ? JSON.parse(Buffer.concat(chunks).toString()) : null
    const answer = agent.answer(new URL(request.url ?? '/', 'http://agent').pathname, body)
    if (agent.closed) {
      request.socket.destroy()
      return
    }
    response
      .writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
      .end(JSON.stringify(answer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on TCP
  const db = await freshDatabase()
  const registry = await loadRegistry(config)
  const portsChanged = async () => {}
  const conductor = createConductor({ db, config, registry, clock: systemClock, log: silent, portsChanged })
  await conductor.start()

  /** The machine: whenever it is on and nobody has called, its agent does. */
  const stop = new AbortController()
  const machines = new Set<string>()
  const beat = async (uuid: string) => {
    // In this order: a machine that is switched off between the two looks has not booted.
    const row = await findAgent(db, uuid)
    const node = await findNode(db, uuid)
    if (node?.power_state !== 'power on' || row?.url) return
    const token = 'x'.repeat(40)
    await issueToken(db, uuid, { token, address: '127.0.0.1' })
    agent.boots()
    const about = { version: '1', verify_ca: null, status: null, status_message: null }
    await recordHeartbeat(db, uuid, token, { url, ...about, at: timestamp(Date.now()) })
    await conductor.wake(uuid, 'heartbeat')
  }
  const life = (async () => {
    while (!stop.signal.aborted) {
      for (const uuid of machines) await beat(uuid)
      await sleep(5)
    }
  })()

  const node = async (uuid: string): Promise<Node> => {
    const found = await findNode(db, uuid)
    assert.ok(found)
    return found
  }
  return {
    agent,
    db,
    node,
    conductor,
    async add(state: ProvisionState): Promise<string> {
      const given = { deploy_interface: 'direct', rescue_interface: 'agent' }
      const interfaces = registry.interfacesFor('fake-hardware', given)
      const driver_info = { rescue_kernel: 'http://192.0.2.1/k', rescue_ramdisk: 'http://192.0.2.1/r' }
      const more = { driver: 'fake-hardware', driver_info, ...interfaces, power_state: 'power off' }
      const uuid = await addNode(db, state, more)
      machines.add(uuid)
      return uuid
    },
    async ask(uuid: string, verb: Verb, request: ProvisionRequest = {}): Promise<void> {
      await conductor.provision(await node(uuid), verb, request, caller)
    },
    async until(uuid: string, ready: (now: Node) => boolean): Promise<Node> {
      const endMs = Date.now() + 60_000
      for (;;) {
        const now = await node(uuid)
        if (ready(now)) return now
        assert.ok(Date.now() < endMs, `still ${now.provision_state}: ${now.last_error}; ${agent.did}`)
        await sleep(5)
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await life
      await conductor.stop()
      server.closeAllConnections()
      server.close()
      await db.destroy()
    },
  }
}

const rests = (state: ProvisionState) => (now: Node) => now.provision_state === state && now.lease === null
const listed = (...steps: string[]) => ({ clean_steps: steps.map(step => ({ interface: 'deploy', step })) })

describe('steps on an agent', { concurrency: true }, () => {
  test('automated cleaning begins anew when other hardware managers are there', async () => {
    await using world = await startWorld()
    const { agent } = world
    agent.onStep = step => {
      if (step !== 'two' || agent.version !== '1') return
      agent.version = '2'
      agent.steps.push({ step: 'three', interface: 'deploy', priority: 15 })
    }
    const uuid = await world.add('manageable')
    await world.ask(uuid, 'provide')
    await world.until(uuid, rests('available'))
    assert.deepEqual(agent.did, ['boot', 'one', 'one', 'three', 'two'])
  })

  test('listed steps go on where they were when other hardware managers are there', async () => {
    await using world = await startWorld()
    const { agent } = world
    agent.onStep = step => {
      if (step === 'two') agent.version = '2'
    }
    const uuid = await world.add('manageable')
    await world.ask(uuid, 'clean', listed('one', 'two', 'one'))
    await world.until(uuid, rests('manageable'))
    assert.deepEqual(agent.did, ['boot', 'one', 'two', 'one'])
  })

  test('hardware managers that are never the same twice end in an explained failure', async () => {
    await using world = await startWorld()
    const { agent } = world
    agent.onStep = () => {
      agent.version = crypto.randomUUID()
    }
    const uuid = await world.add('manageable')
    await world.ask(uuid, 'provide')
    const { last_error } = await world.until(uuid, rests('clean failed'))
    assert.match(last_error ?? '', /hardware managers of the agent changed 5 times/)
  })

  test('a step that wants a reboot, and one that the caller lists, boot the ramdisk again before the next', async () => {
    await using world = await startWorld()
    const { agent } = world
    agent.steps[0] = { step: 'one', interface: 'deploy', priority: 0, reboot_requested: true }
    const uuid = await world.add('manageable')
    await world.ask(uuid, 'clean', listed('one', 'two', 'reboot', 'two', 'power_off', 'power_on', 'two'))
    await world.until(uuid, rests('manageable'))
    assert.deepEqual(agent.did, ['boot', 'one', 'boot', 'two', 'boot', 'two', 'boot', 'two'])
  })

  test('what is wrong with a list is told before the machine is touched, where it is known', async () => {
    await using world = await startWorld()
    const uuid = await world.add('manageable')
    const args = { seconds: 1, colour: 'red' }
    await world.ask(uuid, 'clean', { clean_steps: [{ interface: 'deploy', step: 'wait', args }] })
    const { last_error, maintenance } = await world.until(uuid, rests('clean failed'))
    assert.match(last_error ?? '', /deploy\.wait has no argument "colour"; it takes seconds/)
    assert.deepEqual([maintenance, world.agent.did], [false, []])
  })

  test('an abort lets a step that must not be cut off end, and cuts off another', async () => {
    for (const [step, did] of [
      ['one', ['boot', 'one']],
      ['two', ['boot', 'two']],
    ] as const) {
      await using world = await startWorld()
      const { agent } = world
      agent.endless.add(step)
      const uuid = await world.add('manageable')
      await world.ask(uuid, 'clean', listed(step, 'one', 'two'))
      await world.until(uuid, now => agent.did.includes(step) && now.provision_state === 'clean wait')
      await world.ask(uuid, 'abort')
      if (step === 'two') {
        assert.equal((await world.node(uuid)).provision_state, 'clean wait')
        agent.endless.clear()
      }
      const { maintenance } = await world.until(uuid, rests('clean failed'))
      assert.deepEqual([agent.did, maintenance], [did, false])
    }
  })

  test('a node in maintenance waits for its agent until that is lifted', async () => {
    await using world = await startWorld()
    const { agent } = world
    agent.endless.add('one')
    const uuid = await world.add('manageable')
    await world.ask(uuid, 'clean', listed('one', 'two'))
    await world.until(uuid, now => agent.did.includes('one') && now.provision_state === 'clean wait')
    await world.conductor.withNode(uuid, 'test', held => held.write({ maintenance: true }))
    agent.endless.clear()
    await sleep(300)
    assert.deepEqual([(await world.node(uuid)).provision_state, agent.did], ['clean wait', ['boot', 'one']])
    await world.conductor.withNode(uuid, 'test', held => held.write({ maintenance: false }))
    await world.until(uuid, rests('manageable'))
  })

  test('a node that is put in maintenance while it waits fails where that is not allowed', async () => {
    await using world = await startWorld({ conductor: { allow_provisioning_in_maintenance: false } })
    world.agent.endless.add('one')
    const uuid = await world.add('manageable')
    await world.ask(uuid, 'clean', listed('one'))
    await world.until(uuid, now => world.agent.did.includes('one') && now.provision_state === 'clean wait')
    await world.conductor.withNode(uuid, 'test', held => held.write({ maintenance: true, maintenance_reason: 'cable' }))
    const { last_error } = await world.until(uuid, rests('clean failed'))
    assert.match(last_error ?? '', /was put in maintenance \(cable\).*allow_provisioning_in_maintenance forbids/)
  })

  test('a servicing whose agent fails a step leaves the node in maintenance, and abort brings the instance back', async () => {
    await using world = await startWorld()
    const uuid = await world.add('active')
    world.agent.steps = []
    await world.ask(uuid, 'service', { service_steps: [{ interface: 'deploy', step: 'one' }] })
    const failed = await world.until(uuid, rests('service failed'))
    // No step had begun, so the instance is back already.
    assert.deepEqual([failed.maintenance, failed.power_state, failed.fault], [false, 'power on', null])
    await world.ask(uuid, 'abort')
    await world.until(uuid, rests('active'))
  })

  test('a rescue whose agent closed its API before the answer left is done, and keeps no password', async () => {
    await using world = await startWorld()
    const uuid = await world.add('active')
    await world.ask(uuid, 'rescue', { rescue_password: 'open sesame' })
    const node = await world.until(uuid, rests('rescue'))
    assert.match(world.agent.password, /^\$5\$/)
    assert.deepEqual(node.instance_info, {})
    const rows = [
      node,
      await world.db.selectFrom('flows').selectAll().execute(),
      await world.db.selectFrom('flow_steps').selectAll().execute(),
      await eventsOf(world.db, uuid, { limit: 1000 }),
    ]
    assert.doesNotMatch(JSON.stringify(rows), /sesame|\$5\$/)
  })

  test('the history tells every action, who asked and on which conductor', async () => {
    await using world = await startWorld()
    const uuid = await world.add('manageable')
    await world.ask(uuid, 'clean', listed('hold'))
    await world.until(uuid, rests('clean hold'))
    await world.ask(uuid, 'unhold')
    await world.until(uuid, rests('manageable'))
    const events = await eventsOf(world.db, uuid, { limit: 100 })
    const moves = events
      .filter(event => event.kind === 'provision state')
      .map(({ data }) => `${data.from} to ${data.to}`)
    assert.deepEqual(moves, [
      'manageable to cleaning',
      'cleaning to clean hold',
      'clean hold to clean wait',
      'clean wait to cleaning',
      'cleaning to manageable',
    ])
    assert.ok(events.every(event => event.data.conductor === world.conductor.hostname))
    const unheld = events.find(event => event.data.to === 'clean wait')
    assert.deepEqual([unheld?.data.user, unheld?.data.project], ['tester', 'project-1'])
    assert.deepEqual(
      events.filter(event => event.kind === 'requested').map(({ data }) => [data.user, data.project]),
      Array(2).fill(['tester', 'project-1']),
    )
    const { rows } = await listHistoryRows(
      world.db,
      uuid,
      { limit: 100, sortKey: 'id', descending: false },
      { withSteps: true },
    )
    assert.ok(rows.every(row => row.requested_by === 'tester' && row.requested_project === 'project-1'))
  })
})
