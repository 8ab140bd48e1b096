/**
 * A PostgreSQL server for tests: Debian's programs in a folder of their own, on a unix socket, for as long as it is
 * wanted. It does not wait for disks, and its locale sorts other than bytes do, so that a query which leans on the
 * locale is found out. Never used by the service.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { systemClock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import { openDatabase } from './database.ts'

export interface PostgresServer {
  /** Of the server, without a database: what `FERRITE_TEST_POSTGRES` holds. */
  readonly url: string
  /** Of a new and empty database in it. */
  create(name: string): Promise<string>
  /** Ends it at once, as a failing machine would; `restart` brings it back with all that was committed. */
  kill(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Holds the schema already; each test's database is a copy of it. */
export const templateName = 'ferrite_template'
const nobody = 65534
const startLimitMs = 60_000

/** Starts a server. Its programs come from Debian's package `postgresql`. */
export async function startPostgres(): Promise<PostgresServer> {
  const programs = await programsFolder()
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-pg-'))
  // PostgreSQL refuses to be run by root.
  const identity = process.geteuid?.() === 0 ? { uid: nobody, gid: nobody } : {}
  if (identity.uid !== undefined) await chown(folder, nobody, nobody)
  const data = join(folder, 'data')
  const locale = ['--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=en-US', '--encoding=UTF8']
  const made = spawnSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'ferrite', '--auth=trust', '--no-sync', ...locale],
    { ...identity, cwd: folder, encoding: 'utf8' },
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`)

  let child: ChildProcess | undefined
  const start = async () => {
    const settings = ['fsync=off', 'full_page_writes=off', 'max_connections=300'].concat(
      'listen_addresses=',
      `unix_socket_directories=${folder}`,
    )
    const args = ['-D', data, ...settings.flatMap(setting => ['-c', setting])]
    // The shell ends the server when its input does: a test that is killed leaves none behind.
    const script = '"$0" "$@" </dev/null & cat; kill -QUIT $!; wait'
    const shell = ['-c', script, join(programs, 'postgres'), ...args]
    child = spawn('sh', shell, { ...identity, cwd: folder, stdio: ['pipe', 'ignore', 'ignore'] })
    child.unref()
    await answering(folder)
  }
  const end = async () => {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null) return
    running.ref()
    const exited = once(running, 'exit')
    running.stdin?.end()
    await exited
  }
  await start()
  const url = `postgresql:///?host=${encodeURIComponent(folder)}&user=ferrite`
  await openDatabase(withDatabase(url, await createDatabase(url, templateName))).then(db => db.destroy())
  return {
    url,
    create: async name => withDatabase(url, await createDatabase(url, name)),
    kill: end,
    restart: start,
    async stop() {
      await end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The URL of one database of a server. */
export function withDatabase(url: string, name: string): string {
  return url.replace(':///?', `:///${name}?`)
}

/** Makes a database: a copy of `template` where that is given. Returns its name. */
export async function createDatabase(url: string, name: string, template?: string): Promise<string> {
  await administer(url, `CREATE DATABASE ${name}${template === undefined ? '' : ` TEMPLATE ${template}`}`)
  return name
}

/** Runs one statement beside all databases of tests. */
export async function administer(url: string, sql: string): Promise<void> {
  const { searchParams } = new URL(url)
  const client = new pg.Client({ host: searchParams.get('host') ?? '', user: 'ferrite', database: 'postgres' })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

/** The newest that Debian has installed. */
async function programsFolder(): Promise<string> {
  const root = '/usr/lib/postgresql'
  const versions = await readdir(root).catch(() => [])
  const newest = versions
    .map(Number)
    .filter(Number.isFinite)
    .sort((a, b) => b - a)[0]
  if (newest === undefined) throw new Error(`no PostgreSQL below ${root}: install the package postgresql`)
  return join(root, String(newest), 'bin')
}

async function answering(folder: string): Promise<void> {
  const giveUpAt = performance.now() + startLimitMs
  for (;;) {
    const client = new pg.Client({ host: folder, user: 'ferrite', database: 'postgres' })
    client.on('error', () => {})
    const failure = await client.connect().then(
      () => null,
      (error: unknown) => messageOf(error),
    )
    await client.end().catch(() => {})
    if (failure === null) return
    if (performance.now() > giveUpAt) throw new Error(`PostgreSQL did not start: ${failure}`)
    await systemClock.sleep(50)
  }
}
