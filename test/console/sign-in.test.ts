/** Signing in to the console in Chromium, with names and passwords and with Keystone: refused, let in, kept for the tab. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { hash } from 'bcrypt'
import { type Browser, chromium, type Page } from 'playwright-core'
import { loadConfig, type Overrides } from '#config/load.ts'
import { ensureHostPackages, forConsole } from '#lab/host-packages.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { startFakeKeystone } from '#server/auth/fake-keystone.ts'
import { openAccess } from '#server/auth/open.ts'
import { startApi } from '#server/test-api.ts'
import { picture, prepare, violations } from './site.ts'

let browser: Browser
let directory: string
before(async () => {
  await ensureHostPackages(forConsole, line => console.log(line))
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  directory = await mkdtemp(join(tmpdir(), 'ferrite-console-'))
})
after(async () => {
  await browser?.close()
  await rm(directory, { recursive: true, force: true })
})

/** A service of this configuration, and a page of its console. */
async function opened(overrides: Overrides) {
  const stack = new AsyncDisposableStack()
  const config = await loadConfig({ overrides: { ...overrides, ferrite: { console_dir: 'var/build/console' } } })
  const access = await openAccess(config, { clock: systemClock, log: silent, configFiles: [] })
  stack.defer(() => access.auth.close?.())
  const api = stack.use(await startApi({}, { ...access, ui: config }))
  const context = await browser.newContext()
  stack.defer(() => context.close())
  await prepare(context)
  const page = await context.newPage()
  await page.goto(`${api.url}/ui/nodes`, { timeout: 120_000 })
  await page.getByRole('heading', { name: 'Sign in to Ferrite' }).waitFor({ timeout: 60_000 })
  assert.deepEqual(await violations(page), [])
  return { page, api, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

const isIn = (page: Page) => page.getByRole('heading', { name: 'Nodes', level: 1 }).waitFor({ timeout: 60_000 })

const stored = (page: Page) => page.evaluate<string>('ferriteTest.stored()')

test('by name and password', { timeout: 240_000 }, async () => {
  const file = join(directory, 'htpasswd')
  await writeFile(file, `zoë:${await hash('päss', 4)}\n`)
  await using service = await opened({ DEFAULT: { auth_strategy: 'http_basic', http_basic_auth_user_file: file } })
  const { page } = service
  await page.getByLabel('Name').fill('zoë')
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('does not know this name with this password').waitFor()
  await picture(page, 'sign-in')
  await page.getByLabel('Password').fill('päss')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await isIn(page)
  await page.reload()
  await isIn(page)
  assert.match(await stored(page), /"tab":\{.*Basic.*"browser":\{(?!.*Basic)/, 'in the tab, and nowhere else')
  await page.getByRole('button', { name: 'zoë' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in to Ferrite' }).waitFor()
  assert.doesNotMatch(await stored(page), /Basic/)
})

test('by a token of Keystone, until it is revoked', { timeout: 240_000 }, async () => {
  await using keystone = await startFakeKeystone()
  await using service = await opened({
    DEFAULT: { auth_strategy: 'keystone' },
    keystone_authtoken: {
      auth_url: keystone.url,
      username: 'ironic',
      password: 'service-secret',
      user_domain_name: 'Default',
      project_name: 'service',
      project_domain_name: 'Default',
      token_cache_time: -1,
    },
  })
  const { page } = service
  const token = keystone.issue({ system: true, roles: ['reader'] })
  await page.getByRole('button', { name: 'Token' }).click()
  await page.getByLabel('Token').last().fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await isIn(page)
  keystone.revoke(token)
  await page.reload()
  await page.getByRole('heading', { name: 'Sign in to Ferrite' }).waitFor({ timeout: 60_000 })
})
