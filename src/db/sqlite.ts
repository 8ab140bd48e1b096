/**
 * SQLite through Node's own driver, in WAL mode: one file, one process, one connection. Applies the migrations;
 * statements go through sqlite-driver.ts. Knows no table.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Dialect, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import { keepLogShort, lastResortPages } from './checkpoints.ts'
import { failedMigration, migrationsFor } from './migrations.ts'
import { SqliteDriver } from './sqlite-driver.ts'

/** Opens (and creates) the file at `path`, or a database in memory for `:memory:`, and brings it up to date. */
export function openSqlite(path: string): Dialect {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
  const sqlite = new DatabaseSync(path)
  // NORMAL: a killed process loses nothing; a power cut may lose the last instants, never the file's soundness, and
  // the flows ask the outside before they act again.
  sqlite.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000',
  )
  migrate(sqlite)
  if (path === ':memory:') return dialectOver(() => new SqliteDriver(sqlite, { shared: false }))
  sqlite.exec(`PRAGMA wal_autocheckpoint = ${lastResortPages}`)
  const log = keepLogShort(sqlite, path)
  return dialectOver(() => new SqliteDriver(sqlite, { shared: true, onClose: log.close }))
}

function dialectOver(createDriver: () => SqliteDriver): Dialect {
  return {
    createDriver,
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: db => new SqliteIntrospector(db),
  }
}

/** Applies what is missing, each migration in a transaction of its own. */
function migrate(sqlite: DatabaseSync): void {
  sqlite.exec('CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)')
  const rows = sqlite.prepare('SELECT name FROM migrations').all()
  const applied = new Set(rows.map(row => row.name))
  for (const { name, sql } of migrationsFor('sqlite')) {
    if (applied.has(name)) continue
    sqlite.exec('BEGIN IMMEDIATE')
    try {
      sqlite.exec(sql)
      sqlite.prepare('INSERT INTO migrations VALUES (?, ?)').run(name, new Date().toISOString())
      sqlite.exec('COMMIT')
    } catch (error) {
      sqlite.exec('ROLLBACK')
      throw failedMigration(name, error)
    }
  }
}
