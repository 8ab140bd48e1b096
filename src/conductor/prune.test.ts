import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '#config/load.ts'
import { openDatabase } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import { insertFlow, putStep, updateFlow } from '#db/flows.ts'
import { pruneEvents } from '#db/pruning.ts'
import { silent } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { prune, pruneHistories } from './prune.ts'
import { addNode } from './test-engine.ts'

const dayMs = 86_400_000
const nowMs = Date.UTC(2030, 0, 31)
const clock = { now: () => nowMs, sleep: async () => {} }
const never = new AbortController().signal

async function world(days: number) {
  const db = await openDatabase(':memory:')
  const config = await loadConfig({ overrides: { ferrite: { keep_events_days: days } } })
  const uuid = await addNode(db, 'available')
  const flow = async (startedDaysAgo: number, endedDaysAgo: number | null) => {
    const startedMs = nowMs - startedDaysAgo * dayMs
    const id = await insertFlow(db, {
      node_uuid: uuid,
      kind: 'clean',
      args: {},
      requested_by: null,
      requested_project: null,
      request_id: null,
      conductor: 'host-1',
      lease_token: 1,
      nowMs: startedMs,
    })
    const at = timestamp(startedMs)
    const step = {
      name: 'a',
      seq: 1,
      state: 'done',
      result: 1,
      deadlineMs: null,
      started_at: at,
      ended_at: at,
    } as const
    await putStep(db, id, step)
    await appendEvent(db, { nowMs: startedMs, node_uuid: uuid, flow_id: id, kind: 'requested' })
    if (endedDaysAgo !== null) {
      await updateFlow(db, id, { state: 'done', ended_at: timestamp(nowMs - endedDaysAgo * dayMs) })
    }
    return id
  }
  const ids = async (table: 'flows' | 'events') =>
    (await db.selectFrom(table).select('id').orderBy('id').execute()).map(row => row.id)
  return { db, config, uuid, flow, ids, run: () => prune({ db, config, clock, log: silent }, never) }
}

test('old events and flows that ended long ago go, those of living flows stay', async () => {
  const { db, uuid, flow, ids, run } = await world(30)
  const living = await flow(100, null)
  const gone = await flow(90, 89)
  const lately = await flow(40, 10)
  const fresh = await flow(5, 4)
  await appendEvent(db, { nowMs: nowMs - 31 * dayMs, node_uuid: uuid, kind: 'boot' })
  await appendEvent(db, { nowMs: nowMs - dayMs, node_uuid: uuid, kind: 'boot' })
  await run()
  assert.deepEqual(await ids('flows'), [living, lately, fresh])
  const steps = await db.selectFrom('flow_steps').select('flow_id').execute()
  assert.ok(!steps.some(step => step.flow_id === gone))
  const events = await db.selectFrom('events').select(['flow_id', 'kind']).orderBy('id').execute()
  assert.deepEqual(
    events.map(event => event.flow_id),
    [living, fresh, null],
  )
  await db.destroy()
})

test('a bite is bounded, and bites together take everything', async () => {
  const { db, ids, run } = await world(30)
  for (let i = 0; i < 1200; i += 1) await appendEvent(db, { nowMs: nowMs - 60 * dayMs + i, kind: 'boot' })
  await appendEvent(db, { nowMs, kind: 'boot' })
  const first = await pruneEvents(db, { beforeMs: nowMs - 30 * dayMs, afterId: 0, limit: 500 })
  assert.deepEqual([first.removed, (await ids('events')).length], [500, 701])
  await run()
  assert.equal((await ids('events')).length, 1)
  await db.destroy()
})

test('0 days keeps everything', async () => {
  const { db, flow, ids, run } = await world(0)
  await flow(1000, 999)
  await run()
  assert.deepEqual([(await ids('flows')).length, (await ids('events')).length], [1, 1])
  await db.destroy()
})

async function histories(conductor: Record<string, number>) {
  const { db, uuid, flow } = await world(0)
  const config = await loadConfig({ overrides: { conductor } })
  const entry = (daysAgo: number) =>
    appendEvent(db, { nowMs: nowMs - daysAgo * dayMs, node_uuid: uuid, kind: 'provision state' })
  const entries = async () => {
    const rows = await db.selectFrom('events').select(['at', 'kind']).orderBy('id').execute()
    return rows.map(({ at, kind }) => `${kind} ${Math.round((nowMs - Date.parse(at)) / dayMs)}`)
  }
  return { db, uuid, flow, entry, entries, run: () => pruneHistories({ db, config, clock, log: silent }, never) }
}

test('a history keeps its latest entries, however many bites that takes, and events of other kinds stay', async () => {
  const limits = { node_history_max_entries: 2, node_history_cleanup_batch_count: 3 }
  const { db, uuid, entry, entries, run } = await histories(limits)
  await appendEvent(db, { nowMs: nowMs - 20 * dayMs, node_uuid: uuid, kind: 'boot' })
  for (let daysAgo = 10; daysAgo >= 0; daysAgo -= 1) await entry(daysAgo)
  const other = await addNode(db, 'available')
  await appendEvent(db, { nowMs: nowMs - 30 * dayMs, node_uuid: other, kind: 'action' })
  await run()
  assert.deepEqual(await entries(), ['boot 20', 'provision state 1', 'provision state 0', 'action 30'])
  await db.destroy()
})

test('entries younger than the least age stay, and so do those of a flow that has not ended', async () => {
  const { db, flow, entry, entries, run } = await histories({
    node_history_max_entries: 1,
    node_history_minimum_days: 5,
  })
  await flow(9, null)
  for (const daysAgo of [8, 6, 4, 2, 0]) await entry(daysAgo)
  await run()
  const kept = ['requested 9', 'provision state 4', 'provision state 2', 'provision state 0']
  assert.deepEqual(await entries(), kept)
  await db.destroy()
})

test('a batch of 0 entries removes nothing', async () => {
  const { db, entry, entries, run } = await histories({
    node_history_max_entries: 0,
    node_history_cleanup_batch_count: 0,
  })
  await entry(100)
  await run()
  assert.equal((await entries()).length, 1)
  await db.destroy()
})
