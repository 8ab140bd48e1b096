import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
const path = '/v1/deploy_templates'
const step = (more: Json = {}) => ({ interface: 'bios', step: 'apply', args: {}, priority: 150, ...more })
let last = 0
const create = (body: Json = {}, version = 'latest') => {
  last += 1
  return api.call('POST', path, { body: { name: `CUSTOM_T${last}`, steps: [step()], ...body }, version })
}

test('a template keeps its steps, and hides secrets among their arguments', async () => {
  const steps = [step({ priority: '20', args: { password: 'geheim', size: 1 } }), step({ step: 'other' })]
  const { status, json, headers } = await create({ name: 'CUSTOM_ONE', steps, extra: { a: 1 }, description: 'dropped' })
  const one = json as Json
  assert.equal(status, 201)
  assert.equal(headers.get('location'), `${api.url}${path}/${one.uuid}`)
  assert.deepEqual(Object.keys(one).sort(), ['created_at', 'extra', 'links', 'name', 'steps', 'updated_at', 'uuid'])
  assert.deepEqual(one.steps, [step({ priority: 20, args: { password: '******', size: 1 } }), step({ step: 'other' })])
  assert.deepEqual((await api.call('GET', `${path}/CUSTOM_ONE`)).json, one)
  const { deploy_templates: listed } = (await api.call('GET', path)).json as { deploy_templates: Json[] }
  assert.deepEqual(Object.keys(listed[0] ?? {}), ['uuid', 'name', 'links'])
})

const refused: [name: string, body: Json, status: number][] = [
  ['without steps', { steps: undefined }, 400],
  ['with no step', { steps: [] }, 400],
  ['with a step twice', { steps: [step(), step({ priority: 1 })] }, 400],
  ['with a step without arguments', { steps: [step({ args: undefined })] }, 400],
  ['with a step of an unknown interface', { steps: [step({ interface: 'boot' })] }, 400],
  ['with a negative priority', { steps: [step({ priority: -1 })] }, 400],
  ['with a priority in words', { steps: [step({ priority: 'high' })] }, 400],
  ['with a name that is no trait', { name: 'gold' }, 400],
  ['with the name of another', { name: 'CUSTOM_ONE' }, 409],
]
for (const [name, body, status] of refused) {
  test(`a template ${name} is refused with ${status}`, async () => {
    const reply = await create(body)
    assert.equal(reply.status, status, reply.fault)
  })
}

test('a patch reaches into steps, and cannot make them wrong', async () => {
  await create({ name: 'CUSTOM_P', steps: [step(), step({ step: 'b' })] })
  const patch = (...body: Json[]) => api.call('PATCH', `${path}/CUSTOM_P`, { body })
  const renamed = await patch({ op: 'replace', path: '/steps/1/priority', value: '7' })
  assert.deepEqual((renamed.json as Json).steps, [step(), step({ step: 'b', priority: 7 })])
  assert.equal((await patch({ op: 'replace', path: '/steps/1/step', value: 'apply' })).status, 400)
  assert.equal((await patch({ op: 'remove', path: '/steps' })).status, 400)
  assert.equal((await patch({ op: 'add', path: '/name', value: 'x' })).status, 400)
  assert.equal((await patch({ op: 'add', path: '/description', value: 'x' })).status, 200)
  assert.equal((await api.call('DELETE', `${path}/CUSTOM_P`)).status, 204)
  assert.equal((await api.call('GET', `${path}/CUSTOM_P`)).status, 404)
})

test('before 1.55 a GET finds nothing and writes are not offered', async () => {
  const version = '1.54'
  assert.equal((await api.call('GET', path, { version })).status, 404)
  assert.equal((await create({}, version)).status, 405)
  assert.equal((await api.call('DELETE', `${path}/CUSTOM_ONE`, { version })).status, 405)
})
