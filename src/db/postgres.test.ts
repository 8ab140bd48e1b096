/** What only PostgreSQL has: a server that goes away and comes back, refusals at the start, several processes at once. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { InvalidInput } from '#lib/fault.ts'
import { type Db, inTransaction, openDatabase } from './database.ts'
import { DatabaseUnavailable } from './faults.ts'
import { type PostgresServer, startPostgres, withDatabase } from './test-server.ts'

describe('PostgreSQL', () => {
  let server: PostgresServer
  const name = () => `d_${randomUUID().replaceAll('-', '')}`

  before(async () => {
    server = await startPostgres()
  })
  after(() => server.stop())

  const addConductor = (db: Db, hostname: string) =>
    db
      .insertInto('conductors')
      .values({ hostname, conductor_group: '', created_at: '', updated_at: '', updated_at_ms: 2 ** 50, online: 1 })
      .execute()

  test('of several processes that open a new database at once, one applies the migrations', async () => {
    const url = await server.create(name())
    const opened = await Promise.all([1, 2, 3, 4].map(() => openDatabase(url)))
    assert.deepEqual(await opened[3]?.selectFrom('nodes').selectAll().execute(), [])
    await Promise.all(opened.map(db => db.destroy()))
  })

  test('gives numbers and truth as SQLite does, and sorts by bytes', async () => {
    const db = await openDatabase(await server.create(name()))
    for (const hostname of ['b', 'A', 'a', 'B', 'ä', '_']) await addConductor(db, hostname)
    const rows = await db.selectFrom('conductors').selectAll().orderBy('hostname').execute()
    assert.deepEqual(
      rows.map(row => row.hostname),
      ['A', 'B', '_', 'a', 'b', 'ä'],
    )
    assert.equal(rows[0]?.updated_at_ms, 2 ** 50)
    const { rows: values } =
      await sql`select count(*) as n, (1 = 1) as yes, sum(online) as total from conductors`.execute(db)
    assert.deepEqual(values, [{ n: 6, yes: 1, total: 6 }])
    await db.destroy()
  })

  test('a server that is gone answers as a fault, never as a crash, and is found again', async () => {
    const own = await startPostgres()
    const db = await openDatabase(withDatabase(own.url, 'ferrite_template'), {
      statementTries: 2,
      statementIntervalMs: 10,
      minConnections: 2,
    })
    await Promise.all([addConductor(db, 'one'), addConductor(db, 'two')])
    const cutOff = db.transaction().execute(async trx => {
      await addConductor(trx as unknown as Db, 'three')
      await own.kill()
      await addConductor(trx as unknown as Db, 'four')
    })
    await assert.rejects(cutOff, DatabaseUnavailable)
    await assert.rejects(db.selectFrom('conductors').selectAll().execute(), DatabaseUnavailable)
    await assert.rejects(addConductor(db, 'five'), DatabaseUnavailable)
    await own.restart()
    const rows = await db.selectFrom('conductors').select('hostname').orderBy('hostname').execute()
    assert.deepEqual(
      rows.map(row => row.hostname),
      ['one', 'two'],
      'what was under way in a transaction is undone as a whole',
    )
    await addConductor(db, 'six')
    await db.destroy()
    await own.stop()
  })

  test('connections that the server closed are replaced without anybody noticing', async () => {
    const url = await server.create(name())
    const db = await openDatabase(url, { maxConnections: 3 })
    await Promise.all([1, 2, 3].map(number => addConductor(db, `host-${number}`)))
    const other = await openDatabase(url)
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`.execute(other)
    const rows = await Promise.all([1, 2, 3].map(() => db.selectFrom('conductors').select('hostname').execute()))
    assert.deepEqual(
      rows.map(found => found.length),
      [3, 3, 3],
    )
    await Promise.all([db.destroy(), other.destroy()])
  })

  test('transactions that wait for each other are done again', async () => {
    const db = await openDatabase(await server.create(name()))
    await addConductor(db, 'one')
    await addConductor(db, 'two')
    const both = (first: string, second: string) =>
      inTransaction(db, async trx => {
        for (const hostname of [first, second]) {
          await trx
            .updateTable('conductors')
            .set({ updated_at_ms: sql<number>`updated_at_ms + 1` })
            .where('hostname', '=', hostname)
            .execute()
          await sql`select pg_sleep(0.1)`.execute(trx)
        }
      })
    await Promise.all([both('one', 'two'), both('two', 'one')])
    const rows = await db.selectFrom('conductors').select('updated_at_ms').execute()
    assert.deepEqual(
      rows.map(row => row.updated_at_ms),
      [2 ** 50 + 2, 2 ** 50 + 2],
    )
    await db.destroy()
  })

  test('the start says what is wrong, without the password', async () => {
    const refused = (url: string, message: RegExp, kind: new (...args: never[]) => Error) =>
      assert.rejects(openDatabase(url, { connectTries: 2, connectIntervalMs: 10 }), (error: unknown) => {
        assert.ok(error instanceof kind, String(error))
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /s3cret/)
        return true
      })
    const socket = encodeURIComponent(new URL(server.url).searchParams.get('host') ?? '')
    const at = `host=${socket}&password=s3cret`
    await refused(`postgresql:///nowhere?${at}&user=ferrite`, /has no database "nowhere"/, InvalidInput)
    await refused(`postgresql:///postgres?${at}&user=stranger`, /user "stranger"/, InvalidInput)
    await refused('postgresql://fer:s3cret@127.0.0.1:1/nodes', /127\.0\.0\.1:1 after 2 tries/, DatabaseUnavailable)
    await refused('postgresql:///nodes?host=/nowhere&user=fer&password=s3cret', /\/nowhere/, DatabaseUnavailable)
  })
})
