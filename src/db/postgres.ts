/**
 * PostgreSQL through `pg`: a pool of connections, the migrations under a lock that all processes share, and values as
 * SQLite gives them (whole numbers as numbers, truth as 0 or 1), so that the queries know one kind of row. A connection
 * that breaks costs the statement that was on it, never the process. Knows no table.
 */
import { type Dialect, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import pg from 'pg'
import type { Clock } from '#lib/clock.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import type { PostgresAddress } from './connection.ts'
import { DatabaseUnavailable, endsConnection, isAway, translated } from './faults.ts'
import { statementsDone, timedStatement } from './measured.ts'
import { failedMigration, migrationsFor } from './migrations.ts'

export interface PoolOptions {
  /** Connections kept open, and the most there may be. */
  minConnections: number
  maxConnections: number
  /** How long to wait for a free connection, or for a new one. */
  acquireTimeoutMs: number
  /** Seconds after which a connection is replaced; 0: never. */
  recycleS: number
  /** Tries to connect at the start, 0 for ever, and the pause between two. */
  connectTries: number
  connectIntervalMs: number
  /** A statement that found no connection, or that only reads and lost it, is tried again so often and so late. */
  statementTries: number
  statementIntervalMs: number
  /** Called when the last connection of the pool is closed. */
  onEnd: () => Promise<void>
  clock: Clock
  log: Log
}

/** Longest time a statement, and the wait for a row that somebody else changes, may take. */
const statementTimeoutMs = 30_000
const lockTimeoutMs = 10_000
/** A process that stops in mid-transaction must not keep its rows from those who take over. */
const idleInTransactionMs = 5_000
/** Names the lock under which migrations run; any number that nobody else uses in this database. */
const migrationLock = 7_263_551

/** Connects, brings the database up to date and returns how Kysely talks to it. @throws InvalidInput saying what is wrong */
export async function openPostgres(address: PostgresAddress, options: PoolOptions): Promise<Dialect> {
  await migrate(address, options)
  const pool = new pg.Pool({
    ...clientConfig(address),
    min: options.minConnections,
    max: options.maxConnections,
    connectionTimeoutMillis: options.acquireTimeoutMs,
    maxLifetimeSeconds: options.recycleS,
    idleTimeoutMillis: 30_000,
  })
  // Without a listener the loss of an idle connection would end the process.
  pool.on('error', error => options.log.warn({ reason: messageOf(error) }, 'an idle database connection was lost'))
  return new PostgresDialect({ pool: steady(pool, options) })
}

/** A connection of its own outside the pool, for LISTEN and for locks that live as long as it. */
export function postgresClient(address: PostgresAddress): pg.Client {
  return new pg.Client(clientConfig(address))
}

function clientConfig(address: PostgresAddress): pg.ClientConfig {
  const { host, port, user, password, database, tls, sessionOptions, connectTimeoutS } = address
  return {
    host,
    port,
    user,
    password,
    database,
    ssl: tls,
    ...(sessionOptions === undefined ? {} : { options: sessionOptions }),
    ...(connectTimeoutS === undefined ? {} : { connectionTimeoutMillis: connectTimeoutS * 1000 }),
    application_name: 'ferrite',
    keepAlive: true,
    statement_timeout: statementTimeoutMs,
    lock_timeout: lockTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    // The server's own limit comes first; this one is for a server that does not answer at all.
    query_timeout: statementTimeoutMs + 5_000,
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
  }
}

const oids = { bool: 16, int8: 20, numeric: 1700 } as const

/** Numbers that SQLite has as numbers: ours stay below 2^53. */
function parserOf(oid: number, format?: 'text' | 'binary'): unknown {
  if (oid === oids.int8 || oid === oids.numeric) return Number
  if (oid === oids.bool) return (text: string) => (text === 't' ? 1 : 0)
  return format === 'binary' ? pg.types.getTypeParser(oid, format) : pg.types.getTypeParser(oid)
}

type Query = PostgresPoolClient['query']

/** The pool, with its errors in our words and second tries where they can do no harm. */
function steady(pool: pg.Pool, options: PoolOptions): PostgresPool {
  const connect = async (): Promise<pg.PoolClient> => {
    for (let tries = 1; ; tries++) {
      try {
        return await pool.connect()
      } catch (error) {
        if (!isAway(error) || tries >= options.statementTries) throw translated(error)
        await options.clock.sleep(options.statementIntervalMs)
      }
    }
  }
  return {
    connect: async () => new SteadyClient(await connect(), connect),
    async end() {
      await pool.end()
      await options.onEnd()
    },
  }
}

/** One connection, as Kysely holds it for a statement or for a transaction. */
class SteadyClient implements PostgresPoolClient {
  /** Cursors, the other form of Kysely's signature, are not used. */
  readonly query = ((sql: string, values: ReadonlyArray<unknown>) => {
    const run = () => this.#query(sql, values)
    return statementsDone.isHeard ? timedStatement('postgresql', run) : run()
  }) as unknown as Query
  #client: pg.PoolClient
  readonly #connect: () => Promise<pg.PoolClient>
  #broken = false
  #inTransaction = false

  constructor(client: pg.PoolClient, connect: () => Promise<pg.PoolClient>) {
    this.#client = client
    this.#connect = connect
    client.on('error', this.#onError)
  }

  async #query(sql: string, values: ReadonlyArray<unknown> = []): Promise<pg.QueryResult> {
    // What was lost may have been done: only what changes nothing, or was never sent, is asked again.
    const harmless = sql === 'begin' || (!this.#inTransaction && /^\s*select\b/i.test(sql))
    if (sql === 'begin') this.#inTransaction = true
    try {
      return await this.#client.query(sql, [...values])
    } catch (error) {
      if (endsConnection(error)) this.#broken = true
      const unsent = !this.#inTransaction && /not queryable/i.test(messageOf(error))
      if (!this.#broken || !(harmless || unsent)) throw translated(error)
      await this.#replace()
      return await this.#client.query(sql, [...values]).catch(second => {
        if (endsConnection(second)) this.#broken = true
        throw translated(second)
      })
    }
  }

  release(): void {
    this.#client.off('error', this.#onError)
    this.#client.release(this.#broken)
  }

  async #replace(): Promise<void> {
    const broken = this.#client
    broken.off('error', this.#onError)
    broken.release(true)
    this.#client = await this.#connect()
    this.#client.on('error', this.#onError)
    this.#broken = false
  }

  readonly #onError = () => {
    this.#broken = true
  }
}

/** Applies what is missing, each migration in a transaction of its own; of several processes one does it. */
async function migrate(address: PostgresAddress, options: PoolOptions): Promise<void> {
  const client = await reach(address, options)
  try {
    await client.query('SELECT pg_advisory_lock($1)', [migrationLock])
    await client.query(
      'CREATE TABLE IF NOT EXISTS migrations (name TEXT COLLATE "C" PRIMARY KEY, applied_at TEXT NOT NULL)',
    )
    const { rows } = await client.query<{ name: string }>('SELECT name FROM migrations')
    const applied = new Set(rows.map(row => row.name))
    for (const { name, sql } of migrationsFor('postgresql')) {
      if (!applied.has(name)) await apply(client, name, sql)
    }
  } catch (error) {
    throw refusal(error, address) ?? translated(error)
  } finally {
    await client.end().catch(() => {})
  }
}

async function apply(client: pg.Client, name: string, sql: string): Promise<void> {
  await client.query('BEGIN')
  try {
    // Creating indexes on a large table takes longer than a statement of daily work may.
    await client.query('SET LOCAL statement_timeout = 0')
    await client.query(sql)
    await client.query('INSERT INTO migrations VALUES ($1, $2)', [name, new Date().toISOString()])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw isAway(error) || (error as { code?: string }).code === '42501' ? error : failedMigration(name, error)
  }
}

/** The first connection: waits for a server that is still starting, and says plainly what else is wrong. */
async function reach(address: PostgresAddress, options: PoolOptions): Promise<pg.Client> {
  for (let tries = 1; ; tries++) {
    const client = postgresClient({ ...address, connectTimeoutS: address.connectTimeoutS ?? 10 })
    client.on('error', () => {}) // the statement that was under way fails, too
    try {
      await client.connect()
      return client
    } catch (error) {
      await client.end().catch(() => {})
      const refused = refusal(error, address)
      if (refused) throw refused
      const at = `${address.host}:${address.port}`
      const last = options.connectTries > 0 && tries >= options.connectTries
      if (last) {
        throw new DatabaseUnavailable(
          `Cannot reach PostgreSQL at ${at} after ${tries} tries: ${messageOf(error)}; is it running, and is ` +
            '[database] connection right?',
          { cause: error },
        )
      }
      options.log.warn({ at, reason: messageOf(error) }, 'cannot reach PostgreSQL; trying again')
      await options.clock.sleep(options.connectIntervalMs)
    }
  }
}

/** What no second try would mend, said without the password. */
function refusal(error: unknown, address: PostgresAddress): InvalidInput | undefined {
  const { host, port, user, database } = address
  const at = `PostgreSQL at ${host}:${port}`
  const { code } = (error ?? {}) as { code?: string }
  const because: Record<string, string> = {
    '28P01': `it refuses the password of user "${user}"`,
    '28000': `it lets user "${user}" not in from here (see its pg_hba.conf)`,
    '3D000': `it has no database "${database}"; create it: CREATE DATABASE "${database}" OWNER "${user}"`,
    '42501': `user "${user}" may not create tables in database "${database}"`,
  }
  const reason =
    because[code ?? ''] ?? (/SSL|certificate|self.signed/i.test(messageOf(error)) ? messageOf(error) : null)
  return reason === null
    ? undefined
    : new InvalidInput(`Cannot open the database of ${at}: ${reason}`, { cause: error })
}
