/** What is written moves into the file without the working connection, which goes on meanwhile. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from './database.ts'
import { appendEvent } from './events.ts'

test('a long log moves into the file by itself, and what was written is there again after a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ferrite-checkpoints-'))
  const file = join(folder, 'ferrite.sqlite')
  const db = await openDatabase(file)
  const emptyBytes = statSync(file).size
  const write = async (count: number) => {
    for (let left = count; left > 0; left--) {
      await appendEvent(db, { nowMs: 0, kind: 'filling', data: { text: 'x'.repeat(50_000) } })
    }
  }
  await write(850)
  const moved = () => statSync(file).size - emptyBytes
  for (const end = performance.now() + 60_000; moved() < 30_000_000; await sleep(50)) {
    assert.ok(performance.now() < end, `only ${moved()} bytes were moved`)
  }
  await write(10)
  await db.destroy()
  const again = await openDatabase(file)
  const rows = await again.selectFrom('events').select('id').where('kind', '=', 'filling').execute()
  assert.equal(rows.length, 860)
  await again.destroy()
  rmSync(folder, { recursive: true })
})
