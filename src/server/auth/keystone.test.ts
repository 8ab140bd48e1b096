import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import type { Config } from '#config/options.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { startApi } from '../test-api.ts'
import { type FakeKeystone, fakeService, startFakeKeystone } from './fake-keystone.ts'
import { openKeystone } from './keystone.ts'
import { keystoneSettings } from './keystone-settings.ts'
import { ruleMatches } from './token.ts'

type Options = Partial<Config['keystone_authtoken']>

async function settingsFor(url: string, options: Options = {}) {
  const keystone_authtoken = {
    auth_url: url,
    ...fakeService,
    user_domain_name: 'Default',
    project_name: 'service',
    project_domain_name: 'Default',
    www_authenticate_uri: 'https://keystone.example:5000',
    http_request_max_retries: 0,
    ...options,
  }
  return keystoneSettings((await loadConfig({ overrides: { keystone_authtoken } })).keystone_authtoken)
}

async function start(keystone: FakeKeystone, options: Options = {}) {
  const auth = openKeystone(await settingsFor(keystone.url, options), { clock: systemClock, log: silent })
  const api = await startApi({}, { auth })
  return {
    get: (headers: Record<string, string>, path = '/v1/nodes') => api.call('GET', path, { headers }),
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await auth.close?.()
    },
  }
}

test('a token is validated once, however many requests come with it', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone)
  const headers = { 'X-Auth-Token': keystone.issue({ roles: ['admin'], system: true }) }
  keystone.delay(50)
  const answers = await Promise.all(Array.from({ length: 20 }, () => api.get(headers)))
  keystone.delay(0)
  assert.deepEqual(new Set(answers.map(one => one.status)), new Set([200]))
  for (let i = 0; i < 20; i += 1) assert.equal((await api.get(headers)).status, 200)
  assert.deepEqual(keystone.counts, { logins: 1, validations: 1 })
})

test('without a token, or with a wrong one, the answer is 401 and says where to get one; refusals are remembered', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone)
  for (const headers of [{}, { 'X-Auth-Token': 'wrong' }, { 'X-Auth-Token': 'wrong' }, { 'X-Auth-Token': ' ' }]) {
    const { status, headers: sent, json } = await api.get(headers)
    assert.equal(status, 401)
    assert.equal(sent.get('www-authenticate'), 'Keystone uri="https://keystone.example:5000"')
    assert.deepEqual(Object.keys((json as { error: object }).error), ['code', 'title', 'message'])
  }
  assert.equal(keystone.counts.validations, 1)
  assert.equal((await api.get({}, '/v1')).status, 200)
})

test('a token that expires while it is remembered counts no longer', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone)
  const headers = { 'X-Auth-Token': keystone.issue({ expiresInMs: 700 }) }
  assert.equal((await api.get(headers)).status, 200)
  const giveUpMs = Date.now() + 60_000
  while ((await api.get(headers)).status !== 401) assert.ok(Date.now() < giveUpMs, 'the token still counts')
})

test('a service may act with a token that has expired, when its own is good', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone)
  const expired = keystone.issue({ expiresInMs: -1000 })
  const service = keystone.issue({ roles: ['service'], project: 'service' })
  const other = keystone.issue({ roles: ['member'], project: 'p' })
  const as = async (user: string, token: string) =>
    (await api.get({ 'X-Auth-Token': user, 'X-Service-Token': token })).status
  assert.equal(await as(expired, service), 200)
  assert.equal(await as(expired, other), 401)
  assert.equal(await as(keystone.issue({}), other), 200)
  assert.equal(await as(keystone.issue({}), 'wrong'), 401)
  await using strict = await start(keystone, { service_token_roles_required: true })
  const { status } = await strict.get({ 'X-Auth-Token': keystone.issue({}), 'X-Service-Token': other })
  assert.equal(status, 401)
})

test('what is remembered of a token that came with a service is found under no other token', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone)
  const token = keystone.issue({})
  const service = keystone.issue({ roles: ['service'], project: 'service' })
  assert.equal((await api.get({ 'X-Auth-Token': token, 'X-Service-Token': service })).status, 200)
  for (const made of [`${token} expired too`, `any ${token}`, `valid ${token}`]) {
    assert.equal((await api.get({ 'X-Auth-Token': made })).status, 401, made)
  }
})

test('our own token is renewed when Keystone no longer takes it, and when it is about to end', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone)
  assert.equal((await api.get({ 'X-Auth-Token': keystone.issue({}) })).status, 200)
  keystone.forgetServices()
  assert.equal((await api.get({ 'X-Auth-Token': keystone.issue({}) })).status, 200)
  assert.equal(keystone.counts.logins, 2)

  await using shortLived = await startFakeKeystone({ serviceTokenMs: 30_000 })
  await using other = await start(shortLived)
  for (let i = 0; i < 2; i += 1) assert.equal((await other.get({ 'X-Auth-Token': shortLived.issue({}) })).status, 200)
  assert.ok(shortLived.counts.logins >= 2)
})

test('while Keystone fails, callers that are not known are answered 503, the others go on', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone)
  const known = { 'X-Auth-Token': keystone.issue({}) }
  const late = { 'X-Auth-Token': keystone.issue({}) }
  assert.equal((await api.get(known)).status, 200)
  keystone.answerWith(500)
  const refused = await api.get(late)
  assert.equal(refused.status, 503)
  assert.match(JSON.stringify(refused.json), /temporarily unavailable/)
  assert.equal((await api.get(known)).status, 200)
  keystone.answerWith(undefined)
  assert.equal((await api.get(late)).status, 200)
  await keystone[Symbol.asyncDispose]()
  assert.equal((await api.get({ 'X-Auth-Token': 'another' })).status, 503)
})

test('a wrong password of ours is 503, and is never told', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone, { password: 'mistyped-secret' })
  const { status, json } = await api.get({ 'X-Auth-Token': keystone.issue({}) })
  assert.equal(status, 503)
  assert.doesNotMatch(JSON.stringify(json), /mistyped/)
})

test('with token_cache_time = 0 every request is validated', async () => {
  await using keystone = await startFakeKeystone()
  await using api = await start(keystone, { token_cache_time: 0 })
  const token = keystone.issue({})
  assert.equal((await api.get({ 'X-Auth-Token': token })).status, 200)
  keystone.revoke(token)
  assert.equal((await api.get({ 'X-Auth-Token': token })).status, 401)
})

test('a token with access rules is good for what they name', async () => {
  await using keystone = await startFakeKeystone()
  const accessRules = [{ service: 'baremetal', method: 'GET', path: '/v1/nodes/*' }]
  const headers = { 'X-Auth-Token': keystone.issue({ accessRules }) }
  await using api = await start(keystone, { service_type: 'baremetal' })
  assert.equal((await api.get(headers)).status, 401)
  assert.equal((await api.get(headers, '/v1/nodes/none')).status, 404)
  await using unnamed = await start(keystone)
  assert.equal((await unnamed.get(headers, '/v1/nodes/none')).status, 401)
})

test('paths of access rules', () => {
  const cases: [rule: string, path: string, fits: boolean][] = [
    ['/v1/nodes', '/v1/nodes', true],
    ['/v1/nodes', '/v1/nodes/x', false],
    ['/v1/nodes/*', '/v1/nodes/x', true],
    ['/v1/nodes/*', '/v1/nodes/x/states', false],
    ['/v1/nodes/**', '/v1/nodes/x/states', true],
    ['/v1/nodes/{id}/states', '/v1/nodes/x/states', true],
    ['/v1.nodes', '/v1/nodes', false],
  ]
  for (const [path, asked, fits] of cases) {
    const rule = { service: 's', method: 'GET', path }
    assert.equal(ruleMatches(rule, { service: 's', method: 'GET', path: asked }), fits, `${path} ${asked}`)
  }
})

test('the ways to be known at Keystone', async () => {
  const { credentials, url } = await settingsFor('http://keystone/identity/')
  assert.equal(url, 'http://keystone/identity/v3')
  assert.deepEqual(credentials, {
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: 'ironic', domain: { name: 'Default' }, password: 'service-secret' } },
      },
      scope: { project: { name: 'service', domain: { name: 'Default' } } },
    },
  })
  const system = await settingsFor('http://keystone/v3', { project_name: null, system_scope: 'all' })
  assert.equal(system.url, 'http://keystone/v3')
  assert.deepEqual((system.credentials as { auth: { scope: unknown } }).auth.scope, { system: { all: true } })
  const credential = await settingsFor('http://keystone', {
    auth_type: 'v3applicationcredential',
    application_credential_id: 'id',
    application_credential_secret: 's',
  })
  assert.deepEqual(credential.credentials, {
    auth: { identity: { methods: ['application_credential'], application_credential: { id: 'id', secret: 's' } } },
  })
})

test('what is missing is named at the start', async () => {
  const cases: [Options, RegExp][] = [
    [{ auth_url: null }, /\[keystone_authtoken\] auth_url/],
    [{ username: null }, /username/],
    [{ password: null }, /password/],
    [{ user_domain_name: null }, /user_domain_name/],
    [{ project_domain_name: null }, /project_domain_name/],
    [{ auth_type: 'kerberos' }, /auth_type .*found "kerberos"/],
  ]
  for (const [options, expected] of cases) await assert.rejects(settingsFor('http://keystone', options), expected)
})
