import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())

type Json = Record<string, unknown>
const path = '/v1/inspection_rules'
const action = { op: 'set-attribute', args: { path: '/driver_info/x', value: '{inventory[system]}' } }
const condition = { op: '!eq', args: { values: [1, 2] }, multiple: 'any', loop: [1, 2] }
const create = (body: Json = {}, version = 'latest') =>
  api.call('POST', path, { body: { actions: [action], ...body }, version })
const made = async (body: Json = {}) => (await create(body)).json as Json & { uuid: string }
const patch = (uuid: string, ...body: Json[]) => api.call('PATCH', `${path}/${uuid}`, { body })

test('a rule is kept as it is given, with defaults for the rest', async () => {
  const { status, json, headers } = await create({ conditions: [condition], priority: 10 })
  const one = json as Json
  assert.equal(status, 201)
  assert.equal(headers.get('location'), `${api.url}${path}/${one.uuid}`)
  assert.equal(Object.keys(one).length, 10)
  assert.deepEqual(
    [one.conditions, one.actions, one.phase, one.priority, one.sensitive],
    [[condition], [action], 'main', 10, false],
  )
  assert.deepEqual((await made({ phase: null })).conditions, [])
  const { inspection_rules: listed } = (await api.call('GET', `${path}?phase=main`)).json as {
    inspection_rules: Json[]
  }
  assert.deepEqual(Object.keys(listed[0] ?? {}), ['uuid', 'description', 'priority', 'phase', 'links'])
})

const one = (op: string, args: unknown) => ({ actions: [{ op, args }] })
const when = (op: string, args: unknown) => ({ conditions: [{ op, args }] })
const bodies: [name: string, body: Json, status: number][] = [
  ['without actions', { actions: undefined }, 400],
  ['with no action', { actions: [] }, 400],
  ['with an unknown action', one('explode', {}), 400],
  ['with an action that lacks an argument', one('set-attribute', { path: '/x' }), 400],
  ['with an action that has an unknown argument', one('fail', { msg: 'x', level: 'y' }), 400],
  ['with an optional argument', one('log', { msg: 'x', level: 'info' }), 201],
  ['with arguments by position', one('set-attribute', ['/extra/x', 1]), 201],
  ['with too few arguments by position', one('set-attribute', ['/extra/x']), 400],
  ['with too many arguments by position', one('fail', ['x', 'y']), 400],
  ['with an unknown operator', when('ne', { values: [1] }), 400],
  ['with a good condition', when('is-true', { value: '{x}' }), 201],
  ['with a condition that lacks an argument', when('!matches', { value: 'x' }), 400],
  ['with a priority beyond users', { priority: 10_000 }, 400],
  ['of an unknown phase', { phase: 'early' }, 400],
  ['with a name', { name: 'x' }, 400],
]
for (const [name, body, status] of bodies) {
  test(`a rule ${name}: ${status}`, async () => {
    const reply = await create(body)
    assert.equal(reply.status, status, reply.fault)
  })
}

test('a sensitive rule hides what it asks and does, and stays sensitive', async () => {
  const { uuid, conditions, actions } = await made({ sensitive: true, conditions: [condition] })
  assert.deepEqual([conditions, actions], [null, null])
  const chosen = (await api.call('GET', `${path}/${uuid}?fields=actions`)).json as Json
  assert.equal(chosen.actions, null)
  assert.equal((await patch(uuid, { op: 'replace', path: '/sensitive', value: false })).status, 400)
  assert.equal((await patch(uuid, { op: 'remove', path: '/sensitive' })).status, 400)
  assert.equal((await patch(uuid, { op: 'replace', path: '/priority', value: 5 })).status, 200)
})

test('patches are checked like creations', async () => {
  const { uuid } = await made()
  assert.equal((await patch(uuid, { op: 'add', path: '/actions/-', value: { op: 'fail', args: {} } })).status, 400)
  const { json } = await patch(uuid, { op: 'add', path: '/conditions/-', value: condition })
  assert.deepEqual((json as Json).conditions, [condition])
})

test('one is deleted, or all', async () => {
  const { uuid } = await made()
  assert.equal((await api.call('DELETE', `${path}/${uuid}`)).status, 204)
  assert.equal((await api.call('DELETE', `${path}/${uuid}`)).status, 404)
  assert.equal((await api.call('DELETE', path)).status, 204)
  assert.deepEqual((await api.call('GET', path)).json, { inspection_rules: [] })
  assert.equal((await api.call('GET', path, { version: '1.95' })).status, 404)
  assert.equal((await create({}, '1.95')).status, 405)
})

test('a regular expression that is none is refused when the rule is made or changed', async () => {
  const matches = (regex: unknown, op = 'matches') => ({ op, args: { value: '{node.name}', regex } })
  assert.equal((await create({ conditions: [matches('^(?P<rack>r[0-9]+)-.*$')] })).status, 201)
  assert.equal((await create({ conditions: [{ op: 'contains', args: ['{node.name}', 'x+'] }] })).status, 201)
  for (const wrong of ['(', 7, null, 'x'.repeat(3000)]) {
    for (const op of ['matches', '!contains']) {
      assert.equal((await create({ conditions: [matches(wrong, op)] })).status, 400, `${op} ${wrong}`)
    }
  }
  const { uuid } = await made()
  const change = { op: 'replace', path: '/conditions', value: [matches('[')] }
  assert.equal((await patch(uuid, change)).status, 400)
})
