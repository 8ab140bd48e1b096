/** Whether the database is there and as this version of the service needs it. */
import { sql } from 'kysely'
import type { Db } from './database.ts'
import { migrationNames } from './migrations.ts'

/** Migrations that this version has and the database lacks: somebody put back an older copy under a running service. */
export async function migrationsMissing(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`SELECT name FROM migrations`.execute(db)
  const applied = new Set(rows.map(({ name }) => name))
  return migrationNames().filter(name => !applied.has(name))
}
