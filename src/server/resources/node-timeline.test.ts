/** The timeline over HTTP: runs and their phases, what is asked wrongly, and what it costs. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { insertFlow, putStep, updateFlow } from '#db/flows.ts'
import { addPhaseTimes } from '#db/phase-times.ts'
import type { Timeline } from '#protocol/timeline.ts'
import { startApi, type TestApi } from '../test-api.ts'

let api: TestApi
let node: string
const beganMs = Date.now() - 600_000
const at = (seconds: number) => new Date(beganMs + seconds * 1000).toISOString()

before(async () => {
  api = await startApi()
  node = await api.node({ name: 'one', resource_class: 'big' })
  const asked = { requested_by: 'alice', requested_project: 'p', request_id: 'req-1', conductor: 'h', lease_token: 1 }
  for (const [index, kind] of ['inspect', 'power', 'clean', 'deploy'].entries()) {
    const from = index * 100
    const id = await insertFlow(api.db, { node_uuid: node, kind, args: {}, ...asked, nowMs: beganMs + from * 1000 })
    const step = { seq: 1, state: 'done', result: undefined, deadlineMs: null } as const
    await putStep(api.db, id, { ...step, name: 'boot it: wait', started_at: at(from), ended_at: at(from + 10) })
    if (kind !== 'deploy') await updateFlow(api.db, id, { state: 'done', ended_at: at(from + 20) })
  }
})
after(() => api[Symbol.asyncDispose]())

async function timeline(query = ''): Promise<Timeline> {
  const { status, json, fault } = await api.call('GET', `/v1/nodes/one/timeline?${query}`)
  assert.equal(status, 200, fault)
  return json as Timeline // held against the schema by the call
}

test('runs, the newest first, without power changes; each second in a phase', async () => {
  const { model, runs, node_uuid } = await timeline()
  assert.deepEqual([node_uuid, model], [node, 'big (fake-hardware)'])
  assert.deepEqual(
    runs.map(({ kind, outcome, requested_by }) => [kind, outcome, requested_by]),
    [
      ['deploy', null, 'alice'],
      ['clean', 'done', 'alice'],
      ['inspect', 'done', 'alice'],
    ],
  )
  const [running, clean] = runs
  assert.deepEqual(
    clean?.phases.map(({ phase, seconds }) => [phase, seconds]),
    [
      ['bmc', 10],
      ['unattributed', 10],
    ],
  )
  assert.deepEqual([clean?.unattributed_s, clean?.now, running?.finished_at], [10, null, null])
  assert.equal(running?.now?.runs_known, 0)
})

test('pages, and kinds', async () => {
  const first = await timeline('limit=2')
  assert.equal(first.runs.length, 2)
  const second = await timeline(first.next?.split('?')[1])
  assert.deepEqual(
    second.runs.map(({ kind }) => kind),
    ['inspect'],
  )
  const kinds = (await timeline('kind=power,inspect')).runs.map(({ kind }) => kind)
  assert.deepEqual(kinds, ['power', 'inspect'])
})

test('what the model took before is the estimate, of this kind of run alone', async () => {
  const sample = (seconds: number, leftS: number) => ({ seconds, leftS, bytes: null })
  await api.db.transaction().execute(trx =>
    addPhaseTimes(trx, { model: 'big (fake-hardware)', kind: 'deploy', nowMs: Date.now() }, [
      { phase: 'run', occurrence: 0, sample: sample(1000, 0) },
      { phase: 'bmc', occurrence: 1, sample: sample(10, 990) },
      { phase: 'write', occurrence: 1, sample: sample(800, 100) },
    ]),
  )
  const [running, clean] = (await timeline()).runs
  assert.deepEqual([running?.expected_s, clean?.expected_s], [1000, null])
  assert.deepEqual(running?.now?.to_come, [{ phase: 'write', seconds: 800, seconds_p90: 800 }])
  const { eta_s, fraction, runs_known } = running?.now ?? {}
  assert.equal(runs_known, 1)
  assert.ok(eta_s !== null && eta_s !== undefined && eta_s > 600 && eta_s < 1000, `${eta_s} s`)
  assert.ok(fraction !== null && fraction !== undefined && fraction > 0 && fraction < 0.5, `${fraction}`)
})

test('what is asked wrongly', async () => {
  for (const query of ['limit=0', 'limit=x', 'before=-1', 'nonsense=1']) {
    assert.equal((await api.call('GET', `/v1/nodes/one/timeline?${query}`)).status, 400, query)
  }
  assert.equal((await api.call('GET', '/v1/nodes/nobody/timeline')).status, 404)
  assert.deepEqual((await timeline('kind=nothing')).runs, [])
})
