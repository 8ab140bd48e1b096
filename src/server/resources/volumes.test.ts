import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let node: string
before(async () => {
  api = await startApi()
  node = await api.node({ name: 'host' })
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
const nobody = '6d85703a-565d-469a-96ce-30b6de53079d'
let last = 0
/** A good body of either kind. */
function bodyOf(kind: string): Json {
  last += 1
  if (kind === 'connectors') return { node_uuid: node, type: 'iqn', connector_id: `iqn.2026-01.example:${last}` }
  return { node_uuid: node, volume_type: 'iscsi', boot_index: last, volume_id: `v${last}` }
}
const create = (kind: string, body: Json = {}) =>
  api.call('POST', `/v1/volume/${kind}`, { body: { ...bodyOf(kind), ...body } })
const made = async (kind: string, body: Json = {}) => (await create(kind, body)).json as Json & { uuid: string }

test('the roots lead to both lists', async () => {
  const { connectors, links } = (await api.call('GET', '/v1/volume')).json as Record<string, { href: string }[]>
  assert.equal(connectors?.[0]?.href, `${api.url}/v1/volume/connectors`)
  assert.equal(links?.[1]?.href, `${api.url}/volume/`)
  const below = (await api.call('GET', '/v1/nodes/host/volume')).json as Record<string, { href: string }[]>
  assert.equal(below.targets?.[0]?.href, `${api.url}/v1/nodes/${node}/volume/targets`)
  assert.equal((await api.call('GET', '/v1/volume', { version: '1.31' })).status, 404)
  assert.equal((await api.call('GET', '/v1/volume?x=1')).status, 400)
})

for (const kind of ['connectors', 'targets']) {
  test(`${kind} are made, shown, listed by node, and go with it`, async () => {
    const own = await api.node({ name: `of-${kind}` })
    const one = await made(kind, { node_uuid: own, extra: { a: 1 } })
    const path = `/v1/volume/${kind}/${one.uuid}`
    assert.equal(Object.keys(one).length, kind === 'connectors' ? 8 : 10)
    assert.deepEqual((await api.call('GET', path)).json, one)
    const listed = async (list: string) =>
      ((await api.call('GET', list)).json as Record<string, Json[]>)[kind]?.map(entry => entry.uuid)
    assert.deepEqual(await listed(`/v1/volume/${kind}?node=of-${kind}`), [one.uuid])
    assert.deepEqual(await listed(`/v1/nodes/of-${kind}/volume/${kind}?detail=true`), [one.uuid])
    assert.deepEqual(await listed(`/v1/nodes/host/volume/${kind}`), [])
    assert.equal((await api.call('GET', `/v1/volume/${kind}?node=nobody`)).status, 404)
    assert.equal((await api.call('DELETE', `/v1/nodes/${own}`)).status, 204)
    assert.equal((await api.call('GET', path)).status, 404)
  })

  test(`${kind}: refused bodies`, async () => {
    const status = async (body: Json) => (await create(kind, body)).status
    assert.equal(await status({ node_uuid: nobody }), 400)
    assert.equal(await status({ node_uuid: undefined }), 400)
    assert.equal(await status({ size: 1 }), 400)
    const first = await made(kind)
    assert.equal(await status({ uuid: first.uuid }), 409)
    const { uuid: _, created_at, updated_at, links, ...same } = first
    assert.equal((await api.call('POST', `/v1/volume/${kind}`, { body: same })).status, 409)
    assert.equal((await api.call('GET', `/v1/volume/${kind}/name`)).status, 400)
  })

  test(`${kind} change while the node is off`, async () => {
    const { uuid } = await made(kind)
    const path = `/v1/volume/${kind}/${uuid}`
    const patch = (...body: Json[]) => api.call('PATCH', path, { body })
    const label = { op: 'add', path: '/extra/label', value: 'x' }
    await api.set(node, { power_state: 'power on' })
    assert.equal((await patch(label)).status, 400)
    await api.set(node, { power_state: 'power off' })
    assert.deepEqual(((await patch(label)).json as Json).extra, { label: 'x' })
    assert.equal((await patch({ op: 'replace', path: '/node_uuid', value: nobody })).status, 400)
    assert.equal((await patch({ op: 'remove', path: '/node_uuid' })).status, 400)
    await api.conductor.withNode(node, 'test', async () => {
      assert.equal((await patch({ ...label, value: 'y' })).status, 409)
      assert.equal((await patch(label)).status, 200, 'what changes nothing waits for nobody')
    })
  })

  test(`${kind} are deleted while the node is off, or not yet in use`, async () => {
    const { uuid } = await made(kind)
    const remove = async () => (await api.call('DELETE', `/v1/volume/${kind}/${uuid}`)).status
    await api.set(node, { power_state: 'power on', provision_state: 'active' })
    assert.equal(await remove(), 400)
    await api.set(node, { provision_state: 'manageable' })
    assert.equal(await remove(), 204)
    assert.equal(await remove(), 404)
  })
}

test('secrets among the properties of a target are hidden', async () => {
  const { properties } = await made('targets', { properties: { target_iqn: 'iqn.x', auth_password: 'geheim' } })
  assert.deepEqual(properties, { target_iqn: 'iqn.x', auth_password: '******' })
})
