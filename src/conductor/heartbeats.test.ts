import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findAgent, issueToken } from '#db/agents.ts'
import { freshDatabase } from '#db/test-database.ts'
import type { Clock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { Heartbeats } from './heartbeats.ts'
import { addNode, eventually } from './test-engine.ts'

test('heartbeats are written together after a second, and only for the boot that they came from', async () => {
  const db = await freshDatabase()
  const [node, other] = [await addNode(db, 'clean wait'), await addNode(db, 'clean wait')]
  await issueToken(db, node, { token: 'now', address: '192.0.2.1' })
  await issueToken(db, other, { token: 'now', address: '192.0.2.2' })
  let nowMs = Date.parse('2026-01-01T00:00:00Z')
  const wakes: (() => void)[] = []
  const clock: Clock = {
    now: () => nowMs,
    sleep: (_, signal) =>
      new Promise((resolve, reject) => {
        wakes.push(resolve)
        signal?.addEventListener('abort', () => reject(signal.reason))
      }),
  }
  const heartbeats = new Heartbeats({ db, clock, log: silent })
  heartbeats.note(node, 'now')
  nowMs += 500
  heartbeats.note(node, 'now')
  heartbeats.note(other, 'of the boot before')
  assert.equal((await findAgent(db, node))?.heartbeats, 0)
  assert.equal(wakes.length, 1, 'one write for all')
  wakes.splice(0).forEach(wake => {
    wake()
  })
  await eventually('they are written', async () => (await findAgent(db, node))?.heartbeats === 2)
  assert.match((await findAgent(db, node))?.heartbeat_at ?? '', /^2026-01-01T00:00:00\.5/)
  assert.deepEqual([(await findAgent(db, other))?.heartbeats, (await findAgent(db, other))?.heartbeat_at], [0, null])

  heartbeats.note(other, 'now')
  await heartbeats.stop()
  assert.equal((await findAgent(db, other))?.heartbeats, 1, 'what is left is written at the end')
  await db.destroy()
})
