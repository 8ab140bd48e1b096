import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chassisTable } from './chassis.ts'
import type { Db } from './database.ts'
import { readable } from './json-columns.ts'
import { freshDatabase } from './test-database.ts'

const texts = [
  'plain',
  '',
  'a "quoted" word and a \\ backslash',
  "an 'apostrophe' and a ? and $1",
  'line\nfeed, tab\t, bell\u0007, delete\u007f, escape\u001b',
  'ünïcødé, 漢字, \u{1f600}, \u2028 and \ufeff',
]

let db: Db
before(async () => {
  db = await freshDatabase()
})
after(() => db.destroy())

test('a text is printed as JSON that reads back as the text', async () => {
  const part = { before: '{"d":', column: 'description', kind: 'text' } as const
  for (const [index, description] of texts.entries()) {
    const uuid = `00000000-0000-4000-8000-00000000000${index}`
    await chassisTable.insert(db, { uuid, description, extra: {}, created_at: 'now' })
    const columns = readable(db, 'chassis', [{ as: 'printed', parts: [part] }])
    const row = await db.selectFrom('chassis').select(columns).where('uuid', '=', uuid).executeTakeFirstOrThrow()
    assert.deepEqual(JSON.parse(`${row.printed}}`), { d: description })
  }
})

test('each kind of column is printed as its field says, and nothing as null', async () => {
  await db
    .insertInto('conductors')
    .values({
      hostname: 'h',
      conductor_group: 'old',
      created_at: '{"a":1}',
      updated_at: '',
      updated_at_ms: 12,
      online: 1,
    })
    .execute()
  const print = async (
    kind: 'text' | 'int' | 'flag' | 'json',
    column: string,
    instead?: ReadonlyMap<string, string>,
  ) => {
    const parts = [{ before: '', column, kind, ...(instead ? { instead } : {}) }]
    const row = await db
      .selectFrom('conductors')
      .leftJoin('agents', 'agents.node_uuid', 'conductors.hostname')
      .select(readable(db, column.startsWith('token') ? 'agents' : 'conductors', [{ as: 'printed', parts }]))
      .executeTakeFirstOrThrow()
    return row.printed
  }
  assert.equal(await print('int', 'updated_at_ms'), '12')
  assert.equal(await print('flag', 'online'), 'true')
  assert.equal(await print('json', 'created_at'), '{"a":1}')
  assert.equal(await print('text', 'conductor_group', new Map([['old', '"new"']])), '"new"')
  assert.equal(await print('text', 'hostname', new Map([['old', 'null']])), '"h"')
  // The table that was joined has no row.
  for (const kind of ['text', 'json'] as const) assert.equal(await print(kind, 'token'), 'null')
  for (const kind of ['int', 'flag'] as const) assert.equal(await print(kind, 'token_pregenerated'), 'null')
})
