import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '#config/load.ts'
import { openDatabase } from '#db/database.ts'
import { insertTakeover } from '#db/takeover.ts'
import { run } from '#lib/run.ts'
import { backup, restore } from './backup.ts'
import { startBusyWriter } from './busy-writer.ts'

let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ferrite-backup-'))
})
after(() => rm(directory, { recursive: true, force: true }))

const place = (name: string) => {
  const state = join(directory, name)
  const connection = `sqlite:///${join(state, 'ferrite.sqlite')}`
  return loadConfig({ overrides: { DEFAULT: { state_path: state }, database: { connection } } })
}

async function addNode(db: Awaited<ReturnType<typeof openDatabase>>, number: number): Promise<void> {
  const uuid = `0d3a4c1e-6f2b-4a53-9a35-${String(number).padStart(12, '0')}`
  const node = {
    uuid,
    name: `n${number}`,
    driver: 'fake-hardware',
    provision_state: 'active',
    created_at: '2024-01-01T00:00:00+00:00',
  }
  await insertTakeover(db, { node }, { nowMs: 0, by: {} })
}

const how = (name: string) => ({ file: join(directory, name), configFiles: [], now: new Date(0), version: '0.1.0' })
const namesIn = async (connection: string) => {
  const db = await openDatabase(connection)
  const rows = await db.selectFrom('nodes').select('name').orderBy('id').execute()
  await db.destroy()
  return rows.map(row => row.name)
}

test('a database that is written to is copied whole, restored elsewhere, and read by nobody else', async () => {
  const [from, to] = [await place('from'), await place('to')]
  await mkdir(join(from.DEFAULT.state_path, 'certificates'), { recursive: true })
  await writeFile(join(from.DEFAULT.state_path, 'certificates', 'agent.pem'), 'key')
  await writeFile(join(from.DEFAULT.state_path, 'cache'), 'not kept')
  await using db = Object.assign(await openDatabase(from.database.connection), {
    async [Symbol.asyncDispose]() {
      await db.destroy()
    },
  })
  for (let number = 0; number < 50; number++) await addNode(db, number)
  let stop = false
  const writing = (async () => {
    for (let number = 50; !stop; number++) await addNode(db, number)
  })()
  await backup(from, { ...how('one.tar'), configFiles: [join(from.DEFAULT.state_path, 'cache')] })
  stop = true
  await writing
  assert.equal((await stat(join(directory, 'one.tar'))).mode & 0o777, 0o600)
  await assert.rejects(backup(from, how('one.tar')), /it is there already/)

  await restore(to, { file: join(directory, 'one.tar'), force: false })
  const names = await namesIn(to.database.connection)
  assert.deepEqual(
    names,
    names.map((_, at) => `n${at}`),
    'as it was at one instant',
  )
  assert.ok(names.length >= 50)
  assert.equal(await readFile(join(to.DEFAULT.state_path, 'certificates', 'agent.pem'), 'utf8'), 'key')
  await assert.rejects(stat(join(to.DEFAULT.state_path, 'cache')))

  await assert.rejects(restore(to, { file: join(directory, 'one.tar'), force: false }), /expected nothing, or --force/)
  await restore(to, { file: join(directory, 'one.tar'), force: true })
  assert.equal(
    (await namesIn(`sqlite:///${join(to.DEFAULT.state_path, 'ferrite.sqlite')}.before-restore`)).length,
    names.length,
  )
  await assert.rejects(
    restore(from, { file: join(directory, 'one.tar'), force: true }),
    /expected that the service is stopped/,
  )
})

test('a backup beside somebody who writes all the time ends, is of one instant, and keeps nobody from writing', async () => {
  const [from, to] = [await place('busy'), await place('busy-copy')]
  await mkdir(from.DEFAULT.state_path, { recursive: true })
  await (await openDatabase(from.database.connection)).destroy()
  const path = join(from.DEFAULT.state_path, 'ferrite.sqlite')
  const database = new DatabaseSync(path)
  // More than is copied in one step, between what is written first and last.
  const numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)'
  database.exec(`CREATE TABLE much AS ${numbers} SELECT randomblob(4000) AS bytes FROM n`)
  database.close()
  await using writer = await startBusyWriter(path, { forMs: 30_000 })
  const before = writer.commits()
  await backup(from, how('busy.tar'))
  const after = writer.commits()
  assert.ok(after > before, 'it was written to meanwhile')
  for (const endMs = performance.now() + 60_000; writer.commits() === after; await sleep(5)) {
    assert.ok(performance.now() < endMs, 'it ended only when nobody wrote any more')
  }

  await restore(to, { file: join(directory, 'busy.tar'), force: false })
  const copy = new DatabaseSync(join(to.DEFAULT.state_path, 'ferrite.sqlite'))
  const { first, last, much } = copy
    .prepare('SELECT (SELECT value FROM first) first, (SELECT value FROM last) last, (SELECT count(*) FROM much) much')
    .get() as Record<string, number> // one row of three numbers
  const check = copy.prepare('PRAGMA integrity_check').get()?.integrity_check
  copy.close()
  assert.deepEqual([first, much, check], [last, 12_000, 'ok'])
})

test('what is in the way of a restore is told before anything is changed', async () => {
  const [from, to] = [await place('from3'), await place('to3')]
  const key = (config: typeof to) => join(config.DEFAULT.state_path, 'certificates', 'agent.pem')
  for (const config of [from, to]) {
    await mkdir(dirname(key(config)), { recursive: true })
    await writeFile(key(config), config === from ? 'kept' : 'its own')
  }
  await (await openDatabase(from.database.connection)).destroy()
  await backup(from, how('three.tar'))
  const file = join(directory, 'three.tar')
  for (const _ of ['the first time', 'the second time']) {
    await assert.rejects(restore(to, { file, force: false }), /certificates: it is there already/)
    await assert.rejects(stat(join(to.DEFAULT.state_path, 'ferrite.sqlite')), { code: 'ENOENT' })
  }
  await rm(dirname(key(to)), { recursive: true })
  await restore(to, { file, force: false })
  assert.equal(await readFile(key(to), 'utf8'), 'kept')
})

test('an archive that is none, or was changed, changes nothing', async () => {
  const [from, to] = [await place('from2'), await place('to2')]
  await mkdir(from.DEFAULT.state_path, { recursive: true })
  const db = await openDatabase(from.database.connection)
  await addNode(db, 1)
  await db.destroy()
  await backup(from, how('two.tar'))
  const folder = await mkdtemp(join(directory, 'changed-'))
  await run('tar', ['-xf', join(directory, 'two.tar'), '-C', folder])
  await writeFile(join(folder, 'database.sqlite'), 'something else')
  await run('tar', ['-cf', join(directory, 'changed.tar'), '-C', folder, '.'])
  await writeFile(join(folder, 'manifest.json'), '{}')
  await run('tar', ['-cf', join(directory, 'none.tar'), '-C', folder, '.'])
  const wrong: [string, RegExp][] = [
    ['changed.tar', /database\.sqlite in it is not as it was written/],
    ['none.tar', /no backup of Ferrite of format 1/],
  ]
  for (const [name, message] of wrong)
    await assert.rejects(restore(to, { file: join(directory, name), force: true }), message)
  await assert.rejects(restore(to, { file: '/nonexistent.tar', force: true }), /tar/)
  await assert.rejects(stat(join(to.DEFAULT.state_path, 'ferrite.sqlite')))
})
