import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Allocator } from '#conductor/allocations.ts'
import { dropLease, takeLease } from '#db/nodes.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { startApi, type TestApi } from '../test-api.ts'

type Json = Record<string, unknown>

let api: TestApi
let last = 0
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())

/** A resource class that no other test uses. */
function fresh(): string {
  last += 1
  return `class-${last}`
}
async function available(body: Json): Promise<string> {
  const uuid = await api.node(body)
  await api.set(uuid, { provision_state: 'available', power_state: 'power off' })
  return uuid
}
const create = (body: Json, version = 'latest') => api.call('POST', '/v1/allocations', { body, version })
const made = async (body: Json) => (await create(body)).json as Json & { uuid: string }
const show = async (path: string) => (await api.call('GET', path)).json as Json

/** What the conductor does once it was told. */
async function search(options: { attempts?: number } = {}): Promise<void> {
  const { attempts = 0 } = options
  const allocator = new Allocator({
    db: api.db,
    clock: systemClock,
    log: silent,
    hostname: 'host-1',
    retries: () => ({ attempts, intervalS: 0.05 }),
  })
  await allocator.resume()
  await allocator.idle()
}

test('a new allocation searches; the node that is found belongs to it', async () => {
  const resource_class = fresh()
  const node = await available({ resource_class })
  const { status, json, headers } = await create({ resource_class, name: 'one', extra: { a: 1 } })
  const { uuid, created_at, links, ...rest } = json as Json & { uuid: string }
  assert.equal(status, 201)
  assert.equal(headers.get('location'), `${api.url}/v1/allocations/${uuid}`)
  assert.ok(created_at)
  assert.equal((links as Json[]).length, 2)
  assert.deepEqual(rest, {
    name: 'one',
    updated_at: null,
    extra: { a: 1 },
    resource_class,
    traits: [],
    candidate_nodes: [],
    node_uuid: null,
    state: 'allocating',
    last_error: null,
    owner: null,
  })
  assert.equal(api.conductor.told.allocations.at(-1), uuid)
  await search()
  const found = await show('/v1/allocations/one')
  assert.deepEqual([found.state, found.node_uuid, found.last_error], ['active', node, null])
  const bound = await show(`/v1/nodes/${node}`)
  assert.deepEqual([bound.instance_uuid, bound.allocation_uuid, bound.reservation], [uuid, uuid, null])
  assert.deepEqual(await show(`/v1/nodes/${node}/allocation`), found)
  assert.deepEqual(await show(`/v1/nodes/${node}/allocation?fields=state`), {
    state: 'active',
    links: found.links,
  })
})

const refused: [name: string, body: Json, status: number, version?: string][] = [
  ['without a resource class', {}, 400],
  ['with a name that is a UUID', { resource_class: 'x', name: '6d85703a-565d-469a-96ce-30b6de53079d' }, 400],
  ['with a name that a URL spells otherwise', { resource_class: 'x', name: 'a b' }, 400],
  ['with too long a resource class', { resource_class: 'x'.repeat(81) }, 400],
  ['with a malformed trait', { resource_class: 'x', traits: ['custom'] }, 400],
  ['with an unknown candidate', { resource_class: 'x', candidate_nodes: ['nobody'] }, 400],
  ['with an unknown field', { resource_class: 'x', state: 'active' }, 400],
  ['of an unknown node', { node: 'nobody' }, 400],
  ['of a node below 1.58', { node: 'nobody' }, 400, '1.57'],
  ['with an owner below 1.60', { resource_class: 'x', owner: 'p' }, 406, '1.59'],
  ['below 1.52', { resource_class: 'x' }, 405, '1.51'],
]
for (const [name, body, status, version] of refused) {
  test(`no allocation ${name}`, async () => {
    assert.equal((await create(body, version)).status, status)
  })
}

test('names are unique', async () => {
  const name = fresh()
  assert.equal((await create({ name, resource_class: 'x' })).status, 201)
  assert.equal((await create({ name, resource_class: 'x' })).status, 409)
})

test('only nodes that fit are taken', async () => {
  const resource_class = fresh()
  const taken = await available({ resource_class })
  await api.set(taken, { instance_uuid: '6d85703a-565d-469a-96ce-30b6de530791' })
  const maintained = await available({ resource_class })
  await api.set(maintained, { maintenance: true })
  const unknownPower = await available({ resource_class })
  await api.set(unknownPower, { power_state: null })
  await api.node({ resource_class })
  await available({ resource_class: fresh() })
  const { uuid } = await made({ resource_class })
  await search()
  const failed = await show(`/v1/allocations/${uuid}`)
  assert.equal(failed.state, 'error')
  assert.match(String(failed.last_error), new RegExp(`resource class ${resource_class}.*no node`))
})

test('candidates, owner and traits narrow the search', async () => {
  const resource_class = fresh()
  const owned = await available({ resource_class, name: 'owned', owner: 'p1' })
  const lent = await available({ resource_class, name: 'lent', owner: 'p2', lessee: 'p1' })
  await available({ resource_class, name: 'foreign', owner: 'p2' })
  const first = await made({ resource_class, owner: 'p1' })
  const second = await made({ resource_class, owner: 'p1', candidate_nodes: ['lent', 'owned'] })
  assert.deepEqual(second.candidate_nodes, [lent, owned])
  const third = await made({ resource_class, owner: 'p1' })
  const traits = await made({ resource_class, traits: ['CUSTOM_NONE_HAS_IT'] })
  await search()
  const all = await Promise.all([first, second, third, traits].map(one => show(`/v1/allocations/${one.uuid}`)))
  assert.deepEqual(all.map(one => one.state).sort(), ['active', 'active', 'error', 'error'])
  assert.equal(all[3]?.state, 'error')
  const nodes = all.map(one => one.node_uuid).filter(one => one !== null)
  assert.deepEqual(nodes.sort(), [lent, owned].sort())
})

test('candidates are looked up in one statement however many there are', async () => {
  const nodes: string[] = []
  for (let i = 0; i < 12; i += 1) nodes.push(await api.node({ name: `candidate-${i}` }))
  const cost = (candidate_nodes: string[]) => api.statements(() => made({ resource_class: fresh(), candidate_nodes }))
  assert.equal(await cost(nodes), await cost(nodes.slice(0, 1)))
  const named = [...nodes.map((_, index) => `candidate-${index}`), nodes[0] ?? '']
  assert.deepEqual((await made({ resource_class: fresh(), candidate_nodes: named })).candidate_nodes, nodes)
  const many = Array<string>(10_001).fill('candidate-1')
  assert.equal((await create({ resource_class: 'x', candidate_nodes: many })).status, 400)
})

test('who deletes an allocation takes the node from no other that has got it meanwhile', async () => {
  const resource_class = fresh()
  const node = await available({ resource_class })
  const first = await made({ resource_class })
  await search()
  const withNode = api.conductor.withNode.bind(api.conductor)
  let second: string | undefined
  api.conductor.withNode = async (uuid, what, work) => {
    api.conductor.withNode = withNode
    assert.equal((await api.call('DELETE', `/v1/allocations/${first.uuid}`)).status, 204)
    second = (await made({ resource_class })).uuid
    await search()
    return withNode(uuid, what, work)
  }
  assert.equal((await api.call('DELETE', `/v1/allocations/${first.uuid}`)).status, 404)
  const { state, node_uuid } = await show(`/v1/allocations/${second}`)
  assert.deepEqual([state, node_uuid], ['active', node])
  assert.equal((await show(`/v1/nodes/${node}`)).instance_uuid, second)
})

test('the node that is found has every trait that was asked for, and its instance is told them', async () => {
  const resource_class = fresh()
  const traits = ['CUSTOM_A', 'CUSTOM_B']
  for (const one of [[], ['CUSTOM_A']]) await api.set(await available({ resource_class }), { traits: one })
  const fit = await available({ resource_class })
  await api.set(fit, { traits: ['CUSTOM_C', ...traits] })
  const { uuid } = await made({ resource_class, traits })
  await search()
  assert.equal((await show(`/v1/allocations/${uuid}`)).node_uuid, fit)
  assert.deepEqual((await show(`/v1/nodes/${fit}`)).instance_info, { traits })
})

test('the node of the same name goes first', async () => {
  const resource_class = fresh()
  for (let i = 0; i < 6; i += 1) await available({ resource_class })
  const wanted = await available({ resource_class, name: 'namesake' })
  const { uuid } = await made({ resource_class, name: 'namesake' })
  await search()
  assert.equal((await show(`/v1/allocations/${uuid}`)).node_uuid, wanted)
})

test('a node that somebody holds is tried again, and then given up', async () => {
  const resource_class = fresh()
  const node = await available({ resource_class })
  const hold = () =>
    takeLease(api.db, node, { holder: 'other', purpose: 'test', nowMs: Date.now(), forMs: 60_000, visible: true })
  let token = await hold()
  const patient = await made({ resource_class })
  const searching = search({ attempts: 20 })
  setTimeout(() => dropLease(api.db, node, token), 100)
  await searching
  assert.equal((await show(`/v1/allocations/${patient.uuid}`)).state, 'active')
  assert.equal((await api.call('DELETE', `/v1/allocations/${patient.uuid}`)).status, 204)
  token = await hold()
  const { uuid } = await made({ resource_class })
  await search({ attempts: 1 })
  const failed = await show(`/v1/allocations/${uuid}`)
  assert.deepEqual([failed.state, /locked/.test(String(failed.last_error))], ['error', true])
  await dropLease(api.db, node, token)
})

test('many allocations share out the nodes: each node once', async () => {
  const resource_class = fresh()
  for (let i = 0; i < 5; i += 1) await available({ resource_class })
  for (let i = 0; i < 8; i += 1) await create({ resource_class })
  await Promise.all([search(), search()])
  const { allocations } = (await show(`/v1/allocations?resource_class=${resource_class}`)) as { allocations: Json[] }
  const active = allocations.filter(one => one.state === 'active')
  assert.equal(new Set(active.map(one => one.node_uuid)).size, 5)
  assert.equal(allocations.filter(one => one.state === 'error').length, 3)
})

test('a node in use is given to an allocation that names it', async () => {
  const resource_class = fresh()
  const node = await available({ resource_class, name: 'used' })
  assert.equal((await create({ node: 'used' })).status, 409, 'not active')
  const instance_uuid = '6d85703a-565d-469a-96ce-30b6de530792'
  await api.set(node, { provision_state: 'active', instance_uuid })
  assert.equal((await create({ node, uuid: '6d85703a-565d-469a-96ce-30b6de530793' })).status, 409, 'other instance')
  assert.equal((await create({ node, resource_class: 'other' })).status, 409)
  assert.equal((await create({ node, traits: ['CUSTOM_X'] })).status, 409)
  const other = await api.node()
  assert.equal((await create({ node, candidate_nodes: [other] })).status, 409)
  const { status, json } = await create({ node: 'used', candidate_nodes: ['used'] })
  const { uuid, state, node_uuid, resource_class: shown } = json as Json
  assert.deepEqual([status, uuid, state, node_uuid, shown], [201, instance_uuid, 'active', node, resource_class])
  assert.equal((await create({ node })).status, 409, 'it has one')
  assert.equal((await api.call('DELETE', `/v1/allocations/${uuid}`)).status, 409, 'it is active')
  await api.set(node, { maintenance: true })
  assert.equal((await api.call('DELETE', `/v1/nodes/${node}/allocation`)).status, 204)
  assert.equal((await api.call('GET', `/v1/allocations/${uuid}`)).status, 404)
  assert.equal((await show(`/v1/nodes/${node}`)).instance_uuid, null)
  assert.equal((await api.call('GET', `/v1/nodes/${node}/allocation`)).status, 404)
})

test('an allocation goes with the instance_uuid of its node, and with the node', async () => {
  const resource_class = fresh()
  const node = await available({ resource_class })
  const remove = [{ op: 'remove', path: '/instance_uuid' }]
  const first = await made({ resource_class })
  await search()
  await api.set(node, { provision_state: 'deploy failed' })
  assert.equal((await api.call('PATCH', `/v1/nodes/${node}`, { body: remove })).status, 409)
  await api.set(node, { provision_state: 'available' })
  const patched = await api.call('PATCH', `/v1/nodes/${node}`, { body: remove })
  assert.deepEqual([patched.status, (patched.json as Json).allocation_uuid], [200, null])
  assert.equal((await api.call('GET', `/v1/allocations/${first.uuid}`)).status, 404)
  const second = await made({ resource_class, owner: null })
  await search()
  await api.set(node, { maintenance: true })
  assert.equal((await api.call('DELETE', `/v1/nodes/${node}`)).status, 204)
  assert.equal((await api.call('GET', `/v1/allocations/${second.uuid}`)).status, 404)
})

test('name and extra can be patched, nothing else', async () => {
  const { uuid } = await made({ resource_class: fresh() })
  const patch = (path: string, value: unknown, version = 'latest') =>
    api.call('PATCH', `/v1/allocations/${uuid}`, { body: [{ op: 'add', path, value }], version })
  const { json } = await patch('/extra/b', 2)
  assert.deepEqual((json as Json).extra, { b: 2 })
  assert.ok((json as Json).updated_at)
  assert.equal(((await patch('/name', 'renamed')).json as Json).name, 'renamed')
  assert.equal((await patch('/name', 'a b')).status, 400)
  assert.equal((await patch('/resource_class', 'x')).status, 400)
  assert.equal((await patch('/extra/b', 3, '1.56')).status, 405)
})

test('lists filter, page and gate', async () => {
  const resource_class = fresh()
  const uuids: string[] = []
  for (let i = 0; i < 3; i += 1) uuids.push((await made({ resource_class, owner: `o${i}` })).uuid)
  const list = (query: string, version = 'latest') => api.call('GET', `/v1/allocations?${query}`, { version })
  const uuidsOf = async (query: string) =>
    ((await list(query)).json as { allocations: Json[] }).allocations.map(one => one.uuid)
  assert.deepEqual(await uuidsOf(`resource_class=${resource_class}`), uuids)
  assert.deepEqual(await uuidsOf(`resource_class=${resource_class}&sort_dir=desc&limit=2`), uuids.slice(1).reverse())
  assert.deepEqual(await uuidsOf(`resource_class=${resource_class}&owner=o1`), [uuids[1]])
  assert.deepEqual(await uuidsOf(`resource_class=${resource_class}&state=active`), [])
  const node = await api.node()
  assert.deepEqual(await uuidsOf(`node=${node}`), [])
  assert.equal((await list('node=nobody')).status, 400)
  assert.equal((await list('owner=o1', '1.59')).status, 406)
  assert.equal((await list('detail=true')).status, 400)
  assert.equal((await list('sort_key=traits')).status, 400)
  assert.equal((await list('', '1.51')).status, 404)
  const old = (await list('limit=1', '1.59')).json as { allocations: Json[]; next: string }
  assert.ok(!('owner' in (old.allocations[0] ?? {})))
  assert.match(old.next, /\/v1\/allocations\?limit=1&marker=/)
  assert.equal(await api.statements(() => list(`resource_class=${resource_class}`)), 1)
})
