/** What is under way in the whole fleet, over HTTP: how long each worked, how long it may, and what that costs. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { admit, askForPlace } from '#db/admissions.ts'
import { insertFlow, putStep, updateFlow } from '#db/flows.ts'
import { writeInventory } from '#db/nodes.ts'
import { addPhaseTimes } from '#db/phase-times.ts'
import type { LiveRun } from '#protocol/timeline.ts'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())

const nowMs = Date.now()
const at = (secondsAgo: number) => new Date(nowMs - secondsAgo * 1000).toISOString()

async function begun(node_uuid: string, kind: string, secondsAgo: number): Promise<number> {
  const asked = { requested_by: null, requested_project: null, request_id: null, conductor: 'h', lease_token: 1 }
  return insertFlow(api.db, { node_uuid, kind, args: {}, ...asked, nowMs: nowMs - secondsAgo * 1000 })
}

async function runs(query = ''): Promise<{ runs: LiveRun[]; next?: string }> {
  const { status, json, fault } = await api.call('GET', `/v1/runs?${query}`)
  assert.equal(status, 200, fault)
  return json as { runs: LiveRun[]; next?: string } // held against the schema by the call
}

/** Runs of a model that ended well: each took so many seconds. */
async function took(model: string, kind: string, seconds: readonly number[]): Promise<void> {
  for (const one of seconds) {
    const sample = { seconds: one, leftS: 0, bytes: null }
    await api.db
      .transaction()
      .execute(trx => addPhaseTimes(trx, { model, kind, nowMs }, [{ phase: 'run', occurrence: 0, sample }]))
  }
}

test('only what is under way, and moves its node', async () => {
  const node = await api.node({ name: 'still' })
  for (const [kind, state] of [
    ['deploy', 'done'],
    ['clean', 'failed'],
    ['inspect', 'aborted'],
  ] as const) {
    await updateFlow(api.db, await begun(node, kind, 10), { state, ended_at: at(1) })
  }
  await begun(node, 'power', 5)
  assert.deepEqual((await runs()).runs, [])
})

test('a run is late when it has worked a quarter longer than nine of ten of its model and kind', async () => {
  await took('quick (fake-hardware)', 'deploy', [100, 100, 100])
  await took('new (fake-hardware)', 'deploy', [100, 100])
  const made = async (name: string, resource_class: string, kind: string, secondsAgo: number) => {
    const uuid = await api.node({ name, resource_class })
    await begun(uuid, kind, secondsAgo)
    return uuid
  }
  const uuids = [
    await made('late', 'quick', 'deploy', 130),
    await made('in-time', 'quick', 'deploy', 110),
    await made('other-work', 'quick', 'clean', 5000),
    await made('too-few', 'new', 'deploy', 5000),
  ]
  const found = (await runs()).runs
  assert.deepEqual(
    found.map(run => [uuids.indexOf(run.node_uuid), run.runs_known, run.expected_s, run.late_after_s, run.is_late]),
    [
      [0, 3, 100, 125, true],
      [1, 3, 100, 125, false],
      [2, 0, null, null, false],
      [3, 2, 100, null, false],
    ],
  )
  assert.ok(found[0] && found[0].work_s >= 130 && found[0].work_s < 300, `${found[0]?.work_s} s`)
})

test('a machine is compared by its maker and product, anew after each inspection', async () => {
  const uuid = await api.node({ name: 'inspected', resource_class: 'big' })
  const id = await begun(uuid, 'deploy', 10)
  const model = async () => (await runs(`after=${id - 1}`)).runs[0]?.model
  assert.equal(await model(), 'big (fake-hardware)')
  const vendor = (product_name: string) => ({
    inventory: { system_vendor: { manufacturer: 'Dell Inc.', product_name } },
  })
  await writeInventory(api.db, uuid, vendor('PowerEdge R650'))
  await api.set(uuid, { inspection_finished_at: at(5) })
  assert.equal(await model(), 'Dell Inc. PowerEdge R650')
  await writeInventory(api.db, uuid, vendor('PowerEdge R660'))
  await api.set(uuid, { inspection_finished_at: at(4) })
  assert.equal(await model(), 'Dell Inc. PowerEdge R660')
})

test('waiting for a place or for an operator is no work', async () => {
  await took('slow (fake-hardware)', 'clean', [10, 10, 10])
  const place = { kind: 'clean', project: '', conductor_group: '' }
  const queued = await begun(await api.node({ name: 'queued', resource_class: 'slow' }), 'clean', 1000)
  await askForPlace(api.db, { flow_id: queued, ...place }, nowMs - 995_000)
  const admitted = await begun(await api.node({ name: 'admitted', resource_class: 'slow' }), 'clean', 1000)
  await askForPlace(api.db, { flow_id: admitted, ...place }, nowMs - 1_000_000)
  await api.db.transaction().execute(trx => admit(trx, admitted, nowMs - 8000))
  const held = await begun(await api.node({ name: 'held', resource_class: 'slow' }), 'clean', 1000)
  const step = { result: undefined, deadlineMs: null } as const
  const once = { ...step, seq: 1, state: 'done', name: 'clean 1 power.hold: hold' } as const
  await putStep(api.db, held, { ...once, started_at: at(998), ended_at: at(500) })
  const now = { ...step, seq: 2, state: 'started', name: 'clean 2 power.hold: hold' } as const
  await putStep(api.db, held, { ...now, started_at: at(499), ended_at: null })
  const found = (await runs(`after=${queued - 1}`)).runs
  assert.deepEqual(
    found.map(({ work_s, is_waiting, is_late }) => [Math.floor(work_s), is_waiting, is_late]),
    [
      [5, true, false],
      [Math.floor(found[1]?.work_s ?? 0), false, (found[1]?.work_s ?? 0) > 12.5],
      [3, true, false],
    ],
  )
  assert.ok((found[1]?.work_s ?? 0) >= 8)
})

test('pages, and a fixed number of statements', async () => {
  const seen: number[] = []
  for (let query: string | undefined = 'limit=3'; query !== undefined; ) {
    const { runs: page, next } = await runs(query)
    seen.push(...page.map(({ id }) => id))
    query = next?.split('?')[1]
  }
  const all = (await runs()).runs.map(({ id }) => id)
  assert.deepEqual(seen, all)
  const few = await api.statements(() => runs('limit=1'))
  assert.equal(await api.statements(() => runs()), few)
})

test('what is asked wrongly', async () => {
  for (const query of ['limit=0', 'limit=x', 'after=-1', 'nonsense=1']) {
    assert.equal((await api.call('GET', `/v1/runs?${query}`)).status, 400, query)
  }
})
