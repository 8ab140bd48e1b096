import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let node: string
let last = 0
before(async () => {
  api = await startApi()
  node = await api.node({ name: 'host', shard: 'S1' })
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
function mac(): string {
  last += 1
  const digits = last.toString(16).padStart(4, '0')
  return `52:54:00:00:${digits.slice(0, 2)}:${digits.slice(2)}`
}
const create = (body: Json, version = 'latest') =>
  api.call('POST', '/v1/ports', { body: { node_uuid: node, address: mac(), ...body }, version })
const made = async (body: Json = {}) => (await create(body)).json as Json & { uuid: string }
const patch = (port: unknown, operations: Json[], version = 'latest') =>
  api.call('PATCH', `/v1/ports/${port}`, { body: operations, version })

test('a new port has every field; the conductor hears of it', async () => {
  const { json, status, headers } = await create({ address: '52:54:00:AB:CD:EF', name: 'eth0' })
  const port = json as Json
  assert.equal(status, 201)
  assert.match(headers.get('location') ?? '', new RegExp(`/v1/ports/${port.uuid}$`))
  assert.equal(Object.keys(port).length, 18)
  assert.deepEqual(
    [port.address, port.pxe_enabled, port.is_smartnic, port.local_link_connection],
    ['52:54:00:ab:cd:ef', true, false, {}],
  )
  assert.deepEqual(api.conductor.told.ports.at(-1), [node, ['52:54:00:ab:cd:ef']])
  assert.deepEqual((await api.call('GET', '/v1/ports/eth0')).json, port)
})

const refused: [name: string, body: Json, status: number, version?: string][] = [
  ['without an address', { address: undefined }, 400],
  ['with dashes in the address', { address: '52-54-00-00-00-01' }, 400],
  ['with the address of another', { address: '52:54:00:AB:CD:EF' }, 409],
  ['with the name of another', { name: 'eth0' }, 409],
  ['without a node', { node_uuid: undefined }, 400],
  ['with two ways to name the node', { node_ident: 'host' }, 400],
  ['of an unknown node', { node_uuid: '6d85703a-565d-469a-96ce-30b6de53079d' }, 400],
  ['naming its node below 1.94', { node_uuid: undefined, node_ident: 'host' }, 406, '1.93'],
  ['with a later field', { description: 'x' }, 406, '1.96'],
  ['with an unknown field', { speed: 10 }, 400],
  ['of an unknown portgroup', { portgroup_uuid: '6d85703a-565d-469a-96ce-30b6de53079d' }, 400],
  ['with an empty physical network', { physical_network: '' }, 400],
  ['with too long a physical network', { physical_network: 'x'.repeat(65) }, 400],
  ['as a smart NIC without link data', { is_smartnic: true }, 400],
  ['with half a link', { local_link_connection: { port_id: '1' } }, 400],
  [
    'with an unknown link key',
    { local_link_connection: { port_id: '1', switch_id: '52:54:00:00:00:01', x: 'y' } },
    400,
  ],
  ['with an odd switch', { local_link_connection: { port_id: '1', switch_id: 'sw1' } }, 400],
  ['with a network type below 1.64', { local_link_connection: { network_type: 'unmanaged' } }, 406, '1.63'],
  [
    'with VTEP keys after 1.104',
    { local_link_connection: { port_id: '1', 'vtep-logical-switch': 'a', 'vtep-physical-switch': 'b' } },
    406,
    '1.105',
  ],
]
for (const [name, body, status, version] of refused) {
  test(`a port ${name} is refused with ${status}`, async () => {
    const reply = await create(body, version)
    assert.equal(reply.status, status, reply.fault)
  })
}

test('a duplicate address names the port that has it', async () => {
  const { fault } = await create({ address: '52:54:00:ab:cd:ef' })
  const { uuid } = (await api.call('GET', '/v1/ports/eth0')).json as Json
  assert.match(fault, new RegExp(`${uuid}.*${node}`))
})

test('links that are good', async () => {
  for (const link of [
    {},
    { port_id: '1', switch_id: '52:54:00:00:00:01', switch_info: 'x' },
    { port_id: '1', switch_id: '0x0000525400000001' },
    { port_id: '1', hostname: 'h' },
    { network_type: 'unmanaged' },
  ]) {
    assert.equal((await create({ local_link_connection: link })).status, 201, JSON.stringify(link))
  }
  const vtep = { port_id: '1', 'vtep-logical-switch': 'a', 'vtep-physical-switch': 'b' }
  assert.equal((await create({ local_link_connection: vtep }, '1.90')).status, 201)
  assert.equal(
    (await create({ is_smartnic: 'yes', local_link_connection: { port_id: '1', hostname: 'h' } })).status,
    201,
  )
  assert.equal((await create({ node_uuid: undefined, node_ident: 'host' })).status, 201)
})

test('filters, and those that exclude each other', async () => {
  await using own = await startApi()
  const a = await own.node({ name: 'a', shard: 'S1', conductor_group: 'g1' })
  const b = await own.node({ name: 'b' })
  await own.call('POST', '/v1/ports', { body: { node_uuid: a, address: '52:54:00:00:00:01', description: 'up link' } })
  await own.call('POST', '/v1/ports', { body: { node_uuid: b, address: '52:54:00:00:00:02' } })
  const found = async (query: string) =>
    ((await own.call('GET', `/v1/ports?${query}`)).json as { ports: Json[] }).ports
      .map(one => String(one.address).at(-1))
      .join('')
  assert.equal(await found(''), '12')
  assert.equal(await found('node=a'), '1')
  assert.equal(await found(`node_uuid=${b}`), '2')
  assert.equal(await found('address=52:54:00:00:00:02'), '2')
  assert.equal(await found('address=52:54:00:00:00:09'), '')
  assert.equal(await found('shard=s1'), '1')
  assert.equal(await found('conductor_groups=g1,g2'), '1')
  assert.equal(await found('description_contains=LINK'), '1')
  assert.equal(await found('detail=true&sort_key=address&sort_dir=desc'), '21')
  const status = async (query: string, version = 'latest') =>
    (await own.call('GET', `/v1/ports?${query}`, { version })).status
  assert.equal(await status('node=a&shard=s1'), 403)
  assert.equal(await status('node=nobody'), 404)
  assert.equal(await status('portgroup=pg'), 404)
  assert.equal(await status('conductor_groups=g1&node=a'), 400)
  assert.equal(await status('address=52-54-00-00-00-02'), 400)
  assert.equal(await status('shard=s1', '1.81'), 406)
  assert.equal(await status('node=a', '1.4'), 406)
  assert.equal(await status('sort_key=extra'), 400)
})

test('the ports of a node are listed below it, also by its name, with links that stay there', async () => {
  const first = (await api.call('GET', '/v1/nodes/host/ports?limit=1&fields=address')).json as {
    ports: Json[]
    next: string
  }
  assert.match(first.next, /\/v1\/nodes\/host\/ports\?/)
  assert.match(first.next, /fields=address/)
  assert.equal((await api.call('GET', first.next.slice(api.url.length))).status, 200)
  assert.equal((await api.call('GET', `/v1/nodes/${node}/ports/detail`)).status, 200)
  assert.equal((await api.call('GET', '/v1/nodes/nobody/ports')).status, 404)
})

const patches: [name: string, state: Json, operations: Json[], status: number, version?: string][] = [
  ['of extra', {}, [{ op: 'add', path: '/extra/a', value: 1 }], 200],
  ['of the address of an idle node', {}, [{ op: 'replace', path: '/address', value: '52:54:00:FF:00:01' }], 200],
  [
    'of the address of an active node',
    { provision_state: 'active' },
    [{ op: 'replace', path: '/address', value: '52:54:00:ff:00:02' }],
    409,
  ],
  [
    'of the address, in maintenance',
    { provision_state: 'active', maintenance: true },
    [{ op: 'replace', path: '/address', value: '52:54:00:ff:00:03' }],
    200,
  ],
  ['to the address of another', {}, [{ op: 'replace', path: '/address', value: '52:54:00:ab:cd:ef' }], 409],
  [
    'of pxe_enabled when available',
    { provision_state: 'available' },
    [{ op: 'add', path: '/pxe_enabled', value: false }],
    409,
  ],
  [
    'of pxe_enabled when manageable',
    { provision_state: 'manageable' },
    [{ op: 'add', path: '/pxe_enabled', value: 'off' }],
    200,
  ],
  ['while inspecting', { provision_state: 'inspecting' }, [{ op: 'add', path: '/extra/a', value: 1 }], 409],
  [
    'while inspecting, below 1.39',
    { provision_state: 'inspecting' },
    [{ op: 'add', path: '/extra/a', value: 1 }],
    200,
    '1.38',
  ],
  ['to an unknown node', {}, [{ op: 'add', path: '/node_uuid', value: '6d85703a-565d-469a-96ce-30b6de53079d' }], 400],
  ['that removes the address', {}, [{ op: 'remove', path: '/address' }], 400],
  ['of a later field', {}, [{ op: 'add', path: '/vendor', value: 'x' }], 406, '1.99'],
  ['of read-only data', {}, [{ op: 'add', path: '/internal_info/x', value: 1 }], 400],
]
for (const [name, state, operations, status, version] of patches) {
  test(`a patch ${name}: ${status}`, async () => {
    const owner = await api.node()
    const { uuid } = await made({ node_uuid: owner })
    await api.set(owner, state)
    const reply = await patch(uuid, operations, version)
    assert.equal(reply.status, status, reply.fault)
  })
}

test('a port that moves tells the conductor of both nodes', async () => {
  const [from, to] = [await api.node(), await api.node({ name: 'target' })]
  const { uuid, address } = await made({ node_uuid: from })
  assert.equal((await patch(uuid, [{ op: 'replace', path: '/node_uuid', value: to }])).status, 200)
  assert.deepEqual(api.conductor.told.ports.slice(-2), [
    [from, []],
    [to, [address]],
  ])
})

test('a deleted port is gone; its node may be deleted with the others', async () => {
  const owner = await api.node()
  const [one, two] = [await made({ node_uuid: owner }), await made({ node_uuid: owner })]
  assert.equal((await api.call('DELETE', `/v1/ports/${one.uuid}`)).status, 204)
  assert.equal((await api.call('GET', `/v1/ports/${one.uuid}`)).status, 404)
  assert.equal((await api.call('DELETE', `/v1/nodes/${owner}`)).status, 204)
  assert.equal((await api.call('GET', `/v1/ports/${two.uuid}`)).status, 404)
})

test('a port is deleted by its UUID only', async () => {
  const { uuid } = await made({ node_uuid: await api.node(), name: 'named' })
  assert.equal((await api.call('GET', '/v1/ports/named')).status, 200)
  assert.equal((await api.call('DELETE', '/v1/ports/named')).status, 400)
  assert.equal((await api.call('DELETE', `/v1/ports/${uuid}`)).status, 204)
})

test('who waits for the node of a port that moves to another meanwhile neither changes nor deletes it', async () => {
  const [from, to] = [await api.node(), await api.node()]
  const { withNode } = api.conductor
  for (const late of [
    (uuid: string) => patch(uuid, [{ op: 'add', path: '/extra/late', value: 1 }]),
    (uuid: string) => api.call('DELETE', `/v1/ports/${uuid}`),
  ]) {
    const { uuid } = await made({ node_uuid: from })
    api.conductor.withNode = async (held, what, work) => {
      api.conductor.withNode = withNode
      assert.equal((await patch(uuid, [{ op: 'replace', path: '/node_uuid', value: to }])).status, 200)
      return withNode(held, what, work)
    }
    assert.equal((await late(uuid)).status, 409)
    const { node_uuid, extra } = (await api.call('GET', `/v1/ports/${uuid}`)).json as Json
    assert.deepEqual([node_uuid, extra], [to, {}])
  }
})
