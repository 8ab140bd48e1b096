import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { allocationFields } from '#protocol/allocation.ts'
import { biosFields, firmwareFields } from '#protocol/firmware.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import { openDatabase } from './database.ts'
import { engineText, migrationsFor } from './migrations.ts'

const schema = engineText(readFileSync(join(import.meta.dirname, 'schema.sql'), 'utf8'), 'sqlite')

/** Every statement that made the schema, blanks folded. */
function shapeOf(sql: string): string[] {
  const sqlite = new DatabaseSync(':memory:')
  sqlite.exec(sql)
  const rows = sqlite.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'").all()
  sqlite.close()
  const bare = (text: string) => text.replace(/\s+/g, ' ').replace(/ ?([(),]) ?/g, '$1')
  return rows.map(row => bare(String(row.sql))).sort()
}

test('schema.sql is what the migrations leave', () => {
  const migrations = migrationsFor('sqlite').map(migration => migration.sql)
  assert.deepEqual(shapeOf(schema), shapeOf(migrations.join('\n')))
})

test('every stored field of the API has its column', async () => {
  const sqlite = new DatabaseSync(':memory:')
  sqlite.exec(schema)
  const columnsOf = (table: string) =>
    sqlite
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .map(row => String(row.name))
  for (const [table, fields] of [
    ['nodes', nodeFields],
    ['ports', portFields],
    ['allocations', allocationFields],
    ['bios_settings', biosFields],
    ['firmware_components', firmwareFields],
  ] as const) {
    const columns = columnsOf(table)
    const stored = Object.entries(fields)
      .filter(([, field]) => 'column' in field)
      .map(([name]) => name)
    assert.deepEqual(
      stored.filter(name => !columns.includes(name)),
      [],
      table,
    )
  }
  sqlite.close()
})

test('opening twice applies no migration twice', async () => {
  const db = await openDatabase(':memory:')
  const rows = await db.selectFrom('nodes').selectAll().execute()
  assert.deepEqual(rows, [])
  await db.destroy()
})
