/** Moving between services: the client, against two real APIs. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { startApi, type TestApi } from '#server/test-api.ts'
import type { Item } from '../command.ts'
import { TestClient } from '../test-client.ts'
import { unmask } from './secrets.ts'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-move-'))
})
after(() => rm(directory, { recursive: true, force: true }))

let source: TestApi
let target: TestApi
let cli: TestClient
beforeEach(async () => {
  ;[source, target] = await Promise.all([startApi(), startApi()])
  cli = new TestClient({ OS_ENDPOINT: target.url })
})
afterEach(async () => {
  await Promise.all([source[Symbol.asyncDispose](), target[Symbol.asyncDispose]()])
})

async function made(path: string, body: unknown): Promise<string> {
  const { json, status, fault } = await source.call('POST', `/v1/${path}`, { body })
  assert.equal(status, 201, fault)
  return (json as { uuid: string }).uuid // every object has one
}

async function shown(api: TestApi, path: string): Promise<Item> {
  const { json, status, fault } = await api.call('GET', `/v1/${path}`)
  assert.equal(status, 200, fault)
  return json as Item // every object of the API is one
}

async function file(name: string, content: unknown): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, JSON.stringify(content))
  return path
}

/** A fleet with an instance, a failed node, one that is being worked on, and things beside them. */
async function furnish() {
  const chassis = await made('chassis', { description: 'row 1' })
  const active = await source.node({ name: 'active', chassis_uuid: chassis, driver_info: { fake_password: 'one' } })
  await source.set(active, { provision_state: 'active', power_state: 'power on', resource_class: 'metal' })
  await source.set(active, { instance_info: { image_source: 'x', configdrive: 'drive' }, traits: ['CUSTOM_A'] })
  await source.set(active, { provision_updated_at: '2024-01-01T00:00:00.000000+00:00', last_error: 'none to speak of' })
  const group = await made('portgroups', { node_uuid: active, name: 'bond' })
  await made('ports', { node_uuid: active, address: '52:54:00:00:00:01', portgroup_uuid: group })
  const volume = { node_uuid: active, volume_type: 'iscsi', boot_index: 0, volume_id: 'v' }
  await made('volume/targets', { ...volume, properties: { auth_password: 'two' } })
  await made('volume/connectors', { node_uuid: active, type: 'iqn', connector_id: 'iqn.a' })
  const allocation = await made('allocations', { node: active, name: 'wish', resource_class: 'metal' })
  const failed = await source.node({ name: 'failed', parent_node: active })
  await source.set(failed, { provision_state: 'clean failed', maintenance: true, fault: 'clean failure' })
  await source.set(await source.node({ name: 'busy' }), { provision_state: 'cleaning' })
  const step = { interface: 'bios', step: 'apply', args: {} }
  await made('deploy_templates', { name: 'CUSTOM_T', steps: [{ ...step, priority: 1 }] })
  const runbook = await made('runbooks', { name: 'CUSTOM_R', steps: [{ ...step, order: 1 }] })
  await source.call('PUT', `/v1/runbooks/${runbook}/traits`, { body: { traits: ['CUSTOM_A'] } })
  const rule = { actions: [{ op: 'log', args: { msg: 'seen' } }] }
  await made('inspection_rules', { ...rule, description: 'plain' })
  await made('inspection_rules', { ...rule, description: 'hidden', sensitive: true })
  return { active, failed, group, allocation, runbook, chassis }
}

const secretsOf = (password: string) => ({
  active: { driver_info: { fake_password: password }, instance_info: { configdrive: 'drive' } },
  '*': { properties: { auth_password: 'two' } },
})

test('import ironic: all comes as it was, a second run changes nothing', async () => {
  const { active, failed, group, allocation, runbook, chassis } = await furnish()
  const secrets = await file('secrets.json', secretsOf('one'))
  const line = `import ironic --from ${source.url} --secrets ${secrets} -f json`
  const first = await cli.run(line)
  const rows = JSON.parse(first.out) as Item[] // a list is printed as one
  assert.deepEqual(
    rows.map(({ kind, name, outcome }) => [kind, name, outcome]),
    [
      ['chassis', 'row 1', 'moved'],
      ['deploy template', 'CUSTOM_T', 'moved'],
      ['runbook', 'CUSTOM_R', 'moved'],
      ['inspection rule', 'plain', 'moved'],
      ['inspection rule', 'hidden', 'not moved'],
      ['node', 'active', 'moved'],
      ['node', 'busy', 'not moved'],
      ['node', 'failed', 'moved'],
    ],
  )
  assert.equal(first.status, 1, 'something was not moved')
  assert.match(first.err, /2 of 8 objects were not moved/)
  assert.match(String(rows[6]?.notes), /state "cleaning"; run again/)

  const same = [
    `nodes/${active}`,
    `nodes/${failed}`,
    `portgroups/${group}`,
    'ports/detail',
    'volume/targets?detail=True',
    'volume/connectors?detail=True',
    `allocations/${allocation}`,
  ]
  const local = (item: Item) => JSON.stringify(item).replaceAll(source.url, '').replaceAll(target.url, '')
  for (const path of same) assert.equal(local(await shown(target, path)), local(await shown(source, path)), path)
  const { driver_info } = await target.db
    .selectFrom('nodes')
    .select('driver_info')
    .where('uuid', '=', active)
    .executeTakeFirstOrThrow()
  assert.deepEqual(JSON.parse(driver_info), { fake_password: 'one' })
  assert.deepEqual((await shown(target, `runbooks/${runbook}`)).traits, ['CUSTOM_A'])
  assert.equal((await shown(target, `chassis/${chassis}`)).description, 'row 1')
  assert.deepEqual(target.conductor.told.provisioned, [], 'no machine was touched')
  assert.deepEqual(source.conductor.told.provisioned, [])

  const before = JSON.stringify(await target.db.selectFrom('nodes').selectAll().execute())
  const second = JSON.parse((await cli.run(line)).out) as Item[] // as above
  assert.deepEqual([...new Set(second.map(row => row.outcome))].sort(), ['not moved', 'there already'])
  assert.deepEqual(
    second.filter(row => row.outcome === 'there already').map(row => row.notes),
    Array(6).fill(''),
  )
  assert.equal(JSON.stringify(await target.db.selectFrom('nodes').selectAll().execute()), before)

  await target.call('PATCH', `/v1/nodes/${failed}`, { body: [{ op: 'add', path: '/description', value: 'x' }] })
  const third = JSON.parse((await cli.run(line)).out) as Item[] // as above
  assert.equal(third.find(row => row.name === 'failed')?.notes, 'differs in description')
})

describe('secrets', () => {
  test('a node whose secrets nobody gave stays where it is', async () => {
    const { active } = await furnish()
    const { out } = await cli.run(`import ironic --from ${source.url} -f json`)
    const row = (JSON.parse(out) as Item[]).find(one => one.name === 'active') // a list is printed as one
    assert.equal(row?.outcome, 'not moved')
    assert.match(
      String(row?.notes),
      /driver_info\.fake_password, volume target \S+: properties\.auth_password; expected/,
    )
    assert.equal((await target.call('GET', `/v1/nodes/${active}`)).status, 404)
  })

  test('or comes without them', async () => {
    const { active } = await furnish()
    const { out } = await cli.run(`import ironic --from ${source.url} --without-secrets -f json`)
    const row = (JSON.parse(out) as Item[]).find(one => one.name === 'active') // a list is printed as one
    assert.equal(row?.outcome, 'moved')
    assert.match(String(row?.notes), /left behind: driver_info\.fake_password \(masked\), instance_info\.configdrive/)
    assert.deepEqual((await shown(target, `nodes/${active}`)).driver_info, {})
  })

  test('are found by UUID before name before *, however deep', () => {
    const item = { uuid: 'u', name: 'n', driver_info: { a: '******', b: { c: ['x ******', 1] }, d: 'plain' } }
    const secrets = { '*': { driver_info: { a: 'any' } }, n: { driver_info: { a: 'named' } } }
    assert.deepEqual(unmask(item, secrets), {
      item: { ...item, driver_info: { a: 'named', b: { c: [1] }, d: 'plain' } },
      missing: ['driver_info.b.c.0'],
    })
    assert.deepEqual(unmask({ ...item, name: 'm' }, secrets).item.driver_info, { a: 'any', b: { c: [1] }, d: 'plain' })
  })

  test('a file of another form is refused', async () => {
    const from = `import ironic --from ${source.url} --secrets`
    await cli.fails(`${from} ${await file('list.json', ['a'])}`, 1, /expected an object of objects/)
    await cli.fails(
      `${from} ${await file('masked.json', { a: { driver_info: { b: '******' } } })}`,
      1,
      /asterisks at a\.driver_info\.b/,
    )
    await cli.fails(`${from} /nonexistent/file`, 1, /no file, and no JSON/)
  })
})

test('--plan says the same and changes nothing', async () => {
  await furnish()
  const secrets = await file('plan.json', secretsOf('one'))
  const { out } = await cli.run(`import ironic --from ${source.url} --secrets ${secrets} --plan -f json`)
  const rows = JSON.parse(out) as Item[] // a list is printed as one
  assert.deepEqual(rows.map(row => row.outcome).filter(outcome => outcome === 'would be moved').length, 6)
  for (const table of ['nodes', 'chassis', 'runbooks'] as const) {
    assert.deepEqual(await target.db.selectFrom(table).selectAll().execute(), [], table)
  }
})

test('a service that is not there, or is none, ends the command', async () => {
  await cli.fails('import ironic', 2, /--from or --from-cloud/)
  await cli.fails('import ironic --from http://127.0.0.1:1 --max-retries 0', 1, /127\.0\.0\.1:1/)
})

describe('export ironic', () => {
  test('export ironic: nodes are led to their states without their drivers', async () => {
    const { active, allocation } = await furnish()
    const available = await source.node({ name: 'available', driver_info: { a: 1 }, automated_clean: false })
    await source.set(available, { provision_state: 'available', power_state: 'power off', retired: false })
    const manageable = await source.node({ name: 'manageable', retired: true, retired_reason: 'old' })
    await source.set(manageable, { provision_state: 'manageable', maintenance: true, maintenance_reason: 'disk' })
    const enroll = await source.node({ name: 'enroll', description: 'new', driver: 'redfish' })
    const secrets = await file('export.json', secretsOf('one'))
    const exporter = new TestClient({ OS_ENDPOINT: source.url })
    const line = `export ironic --to ${target.url} --secrets ${secrets} -f json`

    const planned = JSON.parse((await exporter.run(`${line} --plan`)).out) as Item[] // a list is printed as one
    assert.equal(planned.filter(row => row.outcome === 'would be moved').length, 8)
    assert.deepEqual(await target.db.selectFrom('nodes').selectAll().execute(), [])

    // One was begun and left by a run that died.
    const left = { uuid: active, driver: 'fake-hardware', extra: { ferrite_export: 'not finished' } }
    assert.equal((await target.call('POST', '/v1/nodes', { body: left })).status, 201)
    await target.set(active, { provision_state: 'adopt failed' })

    exporter.onSleep = async () => {
      const { provision_state } = await shown(target, `nodes/${active}`)
      if (provision_state === 'adopting')
        await target.set(active, { provision_state: 'active', target_provision_state: null })
    }
    const { out } = await exporter.run(line)
    const nodes = (JSON.parse(out) as Item[]).filter(row => row.kind === 'node') // a list is printed as one
    assert.deepEqual(
      nodes.map(({ name, outcome }) => [name, outcome]),
      [
        ['active', 'moved'],
        ['busy', 'not moved'],
        ['available', 'moved'],
        ['manageable', 'moved'],
        ['enroll', 'moved'],
        ['failed', 'not moved'],
      ],
    )
    assert.match(String(nodes[0]?.notes), /^left behind: last_error$/)
    const written = ['links', 'created_at', 'updated_at', 'provision_updated_at', 'last_error', 'ports', 'portgroups']
    const gone = [...written, 'states', 'volume', 'power_state', 'target_power_state', 'driver_internal_info']
    for (const uuid of [active, available, manageable, enroll]) {
      const [before, after] = [await shown(source, `nodes/${uuid}`), await shown(target, `nodes/${uuid}`)]
      const plain = (item: Item) => Object.fromEntries(Object.entries(item).filter(([name]) => !gone.includes(name)))
      assert.deepEqual(plain(after), plain(before))
    }
    assert.equal((await shown(target, `allocations/${allocation}`)).name, 'wish')
    assert.deepEqual(
      target.conductor.told.provisioned.map(([verb]) => verb),
      ['manage', 'adopt', 'manage'],
    )
    const again = JSON.parse((await exporter.run(line)).out) as Item[] // as above
    assert.equal(again.filter(row => row.outcome === 'moved').length, 0)
  })

  test('needs to know where to', async () => {
    await cli.fails('export ironic', 2, /--to or --to-cloud/)
  })
})
