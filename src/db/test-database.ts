/**
 * A database of its own for a test: SQLite in memory, or with FERRITE_TEST_DB=postgresql one in a PostgreSQL server,
 * which FERRITE_TEST_POSTGRES names or which is started for this file of tests. `npm test` runs files that use this
 * twice.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type Db, openDatabase } from './database.ts'
import {
  administer,
  createDatabase,
  type PostgresServer,
  startPostgres,
  templateName,
  withDatabase,
} from './test-server.ts'

/** Which engine this run is about. */
export const testEngine = process.env.FERRITE_TEST_DB === 'postgresql' ? 'postgresql' : 'sqlite'

let own: Promise<PostgresServer> | undefined

/** A new database; it goes when it is destroyed. */
export async function freshDatabase(): Promise<Db> {
  if (testEngine === 'sqlite') return openDatabase(':memory:')
  const { url, drop } = await freshPostgres()
  // SQLite works off one statement after another; few connections show the same tests what many at once do.
  return openDatabase(url, { maxConnections: 4, onEnd: drop })
}

/** The URL of a new database, for tests that open it several times, as several processes do; it goes with the test file. */
export async function freshUrl(): Promise<string> {
  if (testEngine === 'sqlite') {
    const folder = await mkdtemp(join(tmpdir(), 'ferrite-db-'))
    after(() => rm(folder, { recursive: true, force: true }))
    return `sqlite:///${join(folder, 'test.sqlite')}`
  }
  const { url, drop } = await freshPostgres()
  after(drop)
  return url
}

/** A new database in PostgreSQL, whichever engine this run is about. */
export async function freshPostgres(): Promise<{ url: string; drop: () => Promise<void> }> {
  const server = process.env.FERRITE_TEST_POSTGRES ?? (await ownServer()).url
  const name = await createDatabase(server, `test_${randomBytes(8).toString('hex')}`, templateName)
  return {
    url: withDatabase(server, name),
    drop: () => administer(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  }
}

function ownServer(): Promise<PostgresServer> {
  own ??= startPostgres().then(server => {
    after(() => server.stop())
    return server
  })
  return own
}
