/**
 * Every flow, killed at every one of its records: after its effect, before the record is written, all that the process
 * does stops, as after SIGKILL. The next process of the same host must finish it, and the log of what happened be that
 * of a flow that nobody killed. Real conductor, fake hardware.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '#config/load.ts'
import { type Db, openDatabase } from '#db/database.ts'
import { liveFlow } from '#db/flows.ts'
import { findNode } from '#db/nodes.ts'
import { loadRegistry } from '#drivers/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import type { ProvisionState, Verb } from '#protocol/states.ts'
import type { ProvisionRequest } from '../conductor.ts'
import { createConductor } from '../service.ts'
import { Shared } from '../shared.ts'
import { addNode, caller } from '../test-engine.ts'

const folder = mkdtempSync(join(tmpdir(), 'ferrite-kills-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const step = (name: string, more: object = {}) => ({ interface: 'power', step: name, args: {}, ...more })
const cases: [ProvisionState, Verb, ProvisionRequest, end: ProvisionState][] = [
  ['enroll', 'manage', {}, 'manageable'],
  ['manageable', 'inspect', {}, 'manageable'],
  ['manageable', 'provide', {}, 'available'],
  ['manageable', 'clean', { clean_steps: [step('reboot'), step('wait', { args: { seconds: 0 } })] }, 'manageable'],
  ['manageable', 'clean', { clean_steps: [step('power_on', { execute_on_child_nodes: true })] }, 'manageable'],
  ['manageable', 'adopt', {}, 'active'],
  ['available', 'active', { deploy_steps: [step('power_on', { priority: 120 })] }, 'active'],
  ['active', 'rebuild', {}, 'active'],
  ['active', 'service', { service_steps: [step('reboot')] }, 'active'],
  ['active', 'rescue', { rescue_password: 'x' }, 'rescue'],
  ['rescue', 'unrescue', {}, 'active'],
  ['rescue', 'deleted', {}, 'available'],
  ['active', 'deleted', {}, 'available'],
  ['service failed', 'abort', {}, 'active'],
]

/** Queries are compiled once per engine, told by its adapter; with one for each query the plugin sees all of them. */
function compileEachTime(db: Db): void {
  const executors = Object.getPrototypeOf(db.getExecutor())
  const get = Object.getOwnPropertyDescriptor(executors, 'adapter')?.get
  assert.ok(get, 'executors have an adapter')
  if (compiling.has(executors)) return
  compiling.add(executors)
  Object.defineProperty(executors, 'adapter', {
    get() {
      return Object.create(get.call(this))
    },
  })
}
const compiling = new WeakSet<object>()

/** A database that dies at its n-th record of a flow's step. */
function mortal(db: Db, dieAt: number): { db: Db; records(): number; dead(): boolean } {
  let [records, dead] = [0, false]
  const plugin: Parameters<Db['withPlugin']>[0] = {
    transformQuery({ node }) {
      const into = node.kind === 'InsertQueryNode' ? node.into?.table.identifier.name : undefined
      if (into === 'flow_steps' && ++records === dieAt) dead = true
      if (dead) throw new Error('killed')
      return node
    },
    transformResult: async ({ result }) => result,
  }
  const watched = db.withPlugin(plugin)
  compileEachTime(watched)
  return { db: watched, records: () => records, dead: () => dead }
}

async function conductorOver(db: Db, shared: Shared) {
  const config = await loadConfig({
    overrides: { DEFAULT: { enabled_hardware_types: ['fake-hardware'], enabled_boot_interfaces: ['fake'] } },
  })
  const registry = await loadRegistry(config)
  const portsChanged = async () => {}
  const conductor = createConductor({ db, config, registry, clock: systemClock, log: silent, portsChanged, shared })
  return { conductor, interfaces: registry.interfacesFor('fake-hardware', given) }
}
const given = { deploy_interface: 'fake', inspect_interface: 'fake', rescue_interface: 'fake' }

/** What fake machines remember, as real ones do when a conductor dies. */
function lasting(): Shared {
  return Object.assign(new Shared(), { dispose: async () => {} })
}

async function eventually(what: () => string, ready: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 60_000
  while (!(await ready())) {
    assert.ok(Date.now() < endMs, what())
    await sleep(5)
  }
}

/** What the log tells of flows, without times and names. */
async function told(db: Db, names: ReadonlyMap<string, string>): Promise<string[]> {
  const rows = await db
    .selectFrom('events')
    .select(['node_uuid', 'kind', 'data'])
    .where('flow_id', 'is not', null)
    .orderBy('id')
    .execute()
  return rows.map(({ node_uuid, kind, data }) => {
    const { from = '', to = '', state = '', step = '' } = JSON.parse(data) as Record<string, string>
    return [names.get(node_uuid ?? ''), kind, from, to, state, step].filter(Boolean).join(' ')
  })
}

/** Runs the verb, dying at a record. 0: lives. */
async function run(
  [from, verb, request, end]: (typeof cases)[number],
  dieAt: number,
): Promise<{ records: number; log: string[] }> {
  const file = join(folder, `${crypto.randomUUID()}.sqlite`)
  const first = mortal(await openDatabase(file), dieAt)
  const machines = lasting()
  const doomed = await conductorOver(first.db, machines)
  await doomed.conductor.start()
  const fields = { driver: 'fake-hardware', ...doomed.interfaces, power_state: 'power on' }
  const uuid = await addNode(first.db, from, { ...fields, driver_internal_info: { service_ramdisk: true } })
  const child = await addNode(first.db, 'active', { ...fields, power_state: 'power off', parent_node: uuid })
  const node = await findNode(first.db, uuid)
  assert.ok(node)
  await doomed.conductor.provision(node, verb, request, caller)
  let now = node
  const arrived = (db: Db) => async () => {
    now = (await findNode(db, uuid)) ?? now
    return now.provision_state === end && now.lease === null && !(await liveFlow(db, uuid))
  }
  const standing = () => `still ${now.provision_state}, ${now.last_error}`
  if (dieAt === 0) await eventually(standing, arrived(first.db))
  else
    await eventually(
      () => 'never died',
      async () => first.dead(),
    )
  await doomed.conductor.stop()
  const names = new Map([
    [uuid, 'node'],
    [child, 'child'],
  ])
  const undisturbed = dieAt === 0 ? { records: first.records(), log: await told(first.db, names) } : undefined
  await first.db.destroy()
  if (undisturbed) return undisturbed

  const second = await openDatabase(file)
  const { conductor } = await conductorOver(second, machines)
  await conductor.start()
  await eventually(standing, arrived(second))
  assert.equal(now.last_error, null)
  assert.deepEqual([now.clean_step, now.deploy_step, now.service_step], [{}, {}, {}])
  const contained = await findNode(second, child)
  assert.equal(contained?.lease, null)
  if (request.clean_steps?.[0]?.execute_on_child_nodes) assert.equal(contained?.power_state, 'power on')
  await conductor.stop()
  const log = await told(second, names)
  await second.destroy()
  return { records: 0, log }
}

for (const one of cases) {
  const [from, verb, request] = one
  const steps = [...(request.clean_steps ?? []), ...(request.service_steps ?? [])].map(each => each.step)
  describe(`${verb} from ${from} ${steps.join(', ')}`, () => {
    test('killed at every record', { timeout: 240_000 }, async () => {
      const { records, log } = await run(one, 0)
      assert.ok(records > 0)
      const points = Array.from({ length: records }, (_, index) => index + 1)
      const killed = await Promise.all(points.map(point => run(one, point)))
      for (const [index, each] of killed.entries())
        assert.deepEqual(each.log, log, `what is told when record ${index + 1} is lost`)
    })
  })
}
