/** A conductor that stood still finds out by its own clock that others may have its nodes, before it asks anybody. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freshDatabase } from '#db/test-database.ts'
import { silent } from '#lib/log.ts'
import { Membership } from './membership.ts'

test('after too long without a sign of life all work is let go, once', async () => {
  const db = await freshDatabase()
  let nowMs = Date.UTC(2026, 0, 1)
  let fenced = 0
  const membership = new Membership({
    db,
    clock: { now: () => nowMs, sleep: () => new Promise(() => {}) },
    log: silent,
    hostname: 'host-1',
    group: '',
    interfaces: [],
    intervalMs: () => 2_000,
    timeoutMs: () => 10_000,
    onWork: async () => {},
    onWake() {},
    onInterrupt() {},
    onTaken() {},
    onFenced: () => {
      fenced += 1
    },
  })
  await membership.join()
  nowMs += 9_999
  membership.fenceIfSilent()
  assert.equal(fenced, 0, 'others wait that long')
  nowMs += 1
  membership.fenceIfSilent()
  membership.fenceIfSilent()
  assert.equal(fenced, 1)
  await db.destroy()
})
