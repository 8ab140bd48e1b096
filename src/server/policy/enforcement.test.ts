import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import type { Log } from '#lib/log.ts'
import { silent } from '#lib/log.ts'
import { type Authenticator, type Identity, nobody } from '../auth.ts'
import { startApi, type TestApi } from '../test-api.ts'
import { openEnforcer } from './enforcer.ts'
import { personOf } from './test-world.ts'

type Json = Record<string, unknown>

/** An API with policies in force; `as` makes calls of a person. */
async function start(overrides: Overrides = {}, { rules, log = silent }: { rules?: string; log?: Log } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-policy-'))
  const policyFile = join(folder, 'policy.yaml')
  if (rules !== undefined) await writeFile(policyFile, rules)
  const all: Overrides = { ...overrides, oslo_policy: { ...overrides.oslo_policy, policy_file: policyFile } }
  const policy = await openEnforcer(await loadConfig({ overrides: all }), { log })
  let caller: Identity = nobody
  const auth: Authenticator = { authenticate: () => caller }
  const api = await startApi(all, { auth, policy })
  return {
    api,
    policyFile,
    as(person: string | Identity): TestApi {
      caller = typeof person === 'string' ? personOf(person) : person
      return api
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
}

const get = async (api: TestApi, path: string) => (await api.call('GET', `/v1/${path}`)).json as Json
const patch = (api: TestApi, path: string, ...body: Json[]) => api.call('PATCH', `/v1/${path}`, { body })

test('what a node reveals of the infrastructure is hidden from lessees, in lists and in states too', async () => {
  await using world = await start()
  const node = await world
    .as('system admin')
    .node({ owner: 'owner', lessee: 'lessee', driver_info: { address: 'bmc' } })
  await world.api.set(node, { last_error: 'bmc.internal does not answer' })
  for (const person of ['system reader', 'owner reader', 'owner service']) {
    const shown = await get(world.as(person), `nodes/${node}`)
    assert.equal(shown.last_error, 'bmc.internal does not answer', person)
    assert.deepEqual([shown.reservation, shown.driver_info, shown.driver_internal_info], [null, { address: 'bmc' }, {}])
  }
  const lessee = world.as('lessee admin')
  const one = await get(lessee, `nodes/${node}`)
  const [listed] = (await get(lessee, 'nodes/detail')).nodes as Json[]
  const [chosen] = (await get(lessee, 'nodes?fields=last_error,reservation,driver_info,driver_internal_info'))
    .nodes as Json[]
  const patched = (await patch(lessee, `nodes/${node}`, { op: 'add', path: '/extra/x', value: 1 })).json as Json
  for (const shown of [one, listed, chosen, patched]) {
    assert.equal(shown?.last_error, '** Value Redacted - Requires baremetal:node:get:last_error permission. **')
    assert.equal(shown.reservation, '** Redacted - requires baremetal:node:get:reservation permission. **')
    assert.deepEqual(shown.driver_info, {
      content: '** Redacted - requires baremetal:node:get:driver_info permission. **',
    })
    assert.deepEqual(shown.driver_internal_info, {
      content: '** Redacted - Requires baremetal:node:get:driver_internal_info permission. **',
    })
  }
  assert.match(String((await get(lessee, `nodes/${node}/states`)).last_error), /Redacted/)
})

test('secrets are shown to nobody, unless an operator says so', async () => {
  const body = {
    driver_info: { redfish_password: 'opensesame' },
    instance_info: { image_url: 'http://secret', configdrive: 'secret' },
  }
  await using closed = await start()
  const hidden = await get(closed.api, `nodes/${await closed.as('system admin').node(body)}`)
  assert.deepEqual(
    [hidden.driver_info, hidden.instance_info],
    [{ redfish_password: '******' }, { image_url: '******', configdrive: '******' }],
  )
  await using open = await start({}, { rules: 'show_password: role:admin\nshow_instance_secrets: role:admin' })
  const node = await open.as('system admin').node(body)
  const shown = await get(open.api, `nodes/${node}`)
  assert.deepEqual([shown.driver_info, shown.instance_info], [body.driver_info, body.instance_info])
  assert.deepEqual((await get(open.as('system reader'), `nodes/${node}`)).driver_info, { redfish_password: '******' })
})

test('what a project may not see is no marker either: its place in a list would tell what it is', async () => {
  await using world = await start()
  const admin = world.as('system admin')
  const made = async (path: string, body: Json) =>
    ((await admin.call('POST', `/v1/${path}`, { body })).json as { uuid: string }).uuid
  const things = async (owner: string, last: number) => {
    const node_uuid = await admin.node({ owner, description: 'what nobody else shall know' })
    const steps = [{ interface: 'raid', step: 'create', order: 1 }]
    return {
      nodes: node_uuid,
      ports: await made('ports', { node_uuid, address: `52:54:00:00:00:0${last}` }),
      portgroups: await made('portgroups', { node_uuid }),
      'volume/connectors': await made('volume/connectors', { node_uuid, type: 'iqn', connector_id: owner }),
      allocations: await made('allocations', { owner, resource_class: 'x' }),
      runbooks: await made('runbooks', { owner, name: owner, steps }),
    }
  }
  const [ours, theirs] = [await things('owner', 1), await things('other', 2)]
  world.as('owner reader')
  const status = async (path: string, marker: string, more = '') =>
    (await world.api.call('GET', `/v1/${path}?marker=${marker}${more}`)).status
  for (const [path, own] of Object.entries(ours)) {
    assert.equal(await status(path, own), 200, path)
    assert.equal(await status(path, theirs[path as keyof typeof ours]), 404, path) // the same keys
  }
  assert.equal(await status('nodes', theirs.nodes, '&sort_key=description'), 404)
  assert.equal(await status(`nodes/${ours.nodes}/portgroups`, theirs.portgroups), 404)
  assert.equal(await status(`nodes/${ours.nodes}/ports`, theirs.ports), 404)
})

test('properties of volume targets', async () => {
  await using world = await start()
  const node_uuid = await world.as('system admin').node({ owner: 'owner' })
  const body = { node_uuid, volume_type: 'iscsi', boot_index: 0, volume_id: 'v', properties: { target: 'iqn' } }
  const { json } = await world.api.call('POST', '/v1/volume/targets', { body })
  const path = `volume/targets/${(json as { uuid: string }).uuid}`
  for (const person of ['system reader', 'owner admin']) {
    assert.deepEqual((await get(world.as(person), path)).properties, { target: 'iqn' }, person)
  }
  const reader = world.as('owner reader')
  const [listed] = (await get(reader, 'volume/targets?detail=true')).targets as Json[]
  for (const shown of [await get(reader, path), listed]) {
    assert.match(JSON.stringify(shown?.properties), /redacted_contents.*view_target_properties/)
  }
})

test('a list of what is ours costs as many statements however long it is', async () => {
  await using world = await start()
  const add = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      const node_uuid = await world.as('system admin').node({ owner: i % 2 === 0 ? 'owner' : 'other' })
      await world.api.call('POST', '/v1/portgroups', { body: { node_uuid } })
    }
  }
  const costs = async () => {
    const counted: number[] = []
    for (const path of paths) counted.push(await world.api.statements(() => get(world.as('owner reader'), path)))
    return counted
  }
  await add(2)
  const paths = ['nodes', 'nodes/detail', 'ports/detail', 'portgroups', 'volume/connectors', 'allocations', 'runbooks']
  const few = await costs()
  await add(20)
  assert.deepEqual(await costs(), few)
  assert.equal(((await get(world.as('owner reader'), 'nodes')).nodes as Json[]).length, 11)
})

test('what a project creates is its own', async () => {
  await using world = await start()
  const admin = world.as('owner admin')
  const made = await admin.call('POST', '/v1/nodes', { body: { driver: 'fake-hardware' } })
  assert.equal((made.json as Json).owner, 'owner')
  const allocation = await admin.call('POST', '/v1/allocations', { body: { resource_class: 'x' } })
  assert.equal((allocation.json as Json).owner, 'owner')
  const steps = [{ interface: 'raid', step: 's', order: 1 }]
  const runbook = await admin.call('POST', '/v1/runbooks', { body: { name: 'r', steps } })
  assert.equal((runbook.json as Json).owner, 'owner')

  await using strict = await start({ api: { project_admin_can_manage_own_nodes: false } })
  const node = await strict.as('system admin').node({ owner: 'owner' })
  assert.equal(
    (await strict.as('owner admin').call('POST', '/v1/nodes', { body: { driver: 'fake-hardware' } })).status,
    403,
  )
  assert.equal((await strict.api.call('DELETE', `/v1/nodes/${node}`)).status, 403)
})

test('the owner of an active node is changed by the system administrator alone', async () => {
  await using world = await start()
  const node = await world.as('system admin').node({ owner: 'owner' })
  await world.api.set(node, { provision_state: 'active' })
  const change = { op: 'replace', path: '/owner', value: 'other' }
  assert.equal((await patch(world.as('system member'), `nodes/${node}`, change)).status, 409)
  assert.equal((await patch(world.as('system admin'), `nodes/${node}`, change)).status, 200)
})

test('cleaning is switched off by the system administrator alone, however the word for it is spelt', async () => {
  await using world = await start()
  const node = await world.as('system admin').node({ owner: 'owner', lessee: 'lessee' })
  const off = (value: unknown) => patch(world.api, `nodes/${node}`, { op: 'add', path: '/automated_clean', value })
  for (const person of ['owner admin', 'lessee member', 'system member']) {
    world.as(person)
    for (const value of [false, 0, 'false', ' No ', 'OFF', '0\n']) {
      assert.equal((await off(value)).status, 403, `${person} with ${JSON.stringify(value)}`)
    }
    assert.equal((await off(true)).status, 200, person)
  }
  world.as('system admin')
  assert.equal((await off(0)).status, 200)
})

test('who waits for a node that gets another owner meanwhile changes nothing of it', async () => {
  await using world = await start()
  const admin = world.as('system admin')
  const node = await admin.node({ owner: 'owner', network_interface: 'flat', raid_interface: 'fake' })
  await admin.set(node, { provision_state: 'manageable', power_state: 'power off' })
  const made = async (path: string, body: Json) =>
    ((await admin.call('POST', `/v1/${path}`, { body: { node_uuid: node, ...body } })).json as { uuid: string }).uuid
  const port = await made('ports', { address: '52:54:00:00:00:01' })
  const group = await made('portgroups', {})
  const connector = await made('volume/connectors', { type: 'iqn', connector_id: 'c' })
  const { conductor } = world.api
  const { withNode } = conductor
  const extra = [{ op: 'add', path: '/extra/mine', value: 1 }]
  const requests: [method: string, path: string, body?: unknown][] = [
    ['PATCH', `nodes/${node}`, extra],
    ['DELETE', `nodes/${node}`],
    ['PUT', `nodes/${node}/traits/CUSTOM_MINE`],
    ['PUT', `nodes/${node}/maintenance`, { reason: 'mine' }],
    ['PUT', `nodes/${node}/states/raid`, {}],
    ['POST', `nodes/${node}/vifs`, { id: 'mine' }],
    ...[`ports/${port}`, `portgroups/${group}`, `volume/connectors/${connector}`].flatMap(
      path =>
        [
          ['PATCH', path, extra],
          ['DELETE', path],
        ] as [string, string, unknown?][],
    ),
  ]
  for (const [method, path, body] of requests) {
    await world.api.set(node, { owner: 'owner' })
    conductor.withNode = async (uuid, what, work) => {
      conductor.withNode = withNode
      await world.api.set(node, { owner: 'other' })
      return withNode(uuid, what, work)
    }
    const { status } = await world.as('owner admin').call(method, `/v1/${path}`, { body })
    assert.equal(status, 403, `${method} ${path}`)
  }
  world.as('system admin')
  const { maintenance, traits, extra: kept } = await get(world.api, `nodes/${node}`)
  assert.deepEqual([maintenance, traits, kept], [false, [], {}])
  for (const path of [`ports/${port}`, `portgroups/${group}`, `volume/connectors/${connector}`]) {
    assert.deepEqual((await get(world.api, path)).extra, {}, path)
  }
})

test('who asks for a MAC address that is taken learns of the port that has it only where they may see it', async () => {
  await using world = await start()
  const admin = world.as('system admin')
  const address = '52:54:00:00:00:09'
  const node = await admin.node({ owner: 'other' })
  assert.equal((await admin.call('POST', '/v1/ports', { body: { node_uuid: node, address } })).status, 201)
  const ours = await admin.node({ owner: 'owner' })
  const attempt = () => world.api.call('POST', '/v1/ports', { body: { node_uuid: ours, address } })
  assert.match((await attempt()).fault, new RegExp(`already exists: port .* of node ${node}`))
  world.as('owner admin')
  const { status, fault } = await attempt()
  assert.deepEqual([status, fault], [409, `A port with MAC address ${address} already exists`])
})

test('nothing of a project moves to a node of another, or below it', async () => {
  await using world = await start()
  const admin = world.as('system admin')
  const ours = await admin.node({ owner: 'owner' })
  const second = await admin.node({ owner: 'owner' })
  const theirs = await admin.node({ owner: 'other' })
  const body = { node_uuid: ours, address: '52:54:00:00:00:01' }
  const port = ((await admin.call('POST', '/v1/ports', { body })).json as { uuid: string }).uuid
  const move = (node: string) => patch(world.api, `ports/${port}`, { op: 'replace', path: '/node_uuid', value: node })
  for (const person of ['owner admin', 'system admin']) {
    world.as(person)
    assert.equal((await move(theirs)).status, 400, person)
    assert.equal((await move(second)).status, 200, person)
    assert.equal((await move(ours)).status, 200, person)
  }
  const child = (parent: string) =>
    patch(world.as('system admin'), `nodes/${ours}`, { op: 'add', path: '/parent_node', value: parent })
  assert.equal((await child(theirs)).status, 400)
  assert.equal((await child(second)).status, 200)
})

test('a step on all contained nodes runs on none of another owner', async () => {
  await using world = await start()
  const admin = world.as('system admin')
  const parent = await admin.node({ owner: 'owner' })
  const [mine, given] = [await admin.node({ owner: 'owner' }), await admin.node({ owner: 'owner' })]
  for (const child of [mine, given]) {
    await patch(admin, `nodes/${child}`, { op: 'add', path: '/parent_node', value: parent })
  }
  await admin.set(parent, { provision_state: 'manageable' })
  const clean = async (more: Json) => {
    const step = { interface: 'power', step: 'power_off', execute_on_child_nodes: true, ...more }
    const body = { target: 'clean', clean_steps: [step] }
    return (await world.api.call('PUT', `/v1/nodes/${parent}/states/provision`, { body })).status
  }
  await patch(admin, `nodes/${given}`, { op: 'replace', path: '/owner', value: 'other' })
  world.as('owner admin')
  assert.equal(await clean({}), 403)
  assert.equal(await clean({ limit_child_node_execution: [given] }), 404)
  assert.equal(await clean({ limit_child_node_execution: [mine] }), 202)
  await world.api.set(parent, { provision_state: 'manageable' })
  world.as('system admin')
  assert.equal(await clean({}), 202)
})

test('a trusted service acts for all, where the operator says so', async () => {
  const service: Identity = { ...personOf('service service'), projectName: 'service' }
  for (const [elevated, status] of [
    [true, 200],
    [false, 404],
  ] as const) {
    await using world = await start({ DEFAULT: { rbac_service_role_elevated_access: elevated } })
    const node = await world.as('system admin').node()
    assert.equal((await world.as(service).call('GET', `/v1/nodes/${node}`)).status, status)
  }
})

test('tokens of a domain pass nothing, of a project nothing that is the system’s, while scopes are enforced', async () => {
  const domainAdmin: Identity = { ...nobody, domainId: 'd', roles: ['admin', 'member', 'reader'] }
  await using world = await start()
  assert.equal((await world.as(domainAdmin).call('GET', '/v1/nodes')).status, 403)
  assert.equal((await world.api.call('POST', '/v1/nodes', { body: { driver: 'fake-hardware' } })).status, 403)
  const rules = 'baremetal:chassis:get: role:reader'
  await using scoped = await start({}, { rules })
  assert.equal((await scoped.as('other reader').call('GET', '/v1/chassis')).status, 403)
  await using loose = await start({ oslo_policy: { enforce_scope: false } }, { rules })
  assert.equal((await loose.as('other reader').call('GET', '/v1/chassis')).status, 200)
})

test('with the former rules an administrator of any project does everything, and an observer reads', async () => {
  const former = { oslo_policy: { enforce_new_defaults: false, enforce_scope: false } }
  await using world = await start(former)
  const node = await world.as('system admin').node({ owner: 'owner' })
  const status = async (person: string | Identity, method: string) =>
    (await world.as(person).call(method, `/v1/nodes/${node}`)).status
  const observer: Identity = {
    ...personOf('x none'),
    projectName: 'baremetal',
    projectDomainId: 'default',
    roles: ['observer'],
  }
  assert.equal(await status('other member', 'GET'), 404)
  assert.equal(await status(observer, 'GET'), 200)
  assert.equal(await status(observer, 'DELETE'), 403)
  assert.equal((await world.as('other admin').call('GET', '/v1/chassis')).status, 200)
  assert.equal((await world.as('other admin').call('GET', '/v1/runbooks')).status, 200)
  assert.equal(await status('other admin', 'DELETE'), 204)
})

test('a policy file counts from when it changes; one that is wrong changes nothing', async () => {
  const errors: string[] = []
  const log: Log = { ...silent, error: (_, message) => void errors.push(message) }
  await using world = await start({}, { log })
  const status = async () => (await world.as('other reader').call('GET', '/v1/shards')).status
  assert.equal(await status(), 403)
  const becomes = async (expected: number) => {
    const giveUpMs = Date.now() + 60_000
    while ((await status()) !== expected) assert.ok(Date.now() < giveUpMs, `still not ${expected}`)
  }
  await writeFile(world.policyFile, 'baremetal:shards:get: role:reader')
  await becomes(200)
  await writeFile(world.policyFile, 'baremetal:shards:get: role:reader and')
  const giveUpMs = Date.now() + 60_000
  while (errors.length === 0) {
    assert.equal(await status(), 200)
    assert.ok(Date.now() < giveUpMs, 'nothing was logged')
  }
  assert.match(errors[0] ?? '', /rule of baremetal:shards:get, "role:reader and": found the end.*stays in force/)
  await rm(world.policyFile)
  await becomes(403)
})

test('files of a folder count after the policy file, in the order of their names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-policy.d-'))
  await writeFile(join(folder, '10-first.yaml'), 'baremetal:shards:get: rule:ours')
  await writeFile(join(folder, '20-second.json'), '{"ours": "role:reader", "baremetal:conductor:get": "role:reader"}')
  await writeFile(join(folder, 'README'), 'not rules')
  const overrides = { oslo_policy: { policy_dirs: [folder, '/nonexistent'] } }
  await using world = await start(overrides, { rules: 'baremetal:conductor:get: "!"' })
  for (const path of ['shards', 'conductors']) {
    assert.equal((await world.as('other reader').call('GET', `/v1/${path}`)).status, 200, path)
  }
  await rm(folder, { recursive: true })
})

test('steps that an operator restricts', async () => {
  const rules = 'baremetal:step:execute:raid.delete_configuration: role:admin and system_scope:all'
  await using world = await start({}, { rules })
  const steps = (step: string) => [{ interface: 'raid', step, order: 1 }]
  const node = await world.as('system admin').node({ owner: 'owner' })
  await world.api.set(node, { provision_state: 'manageable' })
  const clean = (step: string) =>
    world.api.call('PUT', `/v1/nodes/${node}/states/provision`, { body: { target: 'clean', clean_steps: steps(step) } })
  const runbook = (step: string) => world.api.call('POST', '/v1/runbooks', { body: { name: step, steps: steps(step) } })
  world.as('owner admin')
  const refused = await clean('delete_configuration')
  assert.equal(refused.status, 403)
  assert.match(refused.fault, /raid\.delete_configuration/)
  assert.equal((await runbook('delete_configuration')).status, 403)
  assert.equal((await runbook('create_configuration')).status, 201)
  assert.equal((await clean('create_configuration')).status, 202)
})
