/** Logging in: what Keystone and the API are sent for each way, where settings come from, and that no secret is shown. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { type FakeKeystone, startFakeKeystone } from './fake-keystone.ts'
import { TestClient } from './test-client.ts'

const password = 'hush-hush'
let folder: string
let server: Server
let url: string
let keystone: FakeKeystone
/** What proved who called, by request to the API. */
let proofs: (string | undefined)[] = []
/** Tokens that the API refuses from now on. */
const expired = new Set<string>()

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrite-login-'))
  server = createServer((request, response) => {
    const token = request.headers['x-auth-token']
    proofs.push(token === undefined ? request.headers.authorization : String(token))
    if (typeof token === 'string' && expired.has(token)) {
      response.writeHead(401).end('{"error": {"code": 401, "message": "The token has expired"}}')
    } else response.setHeader('Content-Type', 'application/json').end('{"nodes": []}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // an IP socket, so an object
  keystone = await startFakeKeystone({ api: url, password })
})
after(async () => {
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  await keystone[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  proofs = []
  keystone.logins.length = 0
  expired.clear()
})

const env = (more: Record<string, string> = {}) => ({ HOME: folder, ...more })
const user = () => ({ OS_AUTH_URL: keystone.url, OS_USERNAME: 'me', OS_PASSWORD: password })
const lastLogin = () => keystone.logins.at(-1)?.auth

async function lists(more: Record<string, string>, line = 'node list'): Promise<void> {
  await new TestClient(env(more)).ok(line)
}
async function refused(more: Record<string, string>, status: 1 | 2, said: RegExp, line = 'node list'): Promise<void> {
  const { status: found, out, err } = await new TestClient(env(more)).run(line)
  assert.equal(found, status, err)
  assert.match(err, said)
  assert.ok(!(out + err).includes(password), err)
}

test('none: nothing is sent', async () => {
  await lists({ OS_ENDPOINT: url })
  await lists({ OS_ENDPOINT: url, OS_AUTH_TYPE: 'none' })
  assert.deepEqual(proofs, [undefined, undefined])
})

test('http_basic: name and password', async () => {
  await lists({ OS_ENDPOINT: url, OS_AUTH_TYPE: 'http_basic', OS_USERNAME: 'me', OS_PASSWORD: password })
  assert.deepEqual(proofs, [`Basic ${Buffer.from(`me:${password}`).toString('base64')}`])
  const half = { OS_ENDPOINT: url, OS_AUTH_TYPE: 'http_basic', OS_USERNAME: 'me' }
  await refused(half, 2, /http_basic: OS_PASSWORD \(or --os-password\) is missing/)
})

test('a token alone is sent as it is', async () => {
  await lists({ OS_ENDPOINT: url, OS_TOKEN: 'given' })
  await lists({ OS_ENDPOINT: url, OS_AUTH_TYPE: 'admin_token', OS_TOKEN: 'given' })
  assert.deepEqual(proofs, ['given', 'given'])
  assert.equal(keystone.logins.length, 0)
})

test('password: in the system, a project, a domain, and the API from the catalog', async () => {
  const scopes: [settings: Record<string, string>, scope: unknown][] = [
    [{ OS_SYSTEM_SCOPE: 'all' }, { system: { all: true } }],
    [{ OS_PROJECT_ID: 'p1' }, { project: { id: 'p1' } }],
    [{ OS_PROJECT_NAME: 'p' }, { project: { name: 'p', domain: { id: 'default' } } }],
    [{ OS_PROJECT_NAME: 'p', OS_PROJECT_DOMAIN_NAME: 'd' }, { project: { name: 'p', domain: { name: 'd' } } }],
    [{ OS_PROJECT_NAME: 'p', OS_DEFAULT_DOMAIN_ID: 'd' }, { project: { name: 'p', domain: { id: 'd' } } }],
    [{ OS_TRUST_ID: 't', OS_PROJECT_NAME: 'p' }, { 'OS-TRUST:trust': { id: 't' } }],
    [{ OS_DOMAIN_NAME: 'd' }, { domain: { name: 'd' } }],
  ]
  for (const [settings, scope] of scopes) {
    await lists({ ...user(), OS_REGION_NAME: 'one', ...settings })
    assert.deepEqual(lastLogin()?.scope, scope)
    assert.equal(proofs.at(-1), keystone.tokens.at(-1))
  }
  assert.deepEqual(lastLogin()?.identity, {
    methods: ['password'],
    password: { user: { name: 'me', domain: { id: 'default' }, password } },
  })
})

test('password: options count more than the environment, and a user may be named by id', async () => {
  const line = `--os-auth-type v3password --os-user-id u1 --os-system-scope all node list --os-auth-url ${keystone.url}/v3/`
  await lists({ ...user(), OS_AUTH_URL: 'http://127.0.0.1:9', OS_PROJECT_NAME: 'p', OS_ENDPOINT: url }, line)
  assert.deepEqual(lastLogin()?.identity.password, { user: { id: 'u1', password } })
  assert.deepEqual(lastLogin()?.scope, { system: { all: true } })
})

test('token and application credential', async () => {
  const token = keystone.tokens.at(-1) ?? ''
  await lists({
    OS_AUTH_URL: keystone.url,
    OS_AUTH_TYPE: 'v3token',
    OS_TOKEN: token,
    OS_PROJECT_ID: 'p',
    OS_REGION_NAME: 'one',
  })
  assert.deepEqual(lastLogin()?.identity, { methods: ['token'], token: { id: token } })
  const credential = { OS_APPLICATION_CREDENTIAL_ID: 'c', OS_APPLICATION_CREDENTIAL_SECRET: password }
  await lists({ OS_AUTH_URL: keystone.url, OS_REGION_NAME: 'one', OS_PROJECT_ID: 'ignored', ...credential })
  assert.deepEqual(lastLogin()?.identity.application_credential, { id: 'c', secret: password })
  assert.equal(lastLogin()?.scope, undefined)
})

test('an expired token is renewed once, unseen', async () => {
  const upcoming = `token-${keystone.tokens.length + 1}`
  expired.add(upcoming)
  await lists({ ...user(), OS_SYSTEM_SCOPE: 'all', OS_REGION_NAME: 'one' })
  assert.deepEqual(proofs, [upcoming, keystone.tokens.at(-1)])
  assert.equal(keystone.logins.length, 2)
  for (let next = 1; next <= 2; next++) expired.add(`token-${keystone.tokens.length + next}`)
  await refused({ ...user(), OS_SYSTEM_SCOPE: 'all', OS_REGION_NAME: 'one' }, 1, /The token has expired \(HTTP 401/)
})

test('what goes wrong is told, and no secret', async () => {
  const wrong = { ...user(), OS_PASSWORD: 'other', OS_SYSTEM_SCOPE: 'all' }
  await refused(wrong, 1, /Cannot log in at .*\/identity\/v3: The request you have made requires auth.*HTTP 401/)
  await refused({ ...user(), OS_AUTH_URL: 'http://127.0.0.1:9' }, 1, /Cannot reach the identity service.*--os-auth-url/)
  await refused({ ...user(), OS_AUTH_URL: 'nonsense' }, 2, /Cannot use the URL of --os-auth-url/)
  await refused(user(), 1, /the catalog has no public endpoint of baremetal\. Name the API with --os-endpoint/)
  const other = { ...user(), OS_SYSTEM_SCOPE: 'all', OS_SERVICE_NAME: 'other' }
  await refused(other, 1, /no public endpoint of baremetal/)
  const far = { ...user(), OS_SYSTEM_SCOPE: 'all', OS_REGION_NAME: 'three' }
  await refused(far, 1, /no public endpoint of baremetal in region three/)
  await refused({ ...user(), OS_SYSTEM_SCOPE: 'some' }, 2, /found "some", expected all/)
  await refused({ ...user(), OS_AUTH_TYPE: 'kerberos' }, 2, /Cannot log in with "kerberos": expected none/)
  await refused({ OS_AUTH_TYPE: 'password', OS_AUTH_URL: keystone.url }, 2, /OS_USERNAME .* is missing/)
  await refused(
    { ...wrong, OS_PASSWORD: password },
    1,
    /POST .*\/auth\/tokens -> 201/,
    '--debug node list --os-endpoint http://127.0.0.1:9 --max-retries 0',
  )
})

test('clouds.yaml has all of it, with secure.yaml beside it', async () => {
  const config = join(folder, '.config', 'openstack')
  await mkdir(config, { recursive: true })
  const clouds = {
    mine: {
      auth: { auth_url: keystone.url, username: 'me', system_scope: 'all' },
      region_name: 'one',
      interface: 'publicURL',
    },
    basic: {
      auth_type: 'http_basic',
      auth: { username: 'me', password, endpoint: url },
      baremetal_api_version: '1.80',
    },
    alone: { auth_type: 'none', baremetal_endpoint_override: url },
  }
  await writeFile(join(config, 'clouds.yaml'), JSON.stringify({ clouds }))
  await writeFile(join(config, 'secure.yaml'), JSON.stringify({ clouds: { mine: { auth: { password } } } }))
  await lists({ OS_CLOUD: 'mine', OS_USERNAME: 'somebody else' })
  assert.deepEqual(lastLogin()?.identity.password, { user: { name: 'me', domain: { id: 'default' }, password } })
  assert.deepEqual(lastLogin()?.scope, { system: { all: true } })
  await lists({}, '--os-cloud basic node list')
  assert.match(proofs.at(-1) ?? '', /^Basic /)
  await lists({ OS_CLOUD: 'alone' })
  assert.equal(proofs.at(-1), undefined)
  await refused({ OS_CLOUD: 'other' }, 2, /Cannot use cloud "other": .*clouds\.yaml has mine, basic, alone/)
})

test('a clouds.yaml that cannot be read is named, not quoted', async () => {
  const path = join(folder, 'broken.yaml')
  await writeFile(path, `clouds:\n  a: {auth: {password: ${password}\n`)
  await refused(
    { OS_CLOUD: 'a', OS_CLIENT_CONFIG_FILE: path },
    2,
    /broken\.yaml: it is no YAML \(see line \d+ column \d+\)/,
  )
  await refused({ OS_CLOUD: 'a', OS_CLIENT_CONFIG_FILE: join(folder, 'none.yaml') }, 2, /found no .*none\.yaml/)
})

test('a wrong version, file or flag in the environment is told', async () => {
  await refused({ OS_ENDPOINT: url, OS_BAREMETAL_API_VERSION: '2.1' }, 2, /Wrong API version "2\.1"/)
  await refused({ OS_ENDPOINT: url, OS_CACERT: '/nothing/there' }, 2, /Cannot read the file of --os-cacert/)
  await lists({ OS_ENDPOINT: url, OS_INSECURE: 'true' })
})
