/** What a conductor says of its clock; how it lives with others is tested with processes (test/many-conductors.test.ts). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChannel } from '#db/channel.ts'
import { openDatabase } from '#db/database.ts'
import { freshPostgres } from '#db/test-database.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { Membership } from './membership.ts'

/** Lets a conductor live whose clock is so far ahead; what it says of that. */
async function saidOfClock(aheadMs: number): Promise<string[]> {
  const { url, drop } = await freshPostgres()
  const db = await openDatabase(url, { maxConnections: 2 })
  const channel = await openChannel(url, { process: 'host-1', clock: systemClock, log: silent })
  assert.ok(channel)
  const said: string[] = []
  const { promise: compared, resolve } = Promise.withResolvers<void>()
  const clock = { now: () => Date.now() + aheadMs, sleep: systemClock.sleep }
  const membership = new Membership({
    db,
    clock,
    log: { ...silent, warn: (_, message) => void said.push(message ?? '') },
    hostname: 'host-1',
    group: '',
    interfaces: [],
    channel: {
      ...channel,
      async serverNowMs() {
        const ms = await channel.serverNowMs?.()
        setTimeout(resolve)
        return ms
      },
    },
    intervalMs: () => 100,
    timeoutMs: () => 60_000,
    onWork: async () => {},
    onWake() {},
    onInterrupt() {},
    onTaken() {},
    onFenced() {},
  })
  await membership.join()
  membership.watch()
  await compared
  await membership.leave()
  await channel.close()
  await db.destroy()
  await drop()
  return said
}

test('a conductor whose clock is not that of the database says so', async () => {
  assert.deepEqual(await saidOfClock(0), [])
  assert.match((await saidOfClock(-60_000)).join(), /^this host's clock is 60 s behind the database server's; /)
  assert.match((await saidOfClock(60_000)).join(), /^this host's clock is 60 s ahead of the database server's; /)
})
