/** The web console as a browser gets it: its page, its files, how large they are, and signing in. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadConfig, type Overrides } from '#config/load.ts'
import { fakeService, startFakeKeystone } from '../auth/fake-keystone.ts'
import { startApi, type TestApi } from '../test-api.ts'
import { buildConsole, readBuild } from './bundle.ts'

/** Of JavaScript, compressed, until the first page shows something. */
const mostBytes = 300_000

let directory: string
let api: TestApi
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-console-'))
  api = await startApi({}, { ui: await uiConfig() })
})
after(async () => {
  await api[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

const uiConfig = (overrides: Overrides = {}) =>
  loadConfig({ overrides: { ...overrides, ferrite: { console_dir: directory } } })

test('every path of the console is its page, which loads nothing from elsewhere', { timeout: 120_000 }, async () => {
  for (const path of ['/ui', '/ui/', '/ui/nodes/n1/timeline?x=1']) {
    const answer = await fetch(api.url + path)
    assert.equal(answer.status, 200, path)
    assert.match(answer.headers.get('content-type') ?? '', /^text\/html/)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const policy = answer.headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'; script-src 'self'; /)
    assert.doesNotMatch(policy, /unsafe|https?:|\*/)
    const page = await answer.text()
    const named = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = '']) => url)
    assert.ok(named.length >= 3)
    for (const url of named) assert.match(url, /^\/ui\/assets\/[\w.-]+$|^data:,$/)
  }
})

test('its files stay for good, come compressed, and are those that were built', async () => {
  const build = await readBuild(await buildConsole({ directory }))
  let firstLoadBytes = 0
  for (const name of build.firstLoad) {
    const answer = await fetch(`${api.url}/ui/assets/${name}`, { headers: { 'accept-encoding': 'gzip' } })
    assert.equal(answer.status, 200, name)
    assert.equal(answer.headers.get('cache-control'), 'public, max-age=31536000, immutable')
    assert.equal(answer.headers.get('content-encoding'), 'gzip')
    firstLoadBytes += Number(answer.headers.get('content-length'))
    assert.ok((await answer.text()).length > 0) // fetch() undoes the compression
  }
  assert.ok(firstLoadBytes > 50_000 && firstLoadBytes < mostBytes, `the first page loads ${firstLoadBytes} bytes`)
  const font = build.files.find(name => name.endsWith('.woff2'))
  assert.equal((await fetch(`${api.url}/ui/assets/${font}`)).headers.get('content-encoding'), null)
  for (const wrong of ['build.json', '..%2f..%2fpackage.json', '%2e%2e%2fbuild.json', `${build.scripts[0]}.map`, 'x'])
    assert.equal((await fetch(`${api.url}/ui/assets/${wrong}`)).status, 404, wrong)
})

test('files of an older build are served while its folder is there, and then said to be gone', async () => {
  const folder = join(directory, '0123456789abcdef')
  await mkdir(folder)
  const old = { scripts: [], styles: [], firstLoad: [], files: ['part-OLD.js', 'part-LOST.js'], sources: ['gone'] }
  await writeFile(join(folder, 'part-OLD.js'), 'export {}')
  await writeFile(join(folder, 'build.json'), JSON.stringify(old))
  const asked = (name: string) => fetch(`${api.url}/ui/assets/${name}`)
  assert.equal(await (await asked('part-OLD.js')).text(), 'export {}')
  assert.equal((await asked('part-LOST.js')).status, 404)
  await rm(folder, { recursive: true })
  for (const name of ['part-OLD.js', 'part-LOST.js']) {
    const answer = await asked(name)
    assert.equal(answer.status, 404)
    assert.match(await answer.text(), new RegExp(`Cannot serve ${name} of the web console: .*loaded anew`))
  }
  assert.equal((await fetch(`${api.url}/ui`)).status, 200)
})

test('what is built is found again, and nothing unfinished is left', async () => {
  const began = performance.now()
  const folder = await buildConsole({ directory })
  assert.equal(await buildConsole({ directory }), folder)
  assert.ok(performance.now() - began < 5000)
  assert.deepEqual(await readdir(directory), [folder.split('/').at(-1)])
})

test('without the console nothing is served at its path', async () => {
  await using bare = await startApi()
  assert.equal((await fetch(`${bare.url}/ui`)).status, 404)
  assert.equal((await fetch(`${bare.url}/ui/session`)).status, 404)
})

test('the page learns how to sign in; names and passwords go to Keystone, and a token comes back', async () => {
  const offered = await (await fetch(`${api.url}/ui/session`)).json()
  assert.deepEqual(offered, { auth_strategy: 'noauth' })
  assert.equal((await fetch(`${api.url}/ui/session`, { method: 'POST', body: '{}' })).status, 404)

  await using keystone = await startFakeKeystone()
  const ui = await uiConfig({
    DEFAULT: { auth_strategy: 'keystone' },
    keystone_authtoken: {
      auth_url: keystone.url,
      username: 'ferrite',
      password: 'secret',
      user_domain_name: 'Default',
      project_name: 'service',
      project_domain_name: 'Default',
    },
  })
  await using guarded = await startApi({}, { ui })
  const post = async (body: unknown) => {
    const answer = await fetch(`${guarded.url}/ui/session`, { method: 'POST', body: JSON.stringify(body) })
    const text = await answer.text()
    assert.doesNotMatch(text, new RegExp(`${fakeService.password}|wrong-password`))
    return { status: answer.status, text }
  }
  assert.match(await (await fetch(`${guarded.url}/ui/session`)).text(), /"keystone"/)
  const good = await post({ username: 'alice', password: fakeService.password, project_name: 'p' })
  assert.equal(good.status, 200)
  assert.match(good.text, /"token":"service-.*"roles":\["service"\]/)
  assert.deepEqual(keystone.lastLogin, {
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: 'alice', password: fakeService.password, domain: { name: 'Default' } } },
      },
      scope: { project: { name: 'p', domain: { name: 'Default' } } },
    },
  })
  await post({ username: 'alice', password: fakeService.password })
  assert.match(JSON.stringify(keystone.lastLogin), /"scope":\{"system":\{"all":true\}\}/)
  assert.match((await post({ username: 'alice', password: 'wrong-password' })).text, /Keystone answers 401/)
  for (const wrong of [{}, [], 'x', { username: 1, password: 'x' }, { username: 'a', password: 'b', more: 1 }])
    assert.equal((await post(wrong)).status, 400, JSON.stringify(wrong))
  keystone.answerWith(500)
  assert.equal((await post({ username: 'alice', password: fakeService.password })).status, 503)
})
