import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addNode, caller, eventually, startEngine } from '#conductor/test-engine.ts'
import { loadConfig } from '#config/load.ts'
import { admit, askForPlace } from '#db/admissions.ts'
import { registerConductor } from '#db/conductors.ts'
import type { Db } from '#db/database.ts'
import { insertFlow } from '#db/flows.ts'
import { enlistSensors, writeSensors } from '#db/sensors.ts'
import { freshDatabase } from '#db/test-database.ts'
import { HardwareFault } from '#drivers/driver.ts'
import { timed } from '#drivers/measured.ts'
import { systemClock } from '#lib/clock.ts'
import { timestamp } from '#protocol/field.ts'
import { RunMemory } from '#timeline/remember.ts'
import { type Metrics, openMetrics } from './metrics.ts'

async function open(db: Db): Promise<Metrics> {
  const config = await loadConfig({ overrides: { conductor: { max_concurrent_deploy: 7 } } })
  return openMetrics({ db, config, clock: systemClock })
}

/** The lines that begin so. */
async function lines(metrics: Metrics, ...beginnings: string[]): Promise<string[]> {
  const parts = await Array.fromAsync(metrics.text())
  return parts
    .join('')
    .split('\n')
    .filter(line => beginnings.some(beginning => line.startsWith(beginning)))
}

test('the fleet: states, power, maintenance, queues, conductors', async () => {
  await using db = await database()
  using metrics = await open(db)
  const nowMs = Date.now()
  const longAgo = timestamp(nowMs - 3_600_000)
  const first = await addNode(db, 'deploying', { provision_updated_at: longAgo, power_state: 'power on' })
  const second = await addNode(db, 'deploying', { provision_updated_at: timestamp(nowMs) })
  await addNode(db, 'active', { maintenance: 1, fault: 'power failure', power_state: 'power off' })
  await registerConductor(db, { hostname: 'here', group: '', nowMs, interfaces: [] })
  await registerConductor(db, { hostname: 'gone', group: '', nowMs: nowMs - 3_600_000, interfaces: [] })
  for (const [node_uuid, askedMs] of [
    [first, nowMs - 5000],
    [second, nowMs - 60_000],
  ] as const) {
    const flow = { node_uuid, kind: 'deploy', args: {}, requested_by: null, requested_project: null, request_id: null }
    const flow_id = await insertFlow(db, { ...flow, conductor: 'here', lease_token: 1, nowMs })
    await askForPlace(db, { flow_id, kind: 'deploy', project: '', conductor_group: '' }, askedMs)
    if (node_uuid === first) await db.transaction().execute(trx => admit(trx, flow_id, nowMs))
  }

  assert.deepEqual(
    await lines(
      metrics,
      'ferrite_nodes{state="deploying"',
      'ferrite_nodes{state="available"',
      'ferrite_nodes_power',
      'ferrite_nodes_maintenance',
      'ferrite_flows{state="ready"',
      'ferrite_queue_running{kind="deploy"',
      'ferrite_queue_waiting{kind="deploy"',
      'ferrite_queue_places{kind="deploy"',
      'ferrite_conductor_up',
    ),
    [
      'ferrite_nodes{state="available"} 0',
      'ferrite_nodes{state="deploying"} 2',
      'ferrite_nodes_power{power_state="power on"} 1',
      'ferrite_nodes_power{power_state="unknown"} 1',
      'ferrite_nodes_power{power_state="power off"} 1',
      'ferrite_nodes_maintenance{fault="power failure"} 1',
      'ferrite_flows{state="ready"} 2',
      'ferrite_queue_waiting{kind="deploy"} 1',
      'ferrite_queue_running{kind="deploy"} 1',
      'ferrite_queue_places{kind="deploy"} 7',
      'ferrite_conductor_up{conductor="gone"} 0',
      'ferrite_conductor_up{conductor="here"} 1',
    ],
  )
  const [oldest = ''] = await lines(metrics, 'ferrite_nodes_longest_in_state_seconds{state="deploying"}')
  assert.ok(Math.abs(Number(oldest.split(' ').at(-1)) - 3600) < 300, oldest)
  const [wait = ''] = await lines(metrics, 'ferrite_queue_longest_wait_seconds{kind="deploy"}')
  assert.ok(Math.abs(Number(wait.split(' ').at(-1)) - 60) < 50, wait)
})

test('work: flows by their end and cause, counted once written; nothing after the metrics are closed', async () => {
  let fails = false
  await using world = await startEngine({
    kind: 'verify',
    async run() {
      if (fails) throw new HardwareFault('the BMC does not answer')
      return 'done'
    },
  })
  const metrics = await open(world.db)
  const memory = new RunMemory({ db: world.db, clock: systemClock })
  const round = () => memory.round({ isOurs: () => true, signal: new AbortController().signal })
  await round()
  const verify = async (end: string) => {
    const uuid = await world.addNode('enroll')
    await world.engine.begin({ nodeUuid: uuid, kind: 'verify', args: {}, event: 'manage', caller })
    await eventually(end, async () => (await world.node(uuid)).provision_state === end)
  }
  await verify('manageable')
  fails = true
  await verify('enroll')
  const counted = ['ferrite_flow_duration_seconds_count', 'ferrite_flow_failures_total']
  await eventually('counted', async () => (await lines(metrics, ...counted)).length === 3)
  assert.deepEqual(await lines(metrics, ...counted), [
    'ferrite_flow_duration_seconds_count{flow="verify",outcome="done"} 1',
    'ferrite_flow_duration_seconds_count{flow="verify",outcome="failed"} 1',
    'ferrite_flow_failures_total{flow="verify",code="hardware"} 1',
  ])
  await round()
  const spent = await lines(metrics, 'ferrite_phase_duration_seconds_count')
  assert.ok(spent.length > 0 && spent.every(line => / 1$/.test(line) && line.includes('flow="verify"')), spent.join())
  const statements = Number(
    (await lines(metrics, 'ferrite_database_statement_duration_seconds_count'))[0]?.split(' ')[1],
  )
  assert.ok(statements > 10, String(statements))

  metrics[Symbol.dispose]()
  await verify('enroll')
  assert.deepEqual((await lines(metrics, 'ferrite_flow_failures_total')).length, 1)
  assert.match((await lines(metrics, 'ferrite_flow_failures_total'))[0] ?? '', / 1$/)
})

test('BMCs: by protocol and outcome, in buckets that add up', async () => {
  await using db = await database()
  using metrics = await open(db)
  await timed(
    'ipmi',
    async () => 1,
    () => 'ok',
  )
  await assert.rejects(
    timed(
      'ipmi',
      () => systemClock.sleep(30).then(() => Promise.reject(new Error('silent'))),
      () => 'failed',
    ),
  )
  const name = 'ferrite_bmc_request_duration_seconds'
  assert.deepEqual(await lines(metrics, `${name}_count`), [
    `${name}_count{protocol="ipmi",outcome="ok"} 1`,
    `${name}_count{protocol="ipmi",outcome="failed"} 1`,
  ])
  const failed = await lines(metrics, `${name}_bucket{protocol="ipmi",outcome="failed",`)
  assert.equal(failed[0], `${name}_bucket{protocol="ipmi",outcome="failed",le="0.01"} 0`)
  assert.equal(failed.at(-1), `${name}_bucket{protocol="ipmi",outcome="failed",le="+Inf"} 1`)
})

test('sensors: the latest of each node', async () => {
  await using db = await database()
  using metrics = await open(db)
  const uuid = await addNode(db, 'active', { name: 'node-1' })
  await addNode(db, 'active', { name: 'never-read' })
  await enlistSensors(db, { nowMs: 0, everyMs: 1000 })
  const readAtMs = 1_700_000_000_500
  const data = {
    Temperature: { 'CPU "1"': { reading: 51.5, unit: 'celsius', health: 'OK', about: 'CPU' } },
    Fan: { Fan: { reading: 0, unit: 'rpm', health: 'Critical' } },
  } as const
  await writeSensors(db, uuid, { readAtMs, data })
  await writeSensors(db, uuid, { error: 'the BMC is away' })
  const node = `node="${uuid}",name="node-1"`
  assert.deepEqual(await lines(metrics, 'ferrite_sensor'), [
    `ferrite_sensor_temperature_celsius{${node},type="Temperature",sensor="CPU \\"1\\""} 51.5`,
    `ferrite_sensor_fan_speed_rpm{${node},type="Fan",sensor="Fan"} 0`,
    `ferrite_sensor_health{${node},type="Temperature",sensor="CPU \\"1\\""} 0`,
    `ferrite_sensor_health{${node},type="Fan",sensor="Fan"} 2`,
    `ferrite_sensors_read_timestamp_seconds{${node}} 1700000000.5`,
    `ferrite_sensors_stale{${node}} 1`,
  ])
})

test('every family is told with its help, its type and the unit that its name says', async () => {
  await using db = await database()
  using metrics = await open(db)
  const text = await lines(metrics, '#')
  const names = metrics.families.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  for (const { name, help, type } of metrics.families) {
    assert.ok(text.includes(`# HELP ${name} ${help}`) && text.includes(`# TYPE ${name} ${type}`), name)
    assert.match(name, /^(ferrite|process)_[a-z_]+$/)
    assert.equal(type === 'counter', name.endsWith('_total'), name)
  }
})

async function database(): Promise<Db & AsyncDisposable> {
  const db = await freshDatabase()
  return Object.assign(db, { [Symbol.asyncDispose]: () => db.destroy() })
}
