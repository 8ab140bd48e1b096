/**
 * `npm run interop:clients`: drives Ferrite with the real clients of Ironic, unmodified: those of Debian and the newest
 * ones, each in all three authentication modes, against a Keystone of our own. It prints which commands and calls were
 * driven. What cannot be installed here is skipped, and named.
 *
 *     npm run interop:clients -- [--clients debian|newest] [--access noauth|http_basic|keystone] [FILE...]
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { forClients, forKeystone } from '#lab/host-packages.ts'
import { type AccessMode, accessModes } from './access.ts'
import { coverageOf, coverageText, readRecord } from './coverage.ts'
import { startKeystone } from './keystone.ts'
import { installNewestClients } from './newest.ts'
import { whyMissing } from './packages.ts'
import { commandsOf } from './programs.ts'

interface Clients {
  readonly name: 'debian' | 'newest'
  readonly programs: string
}

const { values: only, positionals } = parseArgs({
  allowPositionals: true,
  options: { clients: { type: 'string' }, access: { type: 'string' } },
})
const files = positionals.length > 0 ? positionals : globSync(join(import.meta.dirname, '*.test.ts')).sort()
const skipped: string[] = []

const directory = await mkdtemp(join(tmpdir(), 'ferrite-interop-'))
try {
  process.exitCode = await drive()
} finally {
  await rm(directory, { recursive: true, force: true })
}

/** @returns the exit status */
async function drive(): Promise<number> {
  const generations = await findClients()
  await using opened = new AsyncDisposableStack()
  const ways = new Map<AccessMode, Readonly<Record<string, string>>>([
    ['noauth', {}],
    ['http_basic', {}],
  ])
  const noKeystone =
    only.access === undefined || only.access === 'keystone' ? await whyMissing(forKeystone) : 'not asked'
  if (noKeystone === false) {
    const keystone = opened.use(await startKeystone(join(directory, 'keystone')))
    const { url, password } = keystone
    ways.set('keystone', { FERRITE_CLIENT_KEYSTONE: JSON.stringify({ url, password }) })
  } else if (only.access === undefined || only.access === 'keystone') {
    skipped.push(`keystone: ${noKeystone}`)
  }
  let passed = true
  for (const clients of generations) {
    const records = new Map<AccessMode, string>()
    for (const mode of accessModes.filter(one => only.access === undefined || only.access === one)) {
      const way = ways.get(mode)
      if (way === undefined) continue
      const record = join(directory, `${clients.name}-${mode}`)
      console.log(`\n== clients: ${clients.name}, access: ${mode}`)
      const ran = runTests({ ...way, FERRITE_CLIENT_ACCESS: mode, FERRITE_CLIENT_RECORD: record }, clients)
      passed &&= ran
      records.set(mode, record)
    }
    if (positionals.length === 0) passed = tell(clients, records) && passed
  }
  for (const line of skipped) console.log(`SKIPPED: ${line}`)
  return passed && generations.length > 0 ? 0 : 1
}

async function findClients(): Promise<Clients[]> {
  const found: Clients[] = []
  // Also the newest ones need these: what a test needs is one question then.
  const missing = await whyMissing(forClients)
  if (missing !== false) {
    skipped.push(`everything, for the clients are not here. ${missing}`)
    return found
  }
  if (only.clients !== 'newest') {
    const format = '$' + '{Package} $' + '{Version}\n'
    console.log(execFileSync('dpkg-query', ['-W', '-f', format, ...forClients], { encoding: 'utf8' }))
    found.push({ name: 'debian', programs: '/usr/bin' })
  }
  if (only.clients !== 'debian') {
    const newest = await installNewestClients(join(directory, 'venv'))
    if ('missing' in newest) skipped.push(`the newest clients: ${newest.missing}`)
    else {
      console.log(newest.versions)
      found.push({ name: 'newest', programs: newest.programs })
    }
  }
  return found
}

function runTests(settings: Readonly<Record<string, string>>, clients: Clients): boolean {
  const options = ['--disable-warning=ExperimentalWarning', '--test', '--test-concurrency=2', '--test-reporter=dot']
  const env = { ...process.env, ...settings, FERRITE_CLIENT_PROGRAMS: clients.programs }
  const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: 'inherit', env })
  return status === 0
}

/** Prints what was driven. @returns whether that is all there is to drive */
function tell(clients: Clients, records: ReadonlyMap<AccessMode, string>): boolean {
  const commands = commandsOf(clients.programs)
  const coverage = coverageOf(commands, [...records.values()].map(readRecord))
  console.log(`\nbaremetal (${clients.name}), in ${[...records.keys()].join(', ')}:\n${coverageText(coverage)}`)
  return commands.length > 0 && coverage.untried.length === 0
}
