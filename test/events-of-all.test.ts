/** Two processes on one PostgreSQL: what happens in one is told by the other, soon, and nothing is missed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { type Db, openDatabase } from '../src/db/database.ts'
import { appendEvent } from '../src/db/events.ts'
import type { SimMachine } from '../src/sim/machine.ts'
import { brisk } from '../src/sim/settings.ts'
import { openCluster } from './cluster.ts'

interface Heard {
  id: number
  at: string
  kind: string
  data: Record<string, unknown>
  /** When it came, in milliseconds since 1970. */
  cameMs: number
}

/** Follows one process by a WebSocket, after an event or from now on. */
async function follow(endpoint: string, after?: number) {
  const query = after === undefined ? '' : `?after=${after}`
  const socket = new WebSocket(`${endpoint.replace('http', 'ws')}/v1/events${query}`)
  const heard: Heard[] = []
  socket.on('message', text => heard.push({ ...JSON.parse(String(text)), cameMs: Date.now() }))
  await once(socket, 'open')
  return {
    heard,
    async until(what: string, done: (heard: readonly Heard[]) => boolean) {
      for (const end = performance.now() + 60_000; !done(heard); ) {
        assert.ok(performance.now() < end, `never heard: ${what}`)
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    },
    close: () => socket.close(),
  }
}

const told = (heard: readonly Heard[]) => heard.filter(({ kind }) => kind === 'action')

test('each process tells the events of all, and who was away misses none', async () => {
  await using cluster = await openCluster({ processes: 2, nodes: 1, settings: brisk })
  const [here, there] = cluster.site.processes.map(one => one.endpoint)
  assert.ok(here && there)
  const uuid = await cluster.site.enrol(cluster.machines[0] as SimMachine) // one was asked for
  const change = async (count: number) => {
    for (let number = 0; number < count; number++) {
      const method = number % 2 === 0 ? 'PUT' : 'DELETE'
      const answer = await fetch(`${here}/v1/nodes/${uuid}/maintenance`, { method })
      assert.equal(answer.status, 202)
    }
  }
  const follower = await follow(there)
  await change(30)
  await follower.until('30 changes', heard => told(heard).length >= 30)
  const tookMs = told(follower.heard)
    .map(({ at, cameMs }) => cameMs - Date.parse(at))
    .sort((a, b) => a - b)
  // The median: the machine that runs the tests has other things to do as well.
  assert.ok((tookMs[15] ?? 0) < 200, `from one process to the other it took ${tookMs} ms`)
  if (process.env.FERRITE_TELL) console.log(tookMs)

  // Away while much happens, some of it taken back: numbers are missing then.
  const last = follower.heard.at(-1)?.id ?? 0
  follower.close()
  const db = await openDatabase(cluster.site.database)
  await takenBack(db)
  await change(20)
  await takenBack(db)
  await change(20)
  const again = await follow(there, last)
  await again.until('what was missed', heard => told(heard).length >= 40)
  const ids = again.heard.map(({ id }) => id)
  assert.deepEqual(
    ids,
    [...new Set(ids)].sort((a, b) => a - b),
  )
  assert.equal(told(again.heard).length, 40)

  // A number that never comes holds up what follows for no longer than its transaction.
  await takenBack(db)
  await change(2)
  await again.until('what came after a hole', heard => told(heard).length >= 42)
  const behindMs = told(again.heard)
    .slice(40)
    .map(({ at, cameMs }) => cameMs - Date.parse(at))
  assert.ok(Math.min(...behindMs) < 4000, `behind a hole it took ${behindMs} ms`)
  if (process.env.FERRITE_TELL) console.log(behindMs)
  again.close()
  await db.destroy()
})

/** Takes a number, and gives it back: nobody will ever have it. */
async function takenBack(db: Db): Promise<void> {
  const undone = db.transaction().execute(async trx => {
    await appendEvent(trx, { nowMs: Date.now(), kind: 'never' })
    throw new Error('taken back')
  })
  await assert.rejects(undone, /taken back/)
}
