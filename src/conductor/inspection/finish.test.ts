/** Inspections that end: rules of the API and of a file over what was found, what is written, what is kept, what is told. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import type { Db } from '#db/database.ts'
import { findFound, writeFound } from '#db/inspections.ts'
import { findInventory, findNode, type NodePatch, takeLease, writeNode } from '#db/nodes.ts'
import { objectTable } from '#db/objects.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { FlowContext } from '#drivers/driver.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { inspectionRuleFields } from '#protocol/inspection-rule.ts'
import { inspect } from '../flows/inspect.ts'
import { addNode, caller, eventually, startEngine } from '../test-engine.ts'
import { callApi } from './api-call.ts'
import { readBuiltInRules } from './built-in-rules.ts'
import { finishInspection } from './finish.ts'

const table = objectTable({ table: 'inspection_rules', fields: inspectionRuleFields, noun: 'inspection rule' })
const found = {
  inventory: { system_vendor: { manufacturer: 'Dell' }, interfaces: [] },
  plugin_data: { logs: 'a tar', rack: 1 },
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ferrite-rules-'))
  after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function world(overrides: Overrides = {}) {
  const config = await loadConfig({
    overrides: { DEFAULT: { enabled_hardware_types: ['redfish', 'fake-hardware'] }, ...overrides },
  })
  const registry = await loadRegistry(config)
  const context = {
    config,
    ports: [],
    portsChanged: async () => {},
    interfaces: {
      inspect: {
        inspect: (ctx: FlowContext) =>
          ctx.flow.once('find', () => writeFound(ctx.db, ctx.flow.nodeUuid, found, timestamp(0))),
        cleanUp: async () => {},
      },
    },
  }
  const running = await startEngine(inspect({ ...registry, allowBoots: async () => {} }), { context })
  return {
    ...running,
    async inspected(more: object = {}) {
      const uuid = await running.addNode('manageable')
      await running.db
        .updateTable('nodes')
        .set({ driver: 'redfish', ...more })
        .where('uuid', '=', uuid)
        .execute()
      await running.engine.begin({ nodeUuid: uuid, kind: 'inspect', args: {}, event: 'inspect', caller })
      await eventually('the inspection ends', async () => (await running.node(uuid)).lease === null)
      return running.node(uuid)
    },
  }
}

async function addRule(db: Db, rule: object): Promise<void> {
  const whole = {
    uuid: crypto.randomUUID(),
    description: null,
    priority: 0,
    phase: 'main',
    sensitive: false,
    conditions: [],
  }
  await table.insert(db, { ...whole, created_at: timestamp(0), ...rule })
}

test('rules change node and plugin data, and the inventory is kept without the logs', async () => {
  const path = join(await folder(), 'rules.yaml')
  await writeFile(
    path,
    '- actions: [{op: set-plugin-data, args: {path: seen, value: "{node.extra[vendor]}"}}]\n  priority: -5\n',
  )
  await using w = await world({ inspection_rules: { built_in_rules: path } })
  await addRule(w.db, {
    description: 'vendor',
    actions: [
      { op: 'set-attribute', args: { path: '/extra/vendor', value: '{inventory[system_vendor][manufacturer]}' } },
      { op: 'extend-attribute', args: { path: '/extra/seen', value: 1 } },
    ],
  })
  await addRule(w.db, {
    conditions: [{ op: 'is-true', args: { value: false } }],
    actions: [{ op: 'fail', args: { msg: 'x' } }],
  })
  const node = await w.inspected()
  assert.equal(node.provision_state, 'manageable', node.last_error ?? '')
  assert.deepEqual(node.extra, { vendor: 'Dell', seen: [1] })
  assert.deepEqual(await findInventory(w.db, node.uuid), {
    inventory: found.inventory,
    plugin_data: { rack: 1, seen: 'Dell' },
  })
  assert.equal(await findFound(w.db, node.uuid), undefined)
  const told = await w.db
    .selectFrom('events')
    .select('data')
    .where('kind', '=', 'inspection rules')
    .executeTakeFirstOrThrow()
  const { applied, skipped } = JSON.parse(told.data) as { applied: { did: string[] }[]; skipped: number }
  assert.deepEqual(
    [applied.map(rule => rule.did), skipped],
    [[['set-attribute /extra/vendor', 'extend-attribute /extra/seen'], ['set-plugin-data seen']], 1],
  )
})

test('a rule that fails fails the inspection, and changes and keeps nothing', async () => {
  await using w = await world()
  const actions = [
    { op: 'set-attribute', args: { path: '/extra/x', value: 1 } },
    { op: 'fail', args: { msg: 'not this one' } },
  ]
  await addRule(w.db, { description: 'gate', actions })
  const node = await w.inspected()
  assert.equal(node.provision_state, 'inspect failed')
  assert.match(node.last_error ?? '', /\(gate\) refuses the machine: not this one/)
  assert.deepEqual([node.extra, await findInventory(w.db, node.uuid)], [{}, undefined])
})

test('a rule may change the driver: interfaces that the new one lacks become its defaults', async () => {
  await using w = await world()
  await addRule(w.db, { actions: [{ op: 'set-attribute', args: { path: '/driver', value: 'redfish' } }] })
  const node = await w.inspected({
    driver: 'fake-hardware',
    management_interface: 'fake',
    network_interface: 'noop',
  })
  assert.deepEqual([node.driver, node.management_interface, node.network_interface], ['redfish', 'redfish', 'noop'])

  await using other = await world()
  await addRule(other.db, { actions: [{ op: 'set-attribute', args: { path: '/driver', value: 'nothing' } }] })
  assert.match((await other.inspected()).last_error ?? '', /Cannot use driver "nothing"/)
})

test('where nothing is to be kept, nothing is', async () => {
  await using w = await world({ inventory: { data_backend: 'none' } })
  const node = await w.inspected()
  assert.equal(node.provision_state, 'manageable', node.last_error ?? '')
  assert.equal(await findInventory(w.db, node.uuid), undefined)
})

class Killed extends Error {}

test('rules run once, wherever the conductor dies', async () => {
  const config = await loadConfig({ overrides: { DEFAULT: { enabled_hardware_types: ['fake-hardware'] } } })
  const registry = await loadRegistry(config)
  const append = (path: string) => ({ op: 'extend-attribute', args: { path, value: 1 } })
  const more = { op: 'extend-plugin-data', args: { path: 'seen', value: 1 } }
  for (let dieAt = 1; dieAt <= 3; dieAt++) {
    const db = await freshDatabase()
    await addRule(db, { actions: [append('/extra/seen'), append('/properties/seen'), more] })
    const uuid = await addNode(db, 'inspecting')
    const token = await takeLease(db, uuid, { holder: 'h', purpose: 'p', nowMs: 0, forMs: 1e12, visible: true })
    await writeFound(db, uuid, found, timestamp(0))
    const recorded = new Set<string>()
    let steps = 0
    const node = async () => (await findNode(db, uuid)) ?? assert.fail('the node is gone')
    const flow = {
      nodeUuid: uuid,
      /** Dies after the effect of one step, before its record. */
      async once(name: string, work: () => Promise<unknown>) {
        if (recorded.has(name)) return
        await work()
        if (++steps === dieAt) throw new Killed()
        recorded.add(name)
      },
      write: (patch: NodePatch) => writeNode(db, uuid, token, patch, 0),
      event: async () => {},
    }
    const context = async (): Promise<FlowContext> => {
      const world = { db, config, ports: [], clock: systemClock, log: silent, signal: new AbortController().signal }
      return { ...world, flow, node: await node(), fresh: context } as unknown as FlowContext // all that is looked at
    }
    await assert.rejects(finishInspection(await context(), registry), Killed)
    await finishInspection(await context(), registry)
    const { extra, properties } = await node()
    assert.deepEqual([extra, properties], [{ seen: [1] }, { seen: [1] }], `died after step ${dieAt}`)
    const kept = await findInventory(db, uuid)
    assert.deepEqual(kept, { inventory: found.inventory, plugin_data: { rack: 1, seen: [1] } })
    await db.destroy()
  }
})

test('a file with built-in rules that is wrong is told with the place', async () => {
  const path = join(await folder(), 'rules.yaml')
  const read = async (text: string) => {
    await writeFile(path, text)
    return readBuiltInRules(path)
  }
  assert.deepEqual(await readBuiltInRules(null), [])
  assert.deepEqual(await read(''), [])
  const [first, second] = await read(
    '- {actions: [{op: fail, args: [x]}]}\n- {uuid: mine, sensitive: true, actions: [{op: fail, args: {msg: x}}]}',
  )
  assert.deepEqual([first?.uuid, first?.priority], ['00000000-0000-0000-0000-000000000000', 0])
  assert.deepEqual([second?.uuid, second?.sensitive], ['mine', true])
  await assert.rejects(read('a: b'), /built_in_rules .*rules.yaml: found no list/)
  await assert.rejects(read('- ['), /Cannot read .*rules.yaml/)
  await assert.rejects(read('- {actions: []}'), /rule 1\/actions/)
  await assert.rejects(
    read('- {actions: [{op: fail, args: {}}]}'),
    /rule 1: cannot use the action fail: msg is missing/,
  )
  await assert.rejects(read('- {actions: [{op: fly, args: {}}]}'), /rule 1\/actions\/0\/op/)
  await assert.rejects(readBuiltInRules(join(path, 'nowhere')), /ENOTDIR/)
})

test('an API is called again after a refusal that may pass, and no longer than the rule says', async () => {
  const asked: (string | undefined)[] = []
  let statuses = [503, 429, 204]
  const server = createServer((request, response) => {
    asked.push(String(request.headers['x-token']))
    response.writeHead(statuses.shift() ?? 500).end('ignored')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/seen?key=secret`
  const world = { config: await loadConfig({}), clock: systemClock, signal: new AbortController().signal }
  const call = { url, headers: { 'x-token': 't' }, proxies: {}, timeoutS: 30, retries: 3, backoffFactor: 0.001 }
  await callApi(call, world)
  assert.deepEqual(asked, ['t', 't', 't'])
  statuses = [404]
  await assert.rejects(
    callApi(call, world),
    /GET http:\/\/127\.0\.0\.1:\d+\/seen failed after 1 attempts: it answered 404/,
  )
  statuses = []
  await assert.rejects(callApi({ ...call, retries: 1 }, world), /failed after 2 attempts: it answered 500/)
  await assert.rejects(callApi({ ...call, url: 'file:///etc/passwd' }, world), /expected an http or https one/)
})
