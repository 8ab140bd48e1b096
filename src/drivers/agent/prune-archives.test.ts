import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pruneArchives } from './prune-archives.ts'

const scratch = await mkdtemp(join(tmpdir(), 'ferrite-archives-'))
after(() => rm(scratch, { recursive: true }))

const nameOf = (day: number) => `1be26c0b-03f2-4d2e-ae87-c02d7f33c781_node-1_cleaning_2026-01-0${day}-10-00-00.tar.gz`

/** Archives of the days 1 to 4, of 100 bytes each, and a file of somebody else's. */
async function directory(name: string): Promise<string> {
  const path = await mkdtemp(join(scratch, name))
  for (const day of [1, 2, 3, 4]) {
    await writeFile(join(path, nameOf(day)), 'x'.repeat(100))
    await utimes(join(path, nameOf(day)), dayMs(day) / 1000, dayMs(day) / 1000)
  }
  await writeFile(join(path, 'backup.tar.gz'), 'mine')
  await utimes(join(path, 'backup.tar.gz'), 0, 0)
  return path
}

const dayMs = (day: number) => Date.UTC(2026, 0, day)
const left = async (path: string) => (await readdir(path)).sort()
const all = (...days: number[]) => [...days.map(nameOf), 'backup.tar.gz']

test('what is too old goes, and nothing else', async () => {
  const path = await directory('age')
  assert.equal(await pruneArchives(path, { beforeMs: dayMs(3), sizeBytes: null }), 2)
  assert.deepEqual(await left(path), all(3, 4))
})

test('the oldest go until the rest is small enough', async () => {
  const path = await directory('size')
  assert.equal(await pruneArchives(path, { beforeMs: null, sizeBytes: 250 }), 2)
  assert.deepEqual(await left(path), all(3, 4))
  assert.equal(await pruneArchives(path, { beforeMs: null, sizeBytes: 10 }), 1, 'the newest stays')
  assert.deepEqual(await left(path), all(4))
})

test('no limits, no directory: nothing happens', async () => {
  const path = await directory('none')
  assert.equal(await pruneArchives(path, { beforeMs: null, sizeBytes: null }), 0)
  assert.deepEqual(await left(path), all(1, 2, 3, 4))
  assert.equal(await pruneArchives(join(path, 'nothing'), { beforeMs: 0, sizeBytes: 0 }), 0)
})
