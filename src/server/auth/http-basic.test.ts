import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import bcrypt from 'bcrypt'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { startApi } from '../test-api.ts'
import { parseUsers } from './htpasswd.ts'
import { openHttpBasic } from './http-basic.ts'

let folder: string
let path: string
let hash: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrite-basic-'))
  path = join(folder, 'htpasswd')
  hash = (await bcrypt.hash('opensesame', 4)).replace('$2b$', '$2y$')
  await writeFile(path, `# who may come in\n\nadmin:${hash}\n`)
})
after(() => rm(folder, { recursive: true }))

const basic = (name: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const open = () => openHttpBasic({ path, clock: systemClock, log: silent })

test('a user with the right password does everything, and is named in what the conductor is told', async () => {
  await using api = await startApi({}, { auth: await open() })
  const made = await api.call('POST', '/v1/nodes', {
    body: { driver: 'fake-hardware' },
    headers: basic('admin', 'opensesame'),
  })
  assert.equal(made.status, 201)
})

test('without, or with wrong credentials the answer is 401 with a challenge, also where nothing is served', async () => {
  await using api = await startApi({}, { auth: await open() })
  const cases: [path: string, headers: Record<string, string>][] = [
    ['/v1/nodes', {}],
    ['/v1/nodes', basic('admin', 'wrong')],
    ['/v1/nodes', basic('admin', 'wrong')], // remembered
    ['/v1/nodes', basic('nobody', 'opensesame')],
    ['/v1/nodes', basic('admin', '')],
    ['/no/such/path', {}],
  ]
  for (const [path, headers] of cases) {
    const { status, headers: sent, json } = await api.call('GET', path, { headers })
    assert.equal(status, 401, `${path} ${JSON.stringify(headers)}`)
    assert.equal(sent.get('www-authenticate'), 'Basic realm="Baremetal API"')
    assert.equal((json as { error: { code: number } }).error.code, 401)
    assert.equal(sent.get('x-openstack-ironic-api-version'), null)
  }
})

test('credentials that cannot be read are 400', async () => {
  await using api = await startApi({}, { auth: await open() })
  for (const Authorization of [
    'Bearer abc',
    'Basic',
    'Basic ???',
    `Basic ${Buffer.from('nocolon').toString('base64')}`,
  ]) {
    assert.equal((await api.call('GET', '/v1/nodes', { headers: { Authorization } })).status, 400, Authorization)
  }
})

test('what is public needs no credentials', async () => {
  await using api = await startApi({ healthcheck: { enabled: true } }, { auth: await open() })
  assert.equal((await fetch(`${api.url}/healthcheck`)).status, 200)
  for (const [method, path, status] of [
    ['GET', '/openapi.json', 200],
    ['GET', '/', 200],
    ['GET', '/v1', 200],
    ['GET', '/v1/lookup?addresses=52:54:00:00:00:01', 404],
    ['POST', '/v1/heartbeat/00000000-0000-4000-8000-000000000000', 400],
  ] as const) {
    assert.equal((await api.call(method, path, { body: method === 'POST' ? {} : undefined })).status, status, path)
  }
})

test('the file is read again when it changes: a new password counts, the old one does not', async () => {
  const changing = join(folder, 'changing')
  await writeFile(changing, `admin:${hash}\n`)
  const auth = await openHttpBasic({ path: changing, clock: systemClock, log: silent })
  await using api = await startApi({}, { auth })
  const as = async (password: string) =>
    (await api.call('GET', '/v1/nodes', { headers: basic('admin', password) })).status
  assert.equal(await as('opensesame'), 200)
  await writeFile(changing, `admin:${await bcrypt.hash('changed-since', 4)}\n`)
  const giveUpMs = Date.now() + 60_000
  while ((await as('opensesame')) !== 401) assert.ok(Date.now() < giveUpMs, 'the old password still counts')
  assert.equal(await as('changed-since'), 200)
  // A version that cannot be used changes nothing.
  await writeFile(changing, 'admin:plain text\n')
  const untilMs = Date.now() + 1500
  while (Date.now() < untilMs) assert.equal(await as('changed-since'), 200)
})

test('who leaves the file while their password is being compared is not let in', async t => {
  const leaving = join(folder, 'leaving')
  await writeFile(leaving, `admin:${hash}\nother:${hash}\n`)
  const auth = await openHttpBasic({ path: leaving, clock: systemClock, log: silent })
  t.mock.method(bcrypt, 'compare', async () => {
    await writeFile(leaving, `other:${hash}\n`)
    await sleep(1100) // the file is looked at once in a second
    return true
  })
  const request = { headers: { authorization: basic('admin', 'opensesame').Authorization } }
  await assert.rejects(async () => auth.authenticate(request as never), /Incorrect username or password/)
})

test('a password is compared once, however many requests come with it', async t => {
  const compare = t.mock.method(bcrypt, 'compare')
  const auth = await open()
  const request = { headers: { authorization: basic('admin', 'opensesame').Authorization } }
  const first = await Promise.all(Array.from({ length: 50 }, () => auth.authenticate(request as never)))
  for (let i = 0; i < 1000; i += 1) assert.equal((await auth.authenticate(request as never)).userName, 'admin')
  assert.equal(
    first.every(one => one.userName === 'admin'),
    true,
  )
  assert.equal(compare.mock.callCount(), 1)
})

test('a file that cannot be used names its line, and never a hash', () => {
  const cases: [string, RegExp][] = [
    ['admin:{SHA}abc', /line 1 .*no bcrypt hash for user "admin"/],
    [`admin:${hash}\n\nno colon here`, /line 3 found no user name/],
    [`admin:${hash.slice(0, -1)}`, /line 1/],
    ['# nobody\n', /found no user/],
  ]
  for (const [text, expected] of cases) {
    assert.throws(
      () => parseUsers(text, '/etc/htpasswd'),
      error => {
        assert.match(String(error), expected)
        assert.doesNotMatch(String(error), /\{SHA\}|\$2y\$04\$\S/)
        return true
      },
    )
  }
})
