/** Why a node is where it is, as its rows tell; what is seen of a boot is explained in src/boot/diagnosis.test.ts. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Db } from '#db/database.ts'
import { insertFlow, updateFlow, writeProgress } from '#db/flows.ts'
import { findNode } from '#db/nodes.ts'
import { freshDatabase } from '#db/test-database.ts'
import { systemClock } from '#lib/clock.ts'
import { timestamp } from '#protocol/field.ts'
import type { ProvisionState } from '#protocol/states.ts'
import type { Explanation } from '#protocol/why.ts'
import { NoConductor } from '../membership.ts'
import { addNode } from '../test-engine.ts'
import { actionsOf } from './actions.ts'
import { explain, type Problem } from './explain.ts'

let db: Db
before(async () => {
  db = await freshDatabase()
})
after(() => db.destroy())

/** A node in that state, with its last or present work. */
async function why(
  state: ProvisionState,
  given: {
    node?: object
    flow?: Parameters<typeof updateFlow>[2]
    /** A power change that ended after it. */
    power?: Parameters<typeof updateFlow>[2]
    position?: number
    problems?: Problem[]
    isServed?: boolean
  } = {},
): Promise<Explanation> {
  const uuid = await addNode(db, state, given.node)
  const asked = { args: {}, requested_by: null, requested_project: null, request_id: null }
  const held = { conductor: 'host-1', lease_token: 0, nowMs: Date.now() }
  if (given.flow) {
    const id = await insertFlow(db, { node_uuid: uuid, kind: 'deploy', ...asked, ...held })
    await updateFlow(db, id, given.flow)
    const { position } = given
    const numbers = { bytes: 0, total_bytes: null, rate_bytes_per_s: null, eta_s: null }
    const queued = { step: 'deploy.deploy', phase: 'queued', ...numbers, updated_at: timestamp(Date.now()) }
    if (position !== undefined) await writeProgress(db, id, { ...queued, position })
  }
  if (given.power) {
    const id = await insertFlow(db, { node_uuid: uuid, kind: 'power', ...asked, ...held })
    await updateFlow(db, id, given.power)
  }
  const node = await findNode(db, uuid)
  assert.ok(node)
  const nobody = async () => assert.fail('the BMC has nothing to do with it')
  const world = {
    db,
    config: { ferrite: { manage_dnsmasq: true, dhcp_interface: 'lan0' }, conductor: { heartbeat_timeout: 60 } },
    clock: systemClock,
  }
  const problems = async () => given.problems ?? []
  const ownerOf = () => {
    if (given.isServed === false) throw new NoConductor('no conductor of group "x" is online')
    return 'host-1'
  }
  return explain({ ...world, config: world.config as never, context: nobody, problems, ownerOf }, node)
}

test('a node that rests', async () => {
  const { verdict, cause, summary } = await why('available')
  assert.deepEqual([verdict, cause], ['fine', 'fine'])
  assert.match(summary, /rests in "available"/)
})

test('maintenance, with its reason', async () => {
  const { cause, summary } = await why('active', { node: { maintenance: true, maintenance_reason: 'new fan' } })
  assert.deepEqual([cause, summary], ['maintenance', 'An operator put the node in maintenance: new fan'])
})

test('a BMC that was lost', async () => {
  const node = { maintenance: true, fault: 'power failure', maintenance_reason: 'BMC does not answer' }
  const { verdict, cause, summary, actions } = await why('active', { node })
  assert.deepEqual([verdict, cause, summary], ['failed', 'power-failure', 'BMC does not answer'])
  assert.match(actions.join(), /bring the BMC back/)
})

test('a failure, by the code of its fault', async () => {
  const flow = {
    state: 'failed',
    error: 'The image has sha256 1, expected 2',
    error_code: 'image-checksum-mismatch',
  } as const
  const found = await why('deploy failed', { node: { last_error: flow.error }, flow: { ...flow, ended_at: 'noon' } })
  assert.deepEqual([found.verdict, found.cause, found.summary], ['failed', flow.error_code, flow.error])
  assert.deepEqual(found.evidence, ['deploy ended at noon on host-1'])
  assert.match(found.actions.join(), /correct image_checksum/)
})

test('a power change that failed, after older work that failed for another reason', async () => {
  const flow = { state: 'failed', error: 'The image is not there', error_code: 'image-unreachable' } as const
  const power = { state: 'failed', error: 'The BMC answered with HTTP 503', error_code: 'bmc-refused' } as const
  const deploy = { ...flow, ended_at: 'noon' }
  const ended = { ...power, ended_at: 'one' }
  const found = await why('available', { node: { last_error: power.error }, flow: deploy, power: ended })
  assert.deepEqual([found.cause, found.evidence], ['bmc-busy', ['power ended at one on host-1']])
  const other = await why('available', { node: { last_error: flow.error }, flow: deploy, power: ended })
  assert.equal(other.cause, 'image-unreachable')
})

test('a node that no conductor serves', async () => {
  const { verdict, cause, actions } = await why('active', { isServed: false })
  assert.deepEqual([verdict, cause], ['failed', 'no-conductor'])
  assert.match(actions.join(), /start a conductor/)
})

test('a node at rest whose settings are wrong', async () => {
  const problems = [
    { interface: 'boot', code: 'invalid-input', message: 'no ramdisk is set' },
    { interface: 'deploy', code: 'invalid-input', message: 'image_source is not set' },
  ]
  const found = await why('available', { problems })
  assert.deepEqual([found.verdict, found.cause], ['failed', 'settings-wrong'])
  assert.match(found.summary, /no ramdisk is set/)
  assert.deepEqual(found.evidence, ['validating its boot interface says: no ramdisk is set'])
  assert.equal((await why('active', { problems })).cause, 'fine')
})

test('work that waits for its turn', async () => {
  const found = await why('deploying', { flow: { state: 'waiting' }, position: 7 })
  assert.deepEqual([found.verdict, found.cause], ['waiting', 'queued'])
  assert.match(found.summary, /place 7 in the queue/)
})

test('work that goes on, and a node that is held', async () => {
  const node = { deploy_step: { interface: 'deploy', step: 'write_image', priority: 80 } }
  const working = await why('deploying', { node, flow: { state: 'running' } })
  assert.deepEqual([working.cause, working.summary], ['working', 'deploy is under way: deploy.write_image'])
  const held = await why('deploy hold', { flow: { state: 'waiting' } })
  assert.deepEqual([held.cause, held.actions], ['held', ['let it go on with the verb unhold']])
})

test('every fault that can end work says what to do next', () => {
  const src = join(import.meta.dirname, '../..')
  const files = ['drivers', 'images', 'boot', 'conductor', 'db', 'lib'].flatMap(folder =>
    globSync(`${folder}/**/*.ts`, { cwd: src }),
  )
  const sources = files.filter(file => !file.endsWith('.test.ts'))
  const codes = sources.flatMap(file => [
    ...readFileSync(join(src, file), 'utf8').matchAll(/readonly code(?:: string)? = '([^']+)'/g),
  ])
  const found = new Set(codes.map(([, code = '']) => code))
  assert.ok(found.size > 15, `only ${found.size} codes were found`)
  const ofEngine = ['aborted', 'internal', 'unknown']
  assert.deepEqual([...found, ...ofEngine].filter(code => !actionsOf[code]?.length).sort(), [])
})
