/**
 * What the console is tried on: a real service with simulated machines whose work takes long enough to be watched, one of
 * them with an image that is not what its checksum says, and a browser that notes whatever goes wrong in its pages.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { ensureHostPackages, forConsole } from '#lab/host-packages.ts'
import { usual } from '#sim/settings.ts'
import { Site } from '#sim/site.ts'

export interface Trial extends AsyncDisposable {
  readonly url: string
  readonly site: Site
  /** What went wrong in pages, and what was asked of others than the service. */
  readonly troubles: string[]
  /** A fresh page; `dark`: as a system in the dark has it. */
  open(path: string, options?: { dark?: boolean; width?: number; height?: number }): Promise<Page>
  call(method: string, path: string, body?: unknown): Promise<Response>
  /** Asks until it is so; a minute at most. */
  until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T>
}

export async function startTrial({ nodes }: { nodes: number }): Promise<Trial> {
  await ensureHostPackages(forConsole, line => console.log(line))
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-console-'))
  await using started = new AsyncDisposableStack()
  started.defer(() => rm(directory, { recursive: true, force: true }))
  const site = await Site.start({
    directory,
    nodes,
    // So large that the end of it is not what buffers hold: who sends closes once he has sent.
    imageSizeBytes: 64 * 2 ** 20,
    settings: {
      ...usual,
      delayMs: { ...usual.delayMs, ramdisk: [6000, 6500], write: [25_000, 26_000] },
    },
    config: { api: { max_limit: '1000' }, ferrite: { console_dir: join(process.cwd(), 'var/build/console') } },
  })
  started.defer(() => site.stop())
  for (const machine of site.fleet.machines) await site.enrol(machine)
  const browser: Browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  started.defer(() => browser.close())
  const url = site.service.endpoint
  const troubles: string[] = []
  const stack = started.move()
  return {
    url,
    site,
    troubles,
    async open(path, { dark = false, width = 1440, height = 900 } = {}) {
      const context: BrowserContext = await browser.newContext({
        viewport: { width, height },
        colorScheme: dark ? 'dark' : 'light',
        reducedMotion: 'reduce',
      })
      await prepare(context)
      const page = await context.newPage()
      page.on('console', message => {
        if (['error', 'warning'].includes(message.type())) troubles.push(`${path}: ${message.text()}`)
      })
      page.on('pageerror', error => troubles.push(`${path}: ${error.stack}`))
      page.on('request', request => {
        const asked = request.url()
        if (!asked.startsWith(`${url}/`) && !/^(data|blob):/.test(asked)) troubles.push(`${path}: asks ${asked}`)
      })
      await page.goto(`${url}/ui${path}`, { timeout: 120_000 })
      return page
    },
    call: (method, path, body) =>
      fetch(url + path, {
        method,
        headers: { 'x-openstack-ironic-api-version': '1.115', 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async until(what, look) {
      for (let tries = 0; tries < 240; tries += 1) {
        const found = await look()
        if (found) return found
        await new Promise(resolve => setTimeout(resolve, 250))
      }
      throw new Error(`Waited a minute in vain: ${what}`)
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Keeps what a page looks like in docs/screenshots, where FERRITE_SCREENSHOTS=1. */
export async function picture(page: Page, name: string): Promise<void> {
  const path = join(import.meta.dirname, '../../docs/screenshots', `${name}.png`)
  if (process.env.FERRITE_SCREENSHOTS === '1') await page.screenshot({ path })
}

/** Waits until an expression holds in the page; a minute at most. Asked from here, for the page's policy lets it read no code. */
export async function holds(page: Page, expression: string): Promise<void> {
  for (let tries = 0; tries < 240; tries += 1) {
    if (await page.evaluate<boolean>(expression)) return
    await new Promise(resolve => setTimeout(resolve, 250))
  }
  throw new Error(`Waited a minute in vain: ${expression}`)
}

/** What axe finds wrong with a page, a line each. */
export function violations(page: Page): Promise<string[]> {
  return page.evaluate<string[]>('ferriteTest.violations()')
}

/** What every page of the tests begins with: axe, and what they run in it. */
export async function prepare(context: BrowserContext): Promise<void> {
  await context.addInitScript({ path: createRequire(import.meta.url).resolve('axe-core/axe.min.js') })
  await context.addInitScript({ path: join(import.meta.dirname, 'in-page.js') })
}
