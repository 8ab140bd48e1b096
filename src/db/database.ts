/**
 * Opens the database and brings it up to date. SQLite in WAL mode through Node's own driver; queries are written once,
 * with Kysely, and never name the engine. Knows no table: those are the files beside it.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { Kysely, SqliteDialect, type Transaction } from 'kysely'
import type { Tables } from './tables.ts'

export type Db = Kysely<Tables>
/** A connection inside a transaction; what takes it does not commit by itself. */
export type Trx = Transaction<Tables>

const folder = join(import.meta.dirname, 'migrations')

/**
 * Opens (and creates) the SQLite file at `path`, or a database in memory for `:memory:`, and applies what migrations
 * are missing, each in a transaction of its own.
 */
export async function openDatabase(path: string): Promise<Db> {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
  const sqlite = new DatabaseSync(path)
  // NORMAL: a killed process loses nothing; a power cut may lose the last instants, never the file's soundness, and
  // the flows ask the outside before they act again.
  sqlite.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000',
  )
  migrate(sqlite)
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: adapter(sqlite) }) })
}

/** The text of a migration for SQLite. */
export function sqliteText(sql: string): string {
  return sql.replaceAll('@identity', 'INTEGER PRIMARY KEY AUTOINCREMENT')
}

function migrate(sqlite: DatabaseSync): void {
  sqlite.exec('CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)')
  const applied = new Set(
    sqlite
      .prepare('SELECT name FROM migrations')
      .all()
      .map(row => row.name),
  )
  for (const name of readdirSync(folder).sort()) {
    if (applied.has(name)) continue
    sqlite.exec('BEGIN IMMEDIATE')
    try {
      sqlite.exec(sqliteText(readFileSync(join(folder, name), 'utf8')))
      sqlite.prepare('INSERT INTO migrations VALUES (?, ?)').run(name, new Date().toISOString())
      sqlite.exec('COMMIT')
    } catch (error) {
      sqlite.exec('ROLLBACK')
      throw new Error(`Could not apply the database migration ${name}`, { cause: error })
    }
  }
}

/** What Kysely's SQLite dialect asks of a driver, answered by node:sqlite; statements are compiled once per text. */
function adapter(sqlite: DatabaseSync) {
  const compiled = new Map<string, { statement: StatementSync; reader: boolean }>()
  const limit = 500
  return {
    close: () => sqlite.close(),
    prepare(sql: string) {
      let entry = compiled.get(sql)
      if (!entry) {
        const statement = sqlite.prepare(sql)
        entry = { statement, reader: statement.columns().length > 0 }
        if (compiled.size >= limit) compiled.delete(compiled.keys().next().value ?? '')
        compiled.set(sql, entry)
      }
      const { statement, reader } = entry
      return {
        reader,
        all: (values: readonly unknown[]) => statement.all(...(values as SQLInputValue[])), // Kysely passes bindable values
        run: (values: readonly unknown[]) => statement.run(...(values as SQLInputValue[])),
        iterate: (values: readonly unknown[]) => statement.iterate(...(values as SQLInputValue[])),
      }
    },
  }
}
