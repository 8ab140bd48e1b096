/**
 * Opens the database and brings it up to date, whichever engine it is: sqlite.ts or postgres.ts. Queries are written
 * once, with Kysely, and never name the engine. Knows no table: those are the files beside it.
 */
import { Kysely, type Transaction } from 'kysely'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { readConnection } from './connection.ts'
import { isCollision } from './faults.ts'
import { openPostgres, type PoolOptions } from './postgres.ts'
import { openSqlite } from './sqlite.ts'
import type { Tables } from './tables.ts'

export type Db = Kysely<Tables>
/** A connection inside a transaction; what takes it does not commit by itself. */
export type Trx = Transaction<Tables>

const usual: PoolOptions = {
  minConnections: 0,
  maxConnections: 10,
  acquireTimeoutMs: 30_000,
  recycleS: 3600,
  connectTries: 1,
  connectIntervalMs: 1000,
  statementTries: 3,
  statementIntervalMs: 200,
  onEnd: async () => {},
  clock: systemClock,
  log: silent,
}

/**
 * Opens the database at a URL (see connection.ts), or at the path of a SQLite file, and applies the migrations that it
 * lacks. `pool` concerns PostgreSQL alone.
 * @throws InvalidInput, DatabaseUnavailable
 */
export async function openDatabase(connection: string, pool: Partial<PoolOptions> = {}): Promise<Db> {
  const target = readConnection(connection)
  const dialect =
    target.engine === 'sqlite' ? openSqlite(target.path) : await openPostgres(target, { ...usual, ...pool })
  return new Kysely<Tables>({ dialect })
}

/** How often a transaction that collided with another is done again. */
const collisionTries = 10

/**
 * Does `work` in one transaction; in the one that is under way, where `db` is that. When two transactions got into each
 * other's way it is done again from the top, so it must do nothing but talk to the database.
 */
export async function inTransaction<T>(db: Db | Trx, work: (trx: Trx) => Promise<T>): Promise<T> {
  if (db.isTransaction) return work(db as Trx) // what isTransaction says
  for (let tries = 1; ; tries++) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      if (!isCollision(error) || tries >= collisionTries) throw error
      await systemClock.sleep(Math.random() * 20 * tries)
    }
  }
}
