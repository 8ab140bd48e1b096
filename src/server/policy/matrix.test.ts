/** Every endpoint is called by every kind of person, over HTTP; what is expected stands in test-matrix.ts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { Unauthenticated } from '../auth/faults.ts'
import type { Authenticator } from '../auth.ts'
import type { Endpoint } from '../endpoint.ts'
import { endpoints } from '../endpoints.ts'
import { startApi, type TestApi } from '../test-api.ts'
import { enforcer } from './enforcer.ts'
import { defaultRules } from './policy-file.ts'
import { matrix } from './test-matrix.ts'
import { type Attempt, attempts } from './test-requests.ts'
import { makeWorld, personOf, snapshot, type World } from './test-world.ts'

const scopes: readonly [scope: string, roles: readonly string[]][] = [
  ['system', ['admin', 'member', 'reader', 'service']],
  ['owner', ['admin', 'manager', 'member', 'reader', 'service']],
  ['lessee', ['admin', 'manager', 'member', 'reader', 'service']],
  ['other', ['admin', 'manager', 'member', 'reader', 'service']],
]
const people = scopes.flatMap(([scope, roles]) => roles.map(role => `${scope} ${role}`))

/** Names of rows with a mark for each person; undefined for what is public. */
const rows = new Map<string, string | undefined>()
for (const line of matrix.split('\n').slice(3)) {
  const [name, ...marks] = line.trim().split(/\s+/)
  if (name === undefined || name === '') continue
  const joined = marks.join('')
  if (rows.has(name)) throw new Error(`The matrix has two rows ${name}`)
  if (joined !== 'public' && joined.length !== people.length)
    throw new Error(`The row ${name} has ${joined.length} marks`)
  rows.set(name, joined === 'public' ? undefined : joined)
}

const statuses: Readonly<Record<string, number>> = { '.': 403, '-': 404, '?': 400 }

/** Who calls is what a header says; without it nobody does. */
const byHeader: Authenticator = {
  authenticate({ headers }) {
    const person = headers['x-person']
    if (typeof person !== 'string') throw new Unauthenticated('no token', 'Keystone')
    return personOf(person)
  },
}

let api: TestApi
let world: World
let tried: Readonly<Record<string, Attempt>>
let restore: () => Promise<void>
before(async () => {
  const rules = defaultRules()
  const policy = enforcer(await loadConfig(), { latest: () => rules })
  api = await startApi({}, { auth: byHeader, policy })
  const administrator: TestApi['call'] = (method, path, options) =>
    api.call(method, path, { ...options, headers: { 'X-Person': 'system admin' } })
  const asAdministrator: TestApi = { ...api, call: administrator }
  asAdministrator.node = async body => {
    const { json } = await administrator('POST', '/v1/nodes', { body: { driver: 'fake-hardware', ...body } })
    return (json as { uuid: string }).uuid // nodes have one
  }
  world = await makeWorld(asAdministrator)
  tried = attempts(world)
  restore = await snapshot(api)
})
after(() => api[Symbol.asyncDispose]())

test('every endpoint has a row, every row an endpoint', () => {
  const named = new Set([...rows.keys()].map(name => name.split(':', 1)[0]))
  assert.deepEqual(
    endpoints.map(one => one.id).filter(id => !named.has(id)),
    [],
    'add rows for these endpoints to test-matrix.ts, from what Ironic documents of their policies',
  )
  const ids = new Set(endpoints.map(one => one.id))
  assert.deepEqual(
    [...named].filter(id => id === undefined || !ids.has(id)),
    [],
  )
  for (const { id, policy } of endpoints) {
    const marks = [...rows].filter(([name]) => name.split(':', 1)[0] === id).map(([, row]) => row)
    assert.equal(
      policy === 'public',
      marks.every(row => row === undefined),
      `${id} is public in the matrix or in its declaration, not in both`,
    )
  }
})

test('everybody gets what the matrix says', async () => {
  const wrong: string[] = []
  for (const endpoint of endpoints) {
    for (const [name, marks] of rows) {
      if (name.split(':', 1)[0] !== endpoint.id || marks === undefined) continue
      const attempt = tried[name] ?? {}
      for (const [index, person] of people.entries()) {
        const found = await attemptAs(person, endpoint, attempt)
        const problem = verdict(marks[index] ?? '', found, endpoint, attempt)
        if (problem !== undefined) wrong.push(`${name} as ${person}: ${problem}`)
        if (found.status < 300 && endpoint.method !== 'GET') await restore()
      }
      const stranger = await attemptAs(undefined, endpoint, attempt)
      if (stranger.status !== 401) wrong.push(`${name} without a token: found ${stranger.status}, expected 401`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('what is public asks nobody', async () => {
  for (const [name, marks] of rows) {
    if (marks !== undefined) continue
    const endpoint = endpoints.find(one => one.id === name)
    assert.ok(endpoint)
    const { status } = await attemptAs(undefined, endpoint, {})
    assert.ok(![401, 403, 500].includes(status), `${name}: ${status}`)
  }
})

async function attemptAs(person: string | undefined, { method, path }: Endpoint, attempt: Attempt) {
  const filled = attempt.path ?? path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => world[parameter] ?? '')
  return api.call(method, filled, {
    body: method === 'GET' ? undefined : attempt.body,
    headers: person === undefined ? {} : { 'X-Person': person },
  })
}

/** What is wrong with an answer; undefined when nothing is. */
function verdict(
  mark: string,
  found: { status: number; json: unknown; fault: string },
  endpoint: Endpoint,
  { ok = endpoint.status, shows }: Attempt,
): string | undefined {
  const expected = statuses[mark] ?? ok
  if (found.status !== expected) return `found ${found.status} (${found.fault.slice(0, 120)}), expected ${expected}`
  if (mark === 'o' && shows === undefined) return 'the request does not say what its list must not show'
  if (shows === undefined || (mark !== '+' && mark !== 'o')) return undefined
  const isShown = JSON.stringify(found.json).includes(shows)
  if (isShown === (mark === '+')) return undefined
  return isShown ? 'the list shows the thing' : 'the list does not show the thing'
}
