/**
 * The web console in Debian's Chromium, on a real service with a deployment under way: what moves moves, what failed is
 * explained, every registered page is there in light and dark without a fault of accessibility, and nothing is asked of
 * anybody but the service. Screenshots go to docs/screenshots where FERRITE_SCREENSHOTS=1.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Route } from 'playwright-core'
import { holds, picture, startTrial, type Trial, violations } from './site.ts'

const tabs = 'timeline inventory disks network firmware steps logs console history validate why'.split(' ')
const [busy, broken, idle, fresh, unready] = ['sim-1', 'sim-2', 'sim-3', 'sim-4', 'sim-5'] as const
/** Pages that docs/screenshots has. */
const pictured = new Set(['/', '/nodes', `/nodes/${busy}`, `/nodes/${busy}/disks`, `/nodes/${busy}/timeline`])

/** The table of pages; not by a plain import, for what is behind it is of browsers, and checked as such. */
const table: string = join(import.meta.dirname, '../../src/console/pages.ts')
const { pages }: { pages: readonly { path: string }[] } = await import(table)

let trial: Trial
before(
  async () => {
    trial = await startTrial({ nodes: 6 })
    const names = trial.site.fleet.machines.map(machine => machine.name)
    await Promise.all(names.map(name => become(name, 'manage', 'manageable')))
    await Promise.all(names.slice(0, 4).map(name => become(name, 'inspect', 'manageable')))
    await Promise.all(names.slice(0, 4).map(name => become(name, 'provide', 'available')))
  },
  { timeout: 300_000 },
)
after(() => trial?.[Symbol.asyncDispose]())

async function become(name: string, target: string, state: string): Promise<void> {
  const answer = await trial.call('PUT', `/v1/nodes/${name}/states/provision`, { target })
  assert.equal(answer.status, 202, await answer.text())
  await trial.until(`${name} is ${state}`, async () => (await stateOf(name)) === state)
}

async function stateOf(name: string): Promise<string> {
  const answer = await trial.call('GET', `/v1/nodes/${name}?fields=provision_state`)
  return ((await answer.json()) as { provision_state: string }).provision_state // as was asked for
}

async function deploy(name: string, info: Record<string, string>): Promise<void> {
  const patch = Object.entries(info).map(([key, value]) => ({ op: 'add', path: `/instance_info/${key}`, value }))
  assert.equal((await trial.call('PATCH', `/v1/nodes/${name}`, patch)).status, 200)
  const answer = await trial.call('PUT', `/v1/nodes/${name}/states/provision`, { target: 'active' })
  assert.equal(answer.status, 202, await answer.text())
}

/** Sends a ramdisk's log as the ramdisk does, for as long as it may; @returns how many pieces were taken */
async function tellLog(name: string): Promise<number> {
  const machine = trial.site.fleet.machine(name)
  const addresses = machine.facts.nics.map(nic => nic.mac)
  const boot_id = crypto.randomUUID()
  let piece = 0
  await trial.until(`a log of ${name} is taken`, async () => {
    const text = `[    ${piece}.000000] line ${piece} of the ramdisk\n`
    const answer = await trial.call('POST', '/v1/ramdisk_log', { boot_id, piece, text, addresses })
    if (answer.status === 202) piece += 1
    return piece >= 12 || (piece > 0 && answer.status !== 202)
  })
  return piece
}

test('the first page loads less than 300 kB of JavaScript', { timeout: 180_000 }, async t => {
  const page = await trial.open('/sign-of-nothing')
  let bytes = 0
  page.on('response', response => {
    if (response.url().endsWith('.js')) bytes += Number(response.headers()['content-length'])
  })
  await page.goto(`${trial.url}/ui/`, { waitUntil: 'networkidle', timeout: 120_000 }).catch(() => {})
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor({ timeout: 60_000 })
  t.diagnostic(`${bytes} bytes`)
  assert.ok(bytes > 50_000 && bytes < 300_000, `${bytes} bytes`)
  await page.context().close()
})

test('a deployment is seen as it goes: state, log, progress, outcome', { timeout: 240_000 }, async t => {
  const page = await trial.open(`/nodes/${busy}/logs`)
  await page.getByRole('heading', { name: busy, level: 1 }).waitFor()
  await deploy(busy, trial.site.instanceInfo())
  const pieces = tellLog(busy)
  // Nobody loads the page again: the stream of events tells it.
  await page
    .locator('.ferrite-head')
    .getByText(/wait call-back|deploying/)
    .waitFor({ timeout: 60_000 })
  const log = page.getByRole('region', { name: 'Log' })
  await log.getByText('line 0 of the ramdisk').waitFor({ timeout: 60_000 })
  const told = await pieces
  await log.getByText(`line ${told - 1} of the ramdisk`).waitFor({ timeout: 60_000 })
  t.diagnostic(`${told} pieces of the log were shown as they came`)

  await page.getByRole('tab', { name: 'Timeline' }).click()
  const bar = page.locator('.ferrite-run-now [role=progressbar]')
  const seen: number[] = []
  await trial.until('the bar of progress moves', async () => {
    const value = Number(await bar.getAttribute('aria-valuenow', { timeout: 30_000 }))
    if (value !== seen.at(-1)) seen.push(value)
    return seen.length >= 4 && (seen.at(-1) ?? 0) > (seen[0] ?? 0)
  })
  t.diagnostic(`progress: ${seen.join(', ')}`)
  await picture(page, 'node-deploying')
  await page.locator('.ferrite-head').getByText('active', { exact: true }).waitFor({ timeout: 90_000 })
  await page.context().close()
})

test('a failure is explained, with what to do', { timeout: 180_000 }, async () => {
  await deploy(broken, { ...trial.site.instanceInfo(), image_os_hash_value: '0'.repeat(64) })
  await trial.until(`${broken} fails`, async () => (await stateOf(broken)) === 'deploy failed')
  const page = await trial.open(`/nodes/${broken}`)
  await page.getByRole('link', { name: 'Why, and what to do' }).click()
  await page.getByRole('heading', { name: 'What to do' }).waitFor()
  const explained = await page.getByRole('tabpanel', { name: 'Why?' }).innerText()
  assert.match(explained, /checksum|hash/i)
  assert.ok((await page.locator('ol.ferrite-lines > li').count()) > 0, 'there is something to do')
  await picture(page, 'node-why')
  await page.context().close()
})

test('a verb asks first, is done, and what is refused is told', { timeout: 180_000 }, async () => {
  const page = await trial.open(`/nodes/${idle}`)
  await page.getByRole('button', { name: 'Manage', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Manage', exact: true }).click()
  await page.getByRole('dialog').getByText('accepted').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click()
  await page.locator('.ferrite-head').getByText('manageable', { exact: true }).waitFor({ timeout: 60_000 })
  await page.context().close()
})

test('the wizard says what it would do, by keys alone, and then how it goes', { timeout: 300_000 }, async () => {
  const page = await trial.open(`/deploy?node=${fresh},${unready}`)
  const press = async (name: string) => {
    await page.getByRole('button', { name, exact: true }).focus()
    await page.keyboard.press('Enter')
  }
  const canGoOn = () => page.getByRole('button', { name: 'Next', exact: true }).isEnabled()
  const found: string[] = []
  const judge = async (step: string) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await holds(page, `ferriteTest.isDark() === ${colorScheme === 'dark'}`)
      for (const line of await violations(page)) found.push(`${step} (${colorScheme}): ${line}`)
    }
  }
  await page.getByText(/^2 chosen of/).waitFor({ timeout: 60_000 })
  await page.getByRole('checkbox', { name: fresh }).focus()
  await page.keyboard.press('Space')
  await page.getByText(/^1 chosen of/).waitFor()
  await page.keyboard.press('Space')
  await page.getByText(/^2 chosen of/).waitFor()
  await judge('nodes')

  await press('Next')
  const info = trial.site.instanceInfo()
  await page.getByLabel('Image', { exact: true }).fill(String(info.image_source))
  await page.getByLabel('Checksum', { exact: true }).fill('abc')
  await page.getByText('Found 3 digits').waitFor()
  assert.equal(await canGoOn(), false)
  await judge('image')
  await page.getByLabel('Checksum', { exact: true }).fill(String(info.image_os_hash_value))
  await page.getByLabel('Format', { exact: true }).selectOption('raw')

  await press('Next')
  await page.getByLabel('Steps', { exact: true }).fill('[')
  await page.getByText('That is no JSON').waitFor()
  assert.equal(await canGoOn(), false)
  await page.getByLabel('Steps', { exact: true }).fill('')
  await page.getByRole('checkbox', { name: 'Host name is the name of the node' }).focus()
  await page.keyboard.press('Space')
  await judge('options')

  await press('Next')
  await page.getByText('1 of 2 nodes would be deployed; 1 would be refused').waitFor({ timeout: 60_000 })
  await page.getByText(/Cannot deploy node .* in provision state "manageable"/).waitFor()
  await press(`Whole plan of ${fresh}`)
  await page.getByRole('heading', { name: 'Nothing stands in the way' }).waitFor()
  const plan = await page.locator('.pf-v6-c-wizard').innerText()
  const [disk] = trial.site.fleet.machine(fresh).facts.disks
  assert.ok(disk?.serial && plan.includes(disk.serial), plan)
  for (const part of ['Reboots', 'Takes', 'deploy.write_image', 'power on']) assert.ok(plan.includes(part), part)
  assert.equal(await stateOf(fresh), 'available')
  await judge('plan')
  await picture(page, 'deploy-plan')

  await press(`Deploy ${fresh}`)
  await page.getByText('1 under way').waitFor({ timeout: 60_000 })
  await judge('progress')
  const overview = await trial.open('/')
  await overview.route('**/v1/runs', async route => {
    const { runs } = (await (await route.fetch()).json()) as { runs: object[] } // run.list
    const history = { model: 'Sim R1', runs_known: 14, expected_s: 1, late_after_s: 1.5 }
    await route.fulfill({ json: { runs: runs.map(run => ({ ...run, ...history })) } })
  })
  await overview.reload()
  await overview.getByText(/^1 by the history of their model, 0 by default times/).waitFor({ timeout: 60_000 })
  await overview.getByText(/^deploy for .* expected 2 s at most, by 14 earlier runs of Sim R1$/).waitFor()
  await overview.context().close()
  await page.getByText('1 of 1 are deployed').waitFor({ timeout: 120_000 })
  assert.equal(await stateOf(fresh), 'active')
  await page.context().close()
  assert.deepEqual(found, [])
})

test('keys lead to pages, to the search, and to the list of keys', { timeout: 120_000 }, async () => {
  const page = await trial.open('/')
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  await page.keyboard.press('g')
  await page.keyboard.press('n')
  await page.getByRole('heading', { name: 'Nodes', level: 1 }).waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('sim-4')
  await page.getByText('1 of 6 nodes').waitFor()
  assert.match(page.url(), /q=sim-4/)
  await page.locator('h1').click()
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await page.context().close()
})

test('a part that a newer console replaced loads the page anew, once', { timeout: 120_000 }, async () => {
  const before = trial.troubles.length
  const page = await trial.open('/')
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
  let loads = 0
  page.on('load', () => {
    loads += 1
  })
  const gone = (route: Route) => route.fulfill({ status: 404, body: 'gone' })
  await page.route('**/ui/assets/part-*', gone, { times: 1 })
  await page.getByRole('link', { name: 'Settings', exact: true }).click()
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor({ timeout: 60_000 })
  assert.equal(loads, 1)
  // Where it stays away the page says so, instead of going round in circles.
  await page.route('**/ui/assets/part-*', gone)
  await page.getByRole('link', { name: 'Conductors', exact: true }).click()
  await page.getByText('Could not show this page').waitFor({ timeout: 60_000 })
  assert.equal(loads, 1)
  await page.context().close()
  const told = trial.troubles.splice(before).filter(trouble => !isAnswerOfService(trouble))
  for (const trouble of told) assert.match(trouble, /dynamically imported module/)
})

test('every page is there, in light and dark, and axe finds nothing', { timeout: 900_000 }, async t => {
  const found: string[] = []
  const page = await trial.open('/')
  for (const path of pages.flatMap(one => pathsOf(one.path))) {
    await page.emulateMedia({ colorScheme: 'light' })
    await page.goto(`${trial.url}/ui${path}`, { timeout: 120_000 })
    await page.getByRole('heading', { level: 1 }).first().waitFor({ timeout: 60_000 })
    await holds(page, 'ferriteTest.isLoaded()')
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await holds(page, `ferriteTest.isDark() === ${colorScheme === 'dark'}`)
      for (const line of await violations(page)) found.push(`${path} (${colorScheme}): ${line}`)
      if (pictured.has(path)) await picture(page, `${nameOf(path)}${colorScheme === 'dark' ? '-dark' : ''}`)
    }
  }
  t.diagnostic(`${pages.length} pages`)
  assert.deepEqual(found, [])
})

test('small windows show every page without scrolling sideways', { timeout: 300_000 }, async () => {
  for (const path of ['/', '/nodes', `/nodes/${busy}`, '/deploy']) {
    const page = await trial.open(path, { width: 420, height: 800 })
    await page.getByRole('heading', { level: 1 }).first().waitFor({ timeout: 60_000 })
    const wider = await page.evaluate<number>('ferriteTest.excess()')
    assert.ok(wider <= 1, `${path} is ${wider} px wider than its window`)
    await picture(page, `small-${nameOf(path)}`)
    await page.context().close()
  }
})

test('no page had an error, and nothing was asked of others', () => {
  assert.deepEqual(
    trial.troubles.filter(trouble => !isAnswerOfService(trouble)),
    [],
  )
})

const nameOf = (path: string) => path.slice(1).replaceAll('/', '-') || 'overview'

/** Chromium tells of each answer that is no success; pages show those that matter. */
function isAnswerOfService(trouble: string): boolean {
  return /Failed to load resource: the server responded with a status of 40[0-9]/.test(trouble)
}

/** Values for the parameters of paths; a page with another parameter names its value here. */
function pathsOf(path: string): string[] {
  if (path === '/nodes/:ident/:tab?') return ['', ...tabs.map(tab => `/${tab}`)].map(tab => `/nodes/${busy}${tab}`)
  assert.doesNotMatch(path, /:(?!\w+\?)/, `${path}: say in pathsOf() what its parameter is`)
  return [path.replaceAll(/\/:\w+\?/g, '')]
}
