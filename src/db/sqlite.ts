/**
 * SQLite through Node's own driver, in WAL mode: one file, one process, one connection. Applies the migrations and
 * answers what Kysely's dialect asks of a driver. Knows no table.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { type Dialect, SqliteDialect } from 'kysely'
import { failedMigration, migrationsFor } from './migrations.ts'

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
  return new SqliteDialect({ database: adapter(sqlite) })
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
