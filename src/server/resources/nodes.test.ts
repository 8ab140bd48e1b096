import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { appendEvent } from '#db/events.ts'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
const nodesOf = (json: unknown) => (json as { nodes: Json[] }).nodes
const create = (body: Json, version?: string) =>
  api.call('POST', '/v1/nodes', { body: { driver: 'fake-hardware', ...body }, ...(version ? { version } : {}) })
const patch = (node: string, body: unknown, version?: string) =>
  api.call('PATCH', `/v1/nodes/${node}`, { body, ...(version ? { version } : {}) })

test('a new node has every field, its defaults and its interfaces', async () => {
  const { status, json, headers } = await create({ name: 'fresh', driver_info: { redfish_password: 'x' } })
  const node = json as Json
  assert.equal(status, 201)
  assert.match(headers.get('location') ?? '', new RegExp(`/v1/nodes/${node.uuid}$`))
  assert.equal(Object.keys(node).length, 69)
  const { provision_state, power_state, maintenance, extra, traits, conductor, deploy_interface, driver_info } = node
  assert.deepEqual(
    { provision_state, power_state, maintenance, extra, traits, conductor, deploy_interface, driver_info },
    {
      provision_state: 'enroll',
      power_state: null,
      maintenance: false,
      extra: {},
      traits: [],
      conductor: 'host-1',
      deploy_interface: 'direct',
      driver_info: { redfish_password: '******' },
    },
  )
  assert.deepEqual((await api.call('GET', '/v1/nodes/fresh')).json, node)
})

const refused: [name: string, body: Json, status: number, version?: string][] = [
  ['without a driver', { driver: undefined }, 400],
  ['with an unknown driver', { driver: 'nope' }, 400],
  ['with an unknown interface', { deploy_interface: 'nope' }, 400],
  ['with an unknown field', { nope: 1 }, 400],
  ['with a field that only PATCH sets', { protected: true }, 400],
  ['with a read-only field', { power_state: 'power on' }, 400],
  ['with a reserved name', { name: 'states' }, 400],
  ['with a name like a UUID', { name: '6d85703a-565d-469a-96ce-30b6de53079d' }, 400],
  ['with blanks in the name', { name: 'a b' }, 400],
  ['with an empty name', { name: '' }, 400],
  ['with too long a name', { name: 'x'.repeat(256) }, 400],
  ['with a name that is no host name below 1.10', { name: 'a_b' }, 400, '1.9'],
  ['with a name below 1.5', { name: 'n' }, 406, '1.4'],
  ['with a field of a later version', { owner: 'x' }, 406, '1.49'],
  ['with an unknown chassis', { chassis_uuid: '6d85703a-565d-469a-96ce-30b6de53079d' }, 400],
  ['with an unknown parent', { parent_node: 'nobody' }, 400],
  ['with odd sizes', { properties: { memory_mb: '4G' } }, 400],
  ['with a list where an object belongs', { extra: [] }, 400],
  ['with half a network_data', { network_data: { links: [] } }, 400],
  ['with too long a description', { description: 'x'.repeat(4097) }, 400],
  ['with a reason for what it is not', { retired_reason: 'old' }, 400],
  ['with a word that is no boolean', { maintenance: 'perhaps' }, 400],
  ['with the name of another', { name: 'fresh' }, 409],
]
for (const [name, body, status, version] of refused) {
  test(`a node ${name} is refused with ${status}`, async () => {
    const reply = await create(body, version)
    assert.equal(reply.status, status, reply.fault)
    assert.notEqual(reply.fault, '')
  })
}

test('half a network_data is told what it lacks', async () => {
  const uuid = await api.node()
  const set = (value: object) => patch(uuid, [{ op: 'add', path: '/network_data', value }])
  assert.match(
    (await create({ network_data: { links: [] } })).fault,
    /missing field networks, services at \/network_data$/,
  )
  assert.equal((await set({ links: [], networks: [] })).fault, 'Cannot set network_data: missing field services')
  assert.match((await set({ link: [] })).fault, /missing field links, networks, services$/)
  const half = { links: [{ id: 'eth0', type: 'phy' }], networks: [], services: [] }
  assert.match((await set(half)).fault, /missing field ethernet_mac_address at \/links\/0$/)
  const drive = { target: 'active', configdrive: { users: 'x' } }
  // Where nothing is no alternative, what is unknown is told as such.
  assert.match(
    (await api.call('PUT', `/v1/nodes/${uuid}/states/provision`, { body: drive })).fault,
    /unknown field users/,
  )
  assert.equal((await set({})).status, 200)
})

test('what old and careless clients send is taken', async () => {
  assert.equal((await create({ name: null, conductor_group: '' }, '1.4')).status, 201)
  assert.equal(((await create({}, '1.10')).json as Json).provision_state, 'available')
  assert.equal(((await create({}, '1.1')).json as Json).provision_state, null)
  const { json } = await create({ maintenance: 'TRUE', extra: null, automated_clean: 'no', conductor_group: 'RackA' })
  const { maintenance, extra, automated_clean, conductor_group, conductor } = json as Json
  assert.deepEqual([maintenance, extra, automated_clean, conductor_group, conductor], [true, {}, false, 'racka', null])
})

test('a parent is named by name or UUID and stored as UUID; children are left out of lists', async () => {
  const parent = await api.node({ name: 'parent' })
  const child = (await create({ name: 'child', parent_node: 'parent' })).json as Json
  assert.equal(child.parent_node, parent)
  assert.equal((await create({ parent_node: 'child' })).status, 400)
  const uuids = async (query: string) => nodesOf((await api.call('GET', `/v1/nodes${query}`)).json).map(one => one.uuid)
  assert.ok(!(await uuids('')).includes(child.uuid))
  assert.ok((await uuids('?include_children=true')).includes(child.uuid))
  assert.deepEqual(await uuids(`?parent_node=${parent}`), [child.uuid])
  const { json } = await api.call('GET', '/v1/nodes/parent/children')
  assert.deepEqual((json as Json).children, [child.uuid])
})

test('a node is found by UUID and, from 1.5, by name; .json at the end is cut off below 1.91', async () => {
  const uuid = await api.node({ name: 'named' })
  await api.node({ name: 'dotted.json' })
  const status = async (ident: string, version: string) =>
    (await api.call('GET', `/v1/nodes/${ident}`, { version })).status
  assert.equal(await status(uuid, '1.1'), 200)
  assert.equal(await status('named', '1.4'), 404)
  assert.equal(await status('named', '1.5'), 200)
  assert.equal(await status('named.json', '1.90'), 200)
  assert.equal(await status('named.json', '1.91'), 404)
  assert.equal(await status('dotted.json', '1.90'), 200)
  assert.equal(await status(uuid.toUpperCase(), 'latest'), 404)
  assert.equal(await status('a%20b', 'latest'), 400)
  assert.equal(await status('%E2%98%83', 'latest'), 400)
})

test('fields choose, with links; unknown ones are 400, later ones 406', async () => {
  const keys = async (fields: string, version = 'latest') =>
    Object.keys(((await api.call('GET', `/v1/nodes/fresh?fields=${fields}`, { version })).json ?? {}) as object)
  assert.deepEqual(await keys('name,UUID, driver'), ['uuid', 'name', 'driver', 'links'])
  const status = async (fields: string, version = 'latest') =>
    (await api.call('GET', `/v1/nodes?fields=${fields}`, { version })).status
  assert.equal(await status('conductor,allocation_uuid,chassis_uuid'), 200)
  assert.equal(await status('nope'), 400)
  assert.equal(await status('created_at'), 400)
  assert.equal(await status('owner', '1.49'), 406)
  assert.equal(await status('uuid', '1.7'), 406)
  assert.equal((await api.call('GET', '/v1/nodes?fields=uuid&detail=true')).status, 400)
  assert.equal((await api.call('GET', '/v1/nodes?detail=true', { version: '1.42' })).status, 400)
})

test('old versions see what they know', async () => {
  const uuid = await api.node()
  const states = async (version: string) =>
    ((await api.call('GET', `/v1/nodes/${uuid}`, { version })).json as Json).provision_state
  await api.set(uuid, { provision_state: 'inspect wait' })
  assert.deepEqual([await states('1.38'), await states('1.39')], ['inspecting', 'inspect wait'])
  await api.set(uuid, { provision_state: 'available' })
  assert.deepEqual([await states('1.1'), await states('1.2')], [null, 'available'])
  const old = (await api.call('GET', `/v1/nodes/${uuid}`, { version: '1.1' })).json as Json
  assert.ok(!('name' in old) && !('driver_internal_info' in old) && !('conductor' in old) && 'links' in old)
})

test('pages lead through everything, in every order, with everything they were asked with', async () => {
  await using own = await startApi()
  const classes = ['b', null, 'a', 'b', null, 'c', 'a']
  for (const [index, resource_class] of classes.entries()) {
    await own.node({ name: `n${index}`, ...(resource_class ? { resource_class } : {}), description: `Half_${index}%` })
  }
  for (const order of [
    '',
    '&sort_dir=desc',
    '&sort_key=resource_class',
    '&sort_key=resource_class&sort_dir=desc',
    '&sort_key=name',
    '&sort_key=updated_at',
  ]) {
    for (const limit of [1, 2, 3, 7, 8]) {
      const seen: unknown[] = []
      let next: string | undefined = `/v1/nodes?limit=${limit}${order}&fields=name,resource_class&driver=fake-hardware`
      let pages = 0
      while (next !== undefined) {
        const { json, status } = await own.call('GET', next)
        assert.equal(status, 200)
        seen.push(...nodesOf(json).map(one => one.name))
        const url = (json as { next?: string }).next
        if (url) assert.match(url, /driver=fake-hardware/)
        next = url?.slice(own.url.length)
        pages += 1
      }
      assert.equal(new Set(seen).size, classes.length, order)
      assert.equal(seen.length, classes.length)
      assert.equal(pages, Math.ceil(classes.length / limit))
      if (order === '&sort_key=resource_class') assert.deepEqual(seen, ['n1', 'n4', 'n2', 'n6', 'n0', 'n3', 'n5'])
      if (order === '&sort_dir=desc') assert.deepEqual(seen, ['n6', 'n5', 'n4', 'n3', 'n2', 'n1', 'n0'])
    }
  }
  const found = nodesOf((await own.call('GET', '/v1/nodes?description_contains=f_3%25')).json)
  assert.deepEqual(
    found.map(one => one.name),
    ['n3'],
  )
  assert.equal((await own.call('GET', '/v1/nodes?marker=6d85703a-565d-469a-96ce-30b6de53079d')).status, 404)
  for (const key of ['extra', 'nope', 'links']) {
    assert.equal((await own.call('GET', `/v1/nodes?sort_key=${key}`)).status, 400, key)
  }
  assert.equal((await own.call('GET', '/v1/nodes?sort_key=owner', { version: '1.49' })).status, 406)
})

test('a description is found by any text in it, in any letters, and by none that is longer than descriptions are', async () => {
  await using own = await startApi()
  const uuid = await own.node({ description: 'Étage 3, ÜBER dem Labor' })
  const found = async (sought: string) => {
    const { status, json } = await own.call('GET', `/v1/nodes?description_contains=${encodeURIComponent(sought)}`)
    return status === 200 ? nodesOf(json).map(one => one.uuid) : status
  }
  for (const sought of ['Étage', 'ÉTAGE', 'dem lab', 'ÜBER']) assert.deepEqual(await found(sought), [uuid], sought)
  assert.deepEqual(await found('_'.repeat(30_000)), [])
})

test('a page is never longer than max_limit', async () => {
  await using own = await startApi({ api: { max_limit: 2 } })
  for (let i = 0; i < 3; i += 1) await own.node()
  const { json } = await own.call('GET', '/v1/nodes?limit=50')
  assert.equal(nodesOf(json).length, 2)
  assert.match((json as { next: string }).next, /limit=2/)
})

test('filters', async () => {
  await using own = await startApi()
  const instance_uuid = '6d85703a-565d-469a-96ce-30b6de53079d'
  await own.node({ name: 'a', owner: 'p1', shard: 'S1', resource_class: 'gold', instance_uuid, instance_name: 'web' })
  await own.node({
    name: 'b',
    lessee: 'p1',
    maintenance: true,
    driver: 'redfish',
    conductor_group: 'rack',
    retired: true,
  })
  await own.set(await own.node({ name: 'c', shard: 's2' }), { provision_state: 'active', fault: 'clean failure' })
  const names = async (query: string) =>
    nodesOf((await own.call('GET', `/v1/nodes?${query}`)).json).map(one => one.name)
  const table: [query: string, found: string[]][] = [
    ['associated=true', ['a']],
    ['associated=0', ['b', 'c']],
    ['maintenance=yes', ['b']],
    ['retired=true', ['b']],
    ['provision_state=active', ['c']],
    ['driver=redfish', ['b']],
    ['resource_class=gold', ['a']],
    ['fault=clean%20failure', ['c']],
    ['conductor_group=RACK', ['b']],
    ['conductor=host-1', ['a', 'c']],
    ['conductor=other', []],
    ['owner=p1', ['a']],
    ['lessee=p1', ['b']],
    ['project=p1', ['a', 'b']],
    ['shard=s1,S2', ['a', 'c']],
    ['shard=s1&shard=s2', ['a', 'c']],
    ['sharded=false', ['b']],
    ['instance_name=web', ['a']],
    [`instance_uuid=${instance_uuid}`, ['a']],
    ['project=p1&maintenance=false', ['a']],
  ]
  for (const [query, found] of table) assert.deepEqual(await names(query), found, query)
  const status = async (query: string, version = 'latest') =>
    (await own.call('GET', `/v1/nodes?${query}`, { version })).status
  assert.equal(await status('provision_state=nope'), 400)
  assert.equal(await status('fault=nope'), 400)
  assert.equal(await status('chassis_uuid=6d85703a-565d-469a-96ce-30b6de53079d'), 404)
  assert.equal(await status('provision_state=active', '1.8'), 406)
  assert.equal(await status('instance_name=web', '1.103'), 406)
  assert.equal(await status('retired=true', '1.1'), 200)
})

test('a list makes the same few statements however long it is', async () => {
  await using own = await startApi()
  const counts = async () => {
    const all: number[] = []
    for (const query of ['', '/detail', '?fields=uuid,conductor,driver_internal_info', '?limit=1']) {
      all.push(await own.statements(() => own.call('GET', `/v1/nodes${query}`)))
    }
    return all
  }
  await own.node()
  await own.node()
  await counts()
  const few = await counts()
  for (let i = 0; i < 30; i += 1) await own.node()
  assert.deepEqual(await counts(), few)
  assert.ok(
    few.every(count => count <= 3),
    String(few),
  )
})

test('driver_internal_info joins drivers, agent and progress, without secrets', async () => {
  const uuid = await api.node()
  await api.set(uuid, { driver_internal_info: { last_power_state_change: 'x', ipmi_password: 'y' } })
  const row = {
    node_uuid: uuid,
    url: 'https://10.0.0.5:9999',
    token: 't',
    verify_ca: 'PEM',
    version: '1',
    heartbeat_at: '2026-11-21T05:47:09.128000+00:00',
  }
  await api.db.insertInto('agents').values(row).execute()
  const progress = {
    step: 'deploy.write_image',
    phase: 'writing image',
    bytes: 1,
    total_bytes: 2,
    rate_bytes_per_s: 3,
    eta_s: 4,
    updated_at: 'x',
  }
  const flow = {
    node_uuid: uuid,
    kind: 'deploy',
    args: '{}',
    state: 'waiting',
    phase: 'run',
    started_at: 'x',
    progress: JSON.stringify(progress),
  }
  await api.db.insertInto('flows').values(flow).execute()
  await api.db
    .insertInto('flows')
    .values({ ...flow, state: 'done' })
    .execute()
  const shown = ((await api.call('GET', `/v1/nodes/${uuid}`)).json as Json).driver_internal_info
  assert.deepEqual(shown, {
    last_power_state_change: 'x',
    ipmi_password: '******',
    agent_url: 'https://10.0.0.5:9999',
    agent_version: '1',
    agent_last_heartbeat: '2026-11-21T05:47:09.128000',
    agent_verify_ca: `${uuid}.crt`,
    agent_secret_token: '******',
    progress,
  })
})

test('a patch is answered with the whole node; an empty one changes nothing', async () => {
  const uuid = await api.node({ instance_info: { image_url: 'http://x/?token=1', configdrive: 'abc', k: 'v' } })
  const before = await api.call('GET', `/v1/nodes/${uuid}`)
  assert.deepEqual((await patch(uuid, [])).json, before.json)
  const { json, status } = await patch(uuid, [
    { op: 'add', path: '/properties', value: { cpus: 4 } },
    { op: 'add', path: '/instance_info/display_name', value: 'web-1' },
    { op: 'replace', path: '/conductor_group', value: 'RackB' },
    { op: 'add', path: '/maintenance', value: 'on' },
  ])
  const { properties, instance_info, instance_name, conductor_group, maintenance, updated_at } = json as Json
  assert.equal(status, 200)
  assert.deepEqual(instance_info, { image_url: '******', configdrive: '******', k: 'v', display_name: 'web-1' })
  assert.deepEqual([properties, instance_name, conductor_group, maintenance], [{ cpus: 4 }, 'web-1', 'rackb', true])
  assert.notEqual(updated_at, null)
})

const patches: [name: string, state: Json, operations: Json[], status: number, version?: string][] = [
  [
    'of a running deployment',
    { provision_state: 'deploying', target_provision_state: 'active' },
    [{ op: 'add', path: '/extra/a', value: 1 }],
    409,
  ],
  [
    'of the image, while the agent writes another',
    { provision_state: 'wait call-back', target_provision_state: 'active' },
    [{ op: 'add', path: '/instance_info/image_source', value: 'another' }],
    409,
  ],
  [
    'of a running deployment, in maintenance',
    { provision_state: 'deploying', target_provision_state: 'active', maintenance: true },
    [{ op: 'add', path: '/extra/a', value: 1 }],
    409,
  ],
  [
    'that only releases a node in maintenance',
    {
      provision_state: 'deploying',
      target_provision_state: 'active',
      maintenance: true,
      instance_uuid: '6d85703a-565d-469a-96ce-30b6de5307a1',
    },
    [{ op: 'remove', path: '/instance_uuid' }],
    200,
  ],
  [
    'of a failed deployment',
    { provision_state: 'deploy failed', target_provision_state: 'active' },
    [{ op: 'add', path: '/extra/a', value: 1 }],
    200,
  ],
  [
    'while inspecting, from 1.39',
    { provision_state: 'inspecting', target_provision_state: 'manageable' },
    [{ op: 'add', path: '/extra/a', value: 1 }],
    409,
  ],
  [
    'while inspecting, below 1.39',
    { provision_state: 'inspecting', target_provision_state: 'manageable' },
    [{ op: 'add', path: '/extra/a', value: 1 }],
    200,
    '1.38',
  ],
  [
    'that protects an idle node',
    { provision_state: 'available' },
    [{ op: 'add', path: '/protected', value: true }],
    409,
  ],
  [
    'that protects an active node',
    { provision_state: 'active' },
    [
      { op: 'add', path: '/protected', value: 'true' },
      { op: 'add', path: '/protected_reason', value: 'mine' },
    ],
    200,
  ],
  [
    'that gives a reason for no protection',
    { provision_state: 'active' },
    [{ op: 'add', path: '/protected_reason', value: 'mine' }],
    400,
  ],
  [
    'that retires an available node',
    { provision_state: 'available' },
    [{ op: 'add', path: '/retired', value: true }],
    409,
  ],
  [
    'that changes an interface of an active node',
    { provision_state: 'active' },
    [{ op: 'add', path: '/boot_interface', value: 'ipxe' }],
    409,
  ],
  [
    'that changes an interface in maintenance',
    { provision_state: 'active', maintenance: true },
    [{ op: 'add', path: '/boot_interface', value: 'ipxe' }],
    200,
  ],
  [
    'to an unknown interface',
    { provision_state: 'manageable' },
    [{ op: 'add', path: '/boot_interface', value: 'nope' }],
    400,
  ],
  ['to an unknown driver', { provision_state: 'manageable' }, [{ op: 'add', path: '/driver', value: 'nope' }], 400],
  [
    'to a driver that lacks the interfaces',
    { provision_state: 'manageable' },
    [{ op: 'add', path: '/driver', value: 'redfish' }],
    400,
  ],
  [
    'of the driver while the console is on',
    { provision_state: 'manageable', console_enabled: true },
    [{ op: 'add', path: '/driver', value: 'redfish' }],
    409,
  ],
  [
    'that takes a node from its instance',
    { provision_state: 'active', instance_uuid: '6d85703a-565d-469a-96ce-30b6de5307a2' },
    [{ op: 'add', path: '/instance_uuid', value: '6d85703a-565d-469a-96ce-30b6de53079e' }],
    409,
  ],
  [
    'of the resource class of an active node',
    { provision_state: 'active', resource_class: 'a', maintenance: true },
    [{ op: 'add', path: '/resource_class', value: 'b' }],
    409,
  ],
  [
    'of an unset resource class',
    { provision_state: 'active', resource_class: null },
    [{ op: 'add', path: '/resource_class', value: 'b' }],
    200,
  ],
  ['of a field that is not for patching', {}, [{ op: 'add', path: '/power_state', value: 'power on' }], 400],
  ['of traits', {}, [{ op: 'add', path: '/traits', value: [] }], 400],
  ['to a reserved name', {}, [{ op: 'add', path: '/name', value: 'detail' }], 400],
  ['to the name of another', {}, [{ op: 'add', path: '/name', value: 'fresh' }], 409],
  ['with a later field', {}, [{ op: 'add', path: '/owner', value: 'x' }], 406, '1.49'],
  ['that removes a later field', {}, [{ op: 'remove', path: '/owner' }], 200, '1.49'],
  ['that removes the driver', {}, [{ op: 'remove', path: '/driver' }], 400],
  ['with an unknown operation', {}, [{ op: 'move', path: '/name' }], 400],
  ['with surplus keys', {}, [{ op: 'add', path: '/name', value: 'x', from: 'y' }], 400],
  [
    'of a chassis that is not there',
    {},
    [{ op: 'add', path: '/chassis_uuid', value: '6d85703a-565d-469a-96ce-30b6de53079d' }],
    400,
  ],
]
for (const [name, state, operations, status, version] of patches) {
  test(`a patch ${name}: ${status}`, async () => {
    const uuid = await api.node()
    await api.set(uuid, state)
    const before = (await api.call('GET', `/v1/nodes/${uuid}`)).json
    const reply = await patch(uuid, operations, version)
    assert.equal(reply.status, status, reply.fault)
    if (status !== 200) assert.deepEqual((await api.call('GET', `/v1/nodes/${uuid}`)).json, before)
  })
}

test('side effects of a patch', async () => {
  const uuid = await api.node()
  await api.set(uuid, {
    maintenance: true,
    maintenance_reason: 'r',
    fault: 'power failure',
    provision_state: 'active',
    protected: true,
    protected_reason: 'p',
  })
  const { json } = await patch(uuid, [
    { op: 'replace', path: '/maintenance', value: false },
    { op: 'remove', path: '/protected' },
  ])
  const { maintenance_reason, fault, protected_reason } = json as Json
  assert.deepEqual([maintenance_reason, fault, protected_reason], [null, null, null])
})

test('a new driver keeps the interfaces it has, or resets them when asked to', async () => {
  const uuid = await api.node({ boot_interface: 'ipxe' })
  const set = [{ op: 'add', path: '/driver', value: 'redfish' }]
  const interfaces = (json: unknown) => [
    (json as Json).driver,
    (json as Json).power_interface,
    (json as Json).boot_interface,
  ]
  assert.equal((await patch(uuid, set)).status, 400)
  const call = (query: string, body: unknown, version = 'latest') =>
    api.call('PATCH', `/v1/nodes/${uuid}?${query}`, { body, version })
  assert.deepEqual(interfaces((await call('reset_interfaces=true', set)).json), ['redfish', 'redfish', 'ipxe'])
  assert.equal((await call('reset_interfaces=true', [{ op: 'remove', path: '/boot_interface' }])).status, 400)
  assert.equal((await call('reset_interfaces=true', set, '1.44')).status, 406)
})

test('an interface that is taken back becomes the default, also when it was that already', async () => {
  const uuid = await api.node({ boot_interface: 'ipxe' })
  const initial = async () => String(((await api.call('GET', `/v1/nodes/${uuid}`)).json as Json).power_interface)
  const before = await initial()
  const { status, json } = await patch(uuid, [{ op: 'remove', path: '/power_interface' }])
  assert.deepEqual([status, (json as Json).power_interface], [200, before])
})

test('a node that somebody works on is locked', async () => {
  const uuid = await api.node()
  await api.conductor.withNode(uuid, 'deploy', async () => {
    const { status, fault } = await patch(uuid, [{ op: 'add', path: '/extra/a', value: 1 }])
    assert.equal(status, 409)
    assert.match(fault, /host-1/)
    // What is wrong in itself is told first.
    assert.equal((await patch(uuid, [{ op: 'add', path: '/power_state', value: 1 }])).status, 400)
    assert.equal(((await api.call('GET', `/v1/nodes/${uuid}`)).json as Json).reservation, 'host-1')
  })
})

const deletions: [state: Json, status: number][] = [
  [{ provision_state: 'enroll' }, 204],
  [{ provision_state: 'available' }, 204],
  [{ provision_state: 'adopt failed' }, 204],
  [{ provision_state: 'active' }, 409],
  [{ provision_state: 'clean failed' }, 409],
  [{ provision_state: 'active', maintenance: true }, 204],
  [{ provision_state: 'active', maintenance: true, protected: true }, 403],
  [{ provision_state: 'available', instance_uuid: '6d85703a-565d-469a-96ce-30b6de5307a3' }, 409],
  [{ provision_state: 'available', instance_uuid: '6d85703a-565d-469a-96ce-30b6de5307a4', maintenance: true }, 204],
]
for (const [state, status] of deletions) {
  test(`deletion with ${JSON.stringify(state)}: ${status}`, async () => {
    const uuid = await api.node()
    await api.set(uuid, state)
    assert.equal((await api.call('DELETE', `/v1/nodes/${uuid}`)).status, status)
    assert.equal((await api.call('GET', `/v1/nodes/${uuid}`)).status, status === 204 ? 404 : 200)
  })
}

test('validate says it for each interface, by path and by query', async () => {
  const uuid = await api.node({ name: 'valid' })
  const { json } = await api.call('GET', `/v1/nodes/${uuid}/validate`)
  assert.deepEqual((json as Json).power, { result: true })
  assert.deepEqual(Object.keys((json as Json).bios as object), ['result', 'reason'])
  assert.deepEqual((await api.call('GET', '/v1/nodes/validate?node=valid')).json, json)
  assert.deepEqual((await api.call('GET', `/v1/nodes/validate?node_uuid=${uuid}`)).json, json)
  assert.equal((await api.call('GET', '/v1/nodes/validate')).status, 400)
})

test('the inventory is what inspection stored, or 404', async () => {
  const uuid = await api.node()
  assert.equal((await api.call('GET', `/v1/nodes/${uuid}/inventory`)).status, 404)
  const data = { inventory: { cpu: { count: 2 } }, plugin_data: { x: 1 } }
  await api.db
    .updateTable('nodes')
    .set({ inventory: JSON.stringify(data) })
    .where('uuid', '=', uuid)
    .execute()
  assert.deepEqual((await api.call('GET', `/v1/nodes/${uuid}/inventory`)).json, data)
  assert.equal((await api.call('GET', `/v1/nodes/${uuid}/inventory`, { version: '1.80' })).status, 404)
})

test('history tells what the watch over power saw, and boots that were begun again, in words', async () => {
  const uuid = await api.node()
  const stood = { conductor: 'host-7', provision_state: 'active', target_provision_state: null }
  const told: [kind: string, data: Json, type: string, event: RegExp][] = [
    ['power seen', { from: 'power on', state: 'power off' }, 'monitoring', /in "power off", not in "power on"/],
    ['power failure', { error: 'The BMC is silent' }, 'monitoring', /^Put in maintenance: The BMC is silent$/],
    ['power recovered', { state: 'power on' }, 'monitoring', /"power on": taken out of maintenance$/],
    ['boot again', { attempt: 2, why: 'no kernel' }, 'UNKNOWN', /ramdisk again, attempt 2: no kernel$/],
  ]
  for (const [kind, data] of told) {
    await appendEvent(api.db, { nowMs: Date.now(), node_uuid: uuid, kind, data: { ...data, ...stood } })
  }
  const { json } = await api.call('GET', `/v1/nodes/${uuid}/history?detail=true`)
  const { history } = json as { history: Json[] }
  assert.equal(history.length, told.length)
  for (const [index, [kind, , type, event]] of told.entries()) {
    const entry = history[index] as Json // one for each
    assert.match(String(entry.event), event)
    assert.deepEqual([entry.event_type, entry.conductor, entry.state], [type, 'host-7', 'active'])
    assert.equal(entry.severity, kind === 'power failure' ? 'ERROR' : 'INFO')
  }
})

test('history leaves steps out where the option says so', async () => {
  await using quiet = await startApi({ conductor: { record_step_flows_in_history: false } })
  for (const [one, expected] of [
    [quiet, 0],
    [api, 1],
  ] as const) {
    const uuid = await one.node()
    const data = { kind: 'deploy', step: 'deploy.write_image' }
    await appendEvent(one.db, { nowMs: Date.now(), node_uuid: uuid, kind: 'step finished', data })
    const { json } = await one.call('GET', `/v1/nodes/${uuid}/history`)
    assert.equal((json as { history: Json[] }).history.length, expected)
  }
})

test('history tells states and errors, in pages', async () => {
  const uuid = await api.node()
  const add = (kind: string, data: Json) =>
    api.db
      .insertInto('events')
      .values({
        at: '2026-11-21T05:47:09.128000+00:00',
        node_uuid: uuid,
        flow_id: null,
        kind,
        data: JSON.stringify(data),
      })
      .execute()
  await add('provision state', { from: 'enroll', to: 'verifying' })
  await add('boot hop', {})
  await add('ended', { flow: 'deploy', state: 'failed', error: 'x'.repeat(300) })
  const list = (query: string, version = 'latest') => api.call('GET', `/v1/nodes/${uuid}/history${query}`, { version })
  const entries = ((await list('')).json as { history: Json[] }).history
  assert.deepEqual(
    entries.map(one => [one.severity, String(one.event).length]),
    [
      ['INFO', 34],
      ['ERROR', 254],
    ],
  )
  const first = (await list('?limit=1')).json as { history: Json[]; next: string }
  const second = await api.call('GET', first.next.slice(api.url.length))
  assert.deepEqual((second.json as { history: Json[] }).history, [entries[1]])
  const one = await list(`/${entries[1]?.uuid}`)
  assert.equal(String((one.json as Json).event).length, 300)
  const full = ((await list('?detail=true', '1.112')).json as { history: Json[] }).history
  assert.ok(full[0] && 'user' in full[0] && !('project' in full[0]))
  assert.deepEqual(((await list('/detail', '1.112')).json as { history: Json[] }).history, full)
  const other = await api.node()
  assert.equal((await api.call('GET', `/v1/nodes/${other}/history/${entries[1]?.uuid}`)).status, 404)
})
