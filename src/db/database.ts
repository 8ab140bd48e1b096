/**
 * Opens the database and brings it up to date, whichever engine it is: sqlite.ts or postgres.ts. Queries are written
 * once, with Kysely, and never name the engine. Knows no table: those are the files beside it.
 */
import { Kysely, type Transaction } from 'kysely'
import { openSqlite } from './sqlite.ts'
import type { Tables } from './tables.ts'

export type Db = Kysely<Tables>
/** A connection inside a transaction; what takes it does not commit by itself. */
export type Trx = Transaction<Tables>

/** Opens (and creates) the SQLite file at `path`, or a database in memory for `:memory:`, and applies what is missing. */
export async function openDatabase(path: string): Promise<Db> {
  return new Kysely<Tables>({ dialect: openSqlite(path) })
}
