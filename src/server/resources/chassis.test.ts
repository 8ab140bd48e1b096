import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
const create = (body: Json = {}) => api.call('POST', '/v1/chassis', { body })
const made = async (body: Json = {}) => (await create(body)).json as Json & { uuid: string }
const patch = (uuid: string, operations: Json[]) => api.call('PATCH', `/v1/chassis/${uuid}`, { body: operations })

test('a new chassis has every field, and its nodes as a list in a list', async () => {
  const { status, json, headers } = await create({ description: 'rack 1', extra: { row: 3 } })
  const one = json as Json
  assert.equal(status, 201)
  assert.equal(headers.get('location'), `${api.url}/v1/chassis/${one.uuid}`)
  assert.deepEqual(
    Object.keys(one).sort(),
    ['created_at', 'description', 'extra', 'links', 'nodes', 'updated_at', 'uuid'].sort(),
  )
  assert.deepEqual(one.nodes, [
    [
      { href: `${api.url}/v1/chassis/${one.uuid}/nodes`, rel: 'self' },
      { href: `${api.url}/chassis/${one.uuid}/nodes`, rel: 'bookmark' },
    ],
  ])
  assert.deepEqual((await api.call('GET', `/v1/chassis/${one.uuid}`)).json, one)
  assert.equal((await create({ uuid: one.uuid })).status, 409)
  assert.equal((await create({ description: 'x'.repeat(256) })).status, 400)
  assert.equal((await create({ name: 'x' })).status, 400)
  assert.equal((await api.call('GET', '/v1/chassis/rack')).status, 400)
  assert.equal((await api.call('GET', '/v1/chassis/6d85703a-565d-469a-96ce-30b6de53079d')).status, 404)
})

test('lists: short, detailed, chosen', async () => {
  const { uuid } = await made({ description: 'listed' })
  const last = async (path: string, version = 'latest') => {
    const { chassis } = (await api.call('GET', path, { version })).json as { chassis: Json[] }
    return chassis.find(one => one.uuid === uuid) ?? {}
  }
  assert.deepEqual(Object.keys(await last('/v1/chassis')), ['uuid', 'description', 'links'])
  assert.equal(Object.keys(await last('/v1/chassis/detail', '1.1')).length, 7)
  assert.equal(Object.keys(await last('/v1/chassis?detail=true')).length, 7)
  assert.deepEqual(Object.keys(await last('/v1/chassis?fields=uuid,extra')), ['uuid', 'extra', 'links'])
  assert.equal((await api.call('GET', '/v1/chassis?sort_key=extra')).status, 400)
  assert.equal((await api.call('GET', '/v1/chassis?detail=true', { version: '1.42' })).status, 400)
})

test('a patch changes description and extra, nothing else', async () => {
  const { uuid } = await made({ extra: { a: 1 } })
  const reply = await patch(uuid, [
    { op: 'add', path: '/description', value: 'new' },
    { op: 'remove', path: '/extra/a' },
  ])
  const { description, extra, updated_at } = reply.json as Json
  assert.deepEqual([reply.status, description, extra], [200, 'new', {}])
  assert.notEqual(updated_at, null)
  assert.equal((await patch(uuid, [{ op: 'replace', path: '/uuid', value: uuid }])).status, 400)
  assert.equal((await patch(uuid, [{ op: 'replace', path: '/extra/none', value: 1 }])).status, 400)
})

test('nodes stand in a chassis, which keeps it from being deleted', async () => {
  const { uuid } = await made()
  const inside = await api.node({ chassis_uuid: uuid })
  const outside = await api.node()
  const listed = async (path: string) =>
    ((await api.call('GET', path)).json as { nodes: { uuid: string }[] }).nodes.map(node => node.uuid)
  assert.deepEqual(await listed(`/v1/chassis/${uuid}/nodes`), [inside])
  assert.deepEqual(await listed(`/v1/chassis/${uuid}/nodes/detail`), [inside])
  assert.deepEqual(await listed(`/v1/nodes?chassis_uuid=${uuid}`), [inside])
  const showing = async (node: string) => ((await api.call('GET', `/v1/nodes/${node}`)).json as Json).chassis_uuid
  assert.deepEqual([await showing(inside), await showing(outside)], [uuid, null])
  assert.equal((await api.call('DELETE', `/v1/chassis/${uuid}`)).status, 400)

  const move = (value: string | undefined, version = 'latest') =>
    api.call('PATCH', `/v1/nodes/${inside}`, {
      body: [value ? { op: 'add', path: '/chassis_uuid', value } : { op: 'remove', path: '/chassis_uuid' }],
      version,
    })
  assert.equal((await move(undefined, '1.24')).status, 406)
  assert.equal((await move((await made()).uuid)).status, 200)
  assert.equal((await move(undefined)).status, 200)
  assert.equal((await api.call('DELETE', `/v1/chassis/${uuid}`)).status, 204)
  assert.equal((await api.call('DELETE', `/v1/chassis/${uuid}`)).status, 404)
  assert.equal((await api.call('GET', `/v1/chassis/${uuid}/nodes`)).status, 404)
})
