import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { type CompiledQuery, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, sql } from 'kysely'
import { SqliteDriver } from './sqlite-driver.ts'

const folder = mkdtempSync(join(tmpdir(), 'ferrite-sqlite-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** A file with a table of texts, and the statements of the engine that ran on it. */
function open() {
  const file = join(folder, `${files++}.sqlite`)
  const sqlite = new DatabaseSync(file)
  sqlite.exec('PRAGMA journal_mode = WAL; CREATE TABLE words (word TEXT PRIMARY KEY)')
  const ran: string[] = []
  const exec = sqlite.exec.bind(sqlite)
  sqlite.exec = text => {
    ran.push(text)
    exec(text)
  }
  const db = new Kysely<{ words: { word: string } }>({
    dialect: {
      createDriver: () => new SqliteDriver(sqlite, { shared: true }),
      createAdapter: () => new SqliteAdapter(),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createIntrospector: each => new SqliteIntrospector(each),
    },
  })
  const other = new DatabaseSync(file)
  const stored = () =>
    other
      .prepare('SELECT word FROM words ORDER BY word')
      .all()
      .map(row => row.word)
  const add = (word: string) => db.insertInto('words').values({ word }).execute()
  return { db, sqlite, ran, stored, add }
}

test('what is written in one turn is one commit, and nobody is told before it', async () => {
  const { db, ran, stored, add } = open()
  const told: string[] = []
  const writes = ['a', 'b', 'c'].map(word => add(word).then(() => told.push(word)))
  const inTransaction = db.transaction().execute(async trx => {
    await trx.insertInto('words').values({ word: 'd' }).execute()
    await trx.insertInto('words').values({ word: 'e' }).execute()
  })
  const read = db
    .selectFrom('words')
    .selectAll()
    .execute()
    .then(rows => {
      assert.ok(stored().length >= rows.length, 'no reader saw what others could not see yet')
    })
  for (let i = 0; i < 200; i++) await null
  assert.deepEqual([told, stored()], [[], []])
  await Promise.all([...writes, inTransaction, read])
  assert.deepEqual(stored(), ['a', 'b', 'c', 'd', 'e'])
  assert.equal(ran.filter(text => text === 'COMMIT').length, 1)
  await db.destroy()
})

test('a transaction that fails takes back its own writes and no others', async () => {
  const { db, stored, add } = open()
  await add('taken')
  const failing = db.transaction().execute(async trx => {
    await trx.insertInto('words').values({ word: 'mine' }).execute()
    await trx.insertInto('words').values({ word: 'taken' }).execute()
  })
  const results = await Promise.allSettled([add('before'), failing, add('after'), add('taken')])
  assert.deepEqual(
    results.map(result => result.status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
  )
  assert.deepEqual(stored(), ['after', 'before', 'taken'])
  await db.destroy()
})

test('a transaction that lasts for turns keeps others waiting, and apart', async () => {
  const { db, stored, add } = open()
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  const long = db.transaction().execute(async trx => {
    await trx.insertInto('words').values({ word: 'long' }).execute()
    await goOn
    await trx.insertInto('words').values({ word: 'longer' }).execute()
  })
  const second = db.transaction().execute(trx => trx.insertInto('words').values({ word: 'second' }).execute())
  const [third, read] = [add('third'), db.selectFrom('words').selectAll().execute()]
  await new Promise(done => setTimeout(done, 20))
  assert.deepEqual(stored(), [])
  resolve()
  const [rows] = await Promise.all([read, long, second, third])
  assert.ok(rows.some(({ word }) => word === 'longer'))
  assert.deepEqual(stored(), ['long', 'longer', 'second', 'third'])
  await db.destroy()
})

test('a commit that fails is told to everybody who wrote in its turn, and the next turn is a new one', async () => {
  const { db, sqlite, stored, add } = open()
  const { exec } = sqlite
  sqlite.exec = text => {
    if (text === 'COMMIT') throw new Error('disk full')
    exec(text)
  }
  const transaction = db.transaction().execute(trx => trx.insertInto('words').values({ word: 'x' }).execute())
  const results = await Promise.allSettled([add('a'), transaction, add('b')])
  assert.deepEqual(
    results.map(result => result.status === 'rejected' && String(result.reason)),
    Array(3).fill('Error: disk full'),
  )
  sqlite.exec = exec
  await add('c')
  assert.deepEqual(stored(), ['c'])
  await db.destroy()
})

test('closing waits for what was written', async () => {
  const { db, stored, add } = open()
  const write = add('last')
  for (let i = 0; i < 50; i++) await null // it has reached the engine, and this turn is not over
  await db.destroy()
  await write
  assert.deepEqual(stored(), ['last'])
})

test('raw statements and rows that are returned work as with any driver', async () => {
  const { db, add } = open()
  await add('a')
  const raw: CompiledQuery = sql`update words set word = ${'b'}`.compile(db)
  assert.equal((await db.executeQuery(raw)).numAffectedRows, 1n)
  const row = await db.updateTable('words').set({ word: 'c' }).returning('word').executeTakeFirst()
  assert.equal(row?.word, 'c')
  await db.destroy()
})

test('statements with many values are compiled each time, so that lists of every length fill no memory', async () => {
  const { db, sqlite, add } = open()
  await add('w1')
  const compiled: string[] = []
  const prepare = sqlite.prepare.bind(sqlite)
  sqlite.prepare = text => {
    compiled.push(text)
    return prepare(text)
  }
  const find = (count: number) => {
    const words = Array.from({ length: count }, (_, index) => `w${index}`)
    return db.selectFrom('words').selectAll().where('word', 'in', words).execute()
  }
  for (const [count, times] of [
    [200, 1],
    [201, 2],
    [20_000, 2],
  ] as const) {
    compiled.length = 0
    for (let i = 0; i < 2; i += 1) assert.deepEqual(await find(count), [{ word: 'w1' }])
    assert.equal(compiled.length, times, `${count} values`)
  }
  await db.destroy()
})
