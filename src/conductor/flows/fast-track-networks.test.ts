/**
 * Which networks a machine is in while its ramdisk goes from flow to flow, and what happens where the agent does not
 * find itself in the next one. Real engine and deploy interface; network, BMC and agent of the test's own.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { agentsOf, findAgent, issueToken, recordHeartbeat } from '#db/agents.ts'
import direct from '#drivers/agent/direct.ts'
import { removeRamdisk } from '#drivers/agent/ramdisk.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { timestamp } from '#protocol/field.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { Shared } from '../shared.ts'
import { addNode, caller, eventually, startEngine } from '../test-engine.ts'

/** A machine that runs a ramdisk, and everything that was asked of its surroundings, in order. */
async function world(options: { answersIn: readonly string[] }) {
  const asked: string[] = []
  const networks = new Set<string>()
  let state = 'power on'
  const agent = createServer((request, response) => {
    const reachable = options.answersIn.some(network => networks.has(network))
    if (!reachable) return void request.socket.destroy()
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"commands": []}')
  }).listen(0, '127.0.0.1')
  await once(agent, 'listening')
  const url = `http://127.0.0.1:${(agent.address() as AddressInfo).port}` // it listens on TCP
  const interfaces = {
    power: {
      get: async () => state,
      async set(_: unknown, to: string) {
        asked.push(to)
        state = to
      },
    },
    boot: { prepareRamdisk: async () => void asked.push('prepare boot'), cleanUpRamdisk: async () => {} },
    network: {
      async attach(_: unknown, network: string) {
        asked.push(`attach ${network}`)
        networks.add(network)
      },
      async detach(_: unknown, network: string) {
        asked.push(`detach ${network}`)
        networks.delete(network)
      },
    },
  }
  const shared = new Shared()
  const config = await loadConfig({
    overrides: { deploy: { fast_track: true, fast_track_timeout: 3 }, agent: { max_command_attempts: 1 } },
  })
  let body: (ctx: FlowContext) => Promise<void> = async () => {}
  const definition: FlowDefinition = {
    kind: 'clean',
    stateless: true,
    async run(ctx) {
      await body(ctx)
      return null
    },
  }
  const engine = await startEngine(definition, { context: { config, interfaces, shared: shared.get, agent: null } })
  const { db } = engine
  const uuid = await addNode(db, 'manageable')
  await issueToken(db, uuid, { token: 'x', address: '192.0.2.1' })
  const beat = { url, version: '1', verify_ca: null, status: null, status_message: null }
  await recordHeartbeat(db, uuid, 'x', { ...beat, at: timestamp(Date.now()) })
  return {
    asked,
    networks,
    /** Runs one flow that does this, with the agent as it is known now. @returns its last_error */
    async flow(work: (ctx: FlowContext) => Promise<void>): Promise<string | null> {
      asked.length = 0
      const withAgent = (ctx: FlowContext): FlowContext => ({
        ...ctx,
        fresh: async () => {
          const now = withAgent(await ctx.fresh())
          return { ...now, agent: (await findAgent(db, uuid)) ?? null }
        },
      })
      body = ctx => work(withAgent(ctx))
      await engine.engine.begin({ nodeUuid: uuid, kind: 'clean', args: {}, event: null, caller })
      await eventually('ends', async () => (await engine.node(uuid)).lease === null)
      return (await engine.node(uuid)).last_error
    },
    known: async () => (await agentsOf(db, [uuid])).get(uuid)?.url ?? null,
    async noted() {
      return (await engine.node(uuid)).driver_internal_info.fast_track_network
    },
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]()
      await shared.dispose()
      agent.closeAllConnections()
      agent.close()
    },
  }
}

const inspected = (ctx: FlowContext) => removeRamdisk(ctx, 'inspect', { powerOff: false, stays: true })
/** As far as the machine is prepared for cleaning; whether an agent then calls is another test's. */
const cleaned = async (ctx: FlowContext) => {
  await direct.prepareCleaning(ctx)
  await direct.tearDownCleaning(ctx, { powerOff: true, fastTrack: true })
}

test('a ramdisk keeps its network until the next flow has another one for it', async () => {
  await using w = await world({ answersIn: ['inspect', 'clean'] })
  w.networks.add('inspect')
  assert.equal(await w.flow(inspected), null)
  assert.deepEqual([w.asked, await w.noted()], [[], 'inspect'])
  assert.equal(await w.flow(cleaned), null)
  assert.deepEqual(w.asked, ['detach inspect', 'attach clean'])
  assert.deepEqual([[...w.networks], await w.noted()], [['clean'], 'clean'])
  // The same network again: nothing is taken away in between.
  assert.equal(await w.flow(cleaned), null)
  assert.deepEqual(w.asked, ['attach clean'])
})

test('a machine that does not find itself in the next network is booted there, and is left in no other', async () => {
  await using w = await world({ answersIn: ['inspect'] })
  w.networks.add('inspect')
  await w.flow(inspected)
  const stop = new Error('booted as far as this test goes')
  const error = await w.flow(async ctx => {
    const { boot } = ctx.interfaces
    const interfaces = { ...ctx.interfaces, boot: { ...boot, prepareRamdisk: () => Promise.reject(stop) } }
    const wrapped = (inner: FlowContext): FlowContext => ({
      ...inner,
      interfaces,
      fresh: async () => wrapped(await inner.fresh()),
    })
    await direct.prepareCleaning(wrapped(ctx))
  })
  assert.match(error ?? '', /booted as far as|internal/i)
  assert.deepEqual(w.asked, ['detach inspect', 'attach clean', 'power off', 'attach clean'])
  assert.deepEqual([[...w.networks], await w.noted(), await w.known()], [['clean'], undefined, null])
})
