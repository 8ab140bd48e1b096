/**
 * Queries on flows and their recorded steps. Whoever writes here under a lease passes the lease's token: the write
 * counts only while it is current (the engine checks it in the same transaction).
 */
import { sql } from 'kysely'
import { timestamp } from '#protocol/field.ts'
import type { Progress } from '#protocol/progress.ts'
import type { Db, Trx } from './database.ts'
import { prepared, preparedUpdate } from './prepared.ts'
import type { Tables } from './tables.ts'

export interface FlowRow {
  id: number
  node_uuid: string
  kind: string
  args: Record<string, unknown>
  requested_by: string | null
  requested_project: string | null
  request_id: string | null
  state: 'ready' | 'running' | 'waiting' | 'done' | 'failed' | 'aborted'
  phase: 'run' | 'undo'
  abortRequested: boolean
  wait_name: string | null
  waitOn: string[]
  wakeAtMs: number | null
  deadlineMs: number | null
  woken: boolean
  progress: Progress | null
  error: string | null
  error_code: string | null
  started_at: string
  ended_at: string | null
  /** Who is to run it; null: whoever serves the node. */
  conductor: string | null
  /** Of the lease that was taken for it when it was asked for. */
  lease_token: number | null
}

export interface StepRow {
  name: string
  seq: number
  state: 'started' | 'done'
  result: unknown
  deadlineMs: number | null
  started_at: string
  ended_at: string | null
}

type Row = Omit<Tables['flows'], 'id' | 'abort_requested' | 'woken'> & {
  id: number
  abort_requested: number
  woken: number
}

const live = ['ready', 'running', 'waiting'] as const

function readFlow(row: Row): FlowRow {
  const { args, abort_requested, wait_on, wake_at_ms, deadline_ms, woken, progress, ...rest } = row
  return {
    ...rest,
    id: Number(row.id),
    state: row.state as FlowRow['state'], // written by this file's typed functions only
    phase: row.phase as FlowRow['phase'],
    args: JSON.parse(args),
    abortRequested: Number(abort_requested) !== 0,
    waitOn: wait_on ? wait_on.split(',') : [],
    wakeAtMs: wake_at_ms === null ? null : Number(wake_at_ms),
    deadlineMs: deadline_ms === null ? null : Number(deadline_ms),
    woken: Number(woken) !== 0,
    progress: progress ? JSON.parse(progress) : null,
  }
}

export async function insertFlow(
  db: Db | Trx,
  flow: {
    node_uuid: string
    kind: string
    args: Record<string, unknown>
    requested_by: string | null
    requested_project: string | null
    request_id: string | null
    conductor: string
    lease_token: number
    nowMs: number
  },
): Promise<number> {
  const row = await db
    .insertInto('flows')
    .values({
      node_uuid: flow.node_uuid,
      kind: flow.kind,
      args: JSON.stringify(flow.args),
      requested_by: flow.requested_by,
      requested_project: flow.requested_project,
      request_id: flow.request_id,
      conductor: flow.conductor,
      lease_token: flow.lease_token,
      state: 'ready',
      phase: 'run',
      started_at: timestamp(flow.nowMs),
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return Number(row.id)
}

export async function findFlow(db: Db | Trx, id: number): Promise<FlowRow | undefined> {
  const [row] = (await flowById(db, { id })).rows
  return row && readFlow(row)
}

const flowById = prepared((db, { id }: { id: number }) => db.selectFrom('flows').selectAll().where('id', '=', id))

/** The flow that moves this node along the state table now, if any; there is at most one. */
export async function liveFlow(db: Db | Trx, nodeUuid: string): Promise<FlowRow | undefined> {
  const [row] = (await liveFlowOfNode(db, { nodeUuid })).rows
  return row && readFlow(row)
}

/** The flow of a node that ended last, power changes left out. */
export async function lastFlow(db: Db | Trx, nodeUuid: string): Promise<FlowRow | undefined> {
  const [row] = (await endedFlowOfNode(db, { nodeUuid })).rows
  return row && readFlow(row)
}

/** The flow of a node that ended last with this very error, be it a power change. */
export async function flowOfError(db: Db | Trx, nodeUuid: string, error: string): Promise<FlowRow | undefined> {
  const [row] = (await endedWithError(db, { nodeUuid, error })).rows
  return row && readFlow(row)
}

const endedWithError = prepared((db, { nodeUuid, error }: { nodeUuid: string; error: string }) =>
  db
    .selectFrom('flows')
    .selectAll()
    .where('node_uuid', '=', nodeUuid)
    .where('state', 'not in', live)
    .where('error', '=', error)
    .orderBy('id', 'desc')
    .limit(1),
)

const liveFlowOfNode = newestOfNode('in')
const endedFlowOfNode = newestOfNode('not in')

function newestOfNode(isLive: 'in' | 'not in') {
  return prepared((db, { nodeUuid }: { nodeUuid: string }) =>
    db
      .selectFrom('flows')
      .selectAll()
      .where('node_uuid', '=', nodeUuid)
      .where('state', isLive, live)
      .where('kind', '!=', 'power')
      .orderBy('id', 'desc')
      .limit(1),
  )
}

/** Flows of a conductor that can be run now: ready ones first, then those that were woken or whose time has come. */
export async function runnableFlows(
  db: Db | Trx,
  hostname: string,
  { nowMs, limit }: { nowMs: number; limit: number },
): Promise<FlowRow[]> {
  const ready = (await readyFlows(db, { hostname, limit })).rows
  const left = limit - ready.length
  // Most of the time none is due, which is quicker asked.
  const nextMs = left > 0 ? await nextWakeMs(db, hostname) : null
  const due = nextMs !== null && nextMs <= nowMs ? (await dueFlows(db, { hostname, nowMs, limit: left })).rows : []
  return [...ready, ...due].map(readFlow)
}

const readyFlows = prepared((db, { hostname, limit }: { hostname: string; limit: number }) =>
  db
    .selectFrom('flows')
    .selectAll()
    .where('conductor', '=', hostname)
    .where('state', '=', 'ready')
    .orderBy('id')
    .limit(limit),
)

const dueFlows = prepared((db, { hostname, nowMs, limit }: { hostname: string; nowMs: number; limit: number }) =>
  db
    .selectFrom('flows')
    .selectAll()
    .where('conductor', '=', hostname)
    .where('state', '=', 'waiting')
    .where('wake_at_ms', '<=', nowMs)
    .orderBy('wake_at_ms')
    .limit(limit),
)

/** When a conductor's next waiting flow is due, in milliseconds since 1970; null when none is. */
export async function nextWakeMs(db: Db | Trx, hostname: string): Promise<number | null> {
  const wake = (await firstWake(db, { hostname })).rows[0]?.wake
  return wake === null || wake === undefined ? null : Number(wake)
}

const firstWake = prepared((db, { hostname }: { hostname: string }) =>
  db
    .selectFrom('flows')
    .select(({ fn }) => fn.min('wake_at_ms').as('wake'))
    .where('conductor', '=', hostname)
    .where('state', '=', 'waiting'),
)

/**
 * Marks the node's flows as woken if they wait for `event`, or are just about to; tells which conductors are to run
 * them. A flow that is running looks again once after it has gone to sleep, so nothing that happens meanwhile is missed.
 */
export async function wakeFlow(db: Db | Trx, nodeUuid: string, event: string): Promise<string[]> {
  const { rows } = await wakeLive(db, { nodeUuid, waits: `%${event}%` })
  return rows.flatMap(row => row.conductor ?? [])
}

const wakeLive = prepared((db, { nodeUuid, waits }: { nodeUuid: string; waits: string }) =>
  db
    .updateTable('flows')
    .set({ woken: 1, wake_at_ms: sql`case when state = 'waiting' then 0 else wake_at_ms end` })
    .where('node_uuid', '=', nodeUuid)
    .where('state', 'in', ['running', 'waiting'])
    .where(where => where.or([where('state', '=', 'running'), where('wait_on', 'like', waits)]))
    .returning('conductor'),
)

/** Puts a flow to sleep until `wakeAtMs`; one that was woken while it ran is due at once. */
export async function sleepFlow(
  db: Db | Trx,
  id: number,
  wait: { name: string; on: readonly string[]; wakeAtMs: number; deadlineMs: number | null },
): Promise<void> {
  const { name, on, wakeAtMs, deadlineMs } = wait
  await putToSleep(db, { id, name, on: on.join(','), wakeAtMs, deadlineMs })
}

type Sleep = { id: number; name: string; on: string; wakeAtMs: number; deadlineMs: number | null }

const putToSleep = prepared((db, { id, name, on, wakeAtMs, deadlineMs }: Sleep) =>
  db
    .updateTable('flows')
    .set({
      state: 'waiting',
      wait_name: name,
      wait_on: on,
      wake_at_ms: sql`case when woken = 1 then 0 else cast(${wakeAtMs} as bigint) end`,
      deadline_ms: deadlineMs,
    })
    .where('id', '=', id),
)

/** Claims a conductor's flow for a pass; tells whether it was still to be had. */
export async function claimFlow(db: Db | Trx, id: number, hostname: string): Promise<boolean> {
  return Boolean((await claimRunnable(db, { id, hostname })).numAffectedRows)
}

const claimRunnable = prepared((db, { id, hostname }: { id: number; hostname: string }) =>
  db
    .updateTable('flows')
    .set({ state: 'running', woken: 0 })
    .where('id', '=', id)
    .where('conductor', '=', hostname)
    .where('state', 'in', ['ready', 'waiting']),
)

/**
 * May work on a flow go on: is its lease still held under `token`, and did the operator ask to stop? Undefined: the
 * lease was lost, or flow or node are gone.
 */
export async function standingOf(
  db: Db | Trx,
  id: number,
  token: number,
): Promise<{ abortRequested: boolean } | undefined> {
  const [row] = (await heldFlow(db, { id, token })).rows
  return row && { abortRequested: Number(row.abort_requested) !== 0 }
}

const heldFlow = prepared((db, { id, token }: { id: number; token: number }) =>
  db
    .selectFrom('flows')
    .innerJoin('nodes', 'nodes.uuid', 'flows.node_uuid')
    .select('flows.abort_requested')
    .where('flows.id', '=', id)
    .where('nodes.lease_token', '=', token)
    .where('nodes.lease_holder', 'is not', null),
)

/** Makes flows runnable again whose process is gone: they count as running but nobody holds their node. */
export async function reviveFlows(db: Db | Trx): Promise<number> {
  return Number((await reviveAbandoned(db, {})).numAffectedRows ?? 0)
}

const reviveAbandoned = prepared(db =>
  db
    .updateTable('flows')
    .set({ state: 'ready' })
    .where('state', '=', 'running')
    .where('node_uuid', 'in', query => query.selectFrom('nodes').select('uuid').where('lease_holder', 'is', null)),
)

export async function updateFlow(
  db: Db | Trx,
  id: number,
  set: {
    state?: FlowRow['state']
    phase?: FlowRow['phase']
    abort_requested?: 0 | 1
    woken?: 0 | 1
    wake_at_ms?: number | null
    deadline_ms?: number | null
    error?: string | null
    error_code?: string | null
    ended_at?: string | null
    conductor?: string
    lease_token?: number
  },
): Promise<void> {
  await changeFlow(db, set, { id })
}

const changeFlow = preparedUpdate((db, set, { id }: { id: number }) =>
  db.updateTable('flows').set(set).where('id', '=', id),
)

/** Forgets what an ended flow was given and what its steps found: it never runs again, and they may hold secrets. */
export async function forgetContents(db: Db | Trx, id: number): Promise<void> {
  await changeFlow(db, { args: '{}' }, { id })
  await forgetResults(db, { id })
}

const forgetResults = prepared((db, { id }: { id: number }) =>
  db.updateTable('flow_steps').set({ result: null }).where('flow_id', '=', id),
)

export async function writeProgress(db: Db | Trx, id: number, progress: Progress | null): Promise<void> {
  await changeFlow(db, { progress: progress && JSON.stringify(progress) }, { id })
}

export async function stepsOf(db: Db | Trx, flowId: number): Promise<Map<string, StepRow>> {
  const { rows } = await stepsByFlow(db, { flowId })
  return new Map(
    rows.map(row => [
      row.name,
      {
        name: row.name,
        seq: row.seq,
        state: row.state as StepRow['state'], // written by putStep only
        result: row.result === null ? undefined : JSON.parse(row.result),
        deadlineMs: row.deadline_ms === null ? null : Number(row.deadline_ms),
        started_at: row.started_at,
        ended_at: row.ended_at,
      },
    ]),
  )
}

const stepsByFlow = prepared((db, { flowId }: { flowId: number }) =>
  db.selectFrom('flow_steps').selectAll().where('flow_id', '=', flowId).orderBy('seq'),
)

/** Records a step: a wait as it starts, anything else when it is done. */
export async function putStep(db: Db | Trx, flowId: number, step: StepRow): Promise<void> {
  await upsertStep(db, {
    flow_id: flowId,
    name: step.name,
    seq: step.seq,
    state: step.state,
    result: step.result === undefined ? null : JSON.stringify(step.result),
    deadline_ms: step.deadlineMs,
    started_at: step.started_at,
    ended_at: step.ended_at,
  })
}

type StepValues = Pick<Tables['flow_steps'], keyof Tables['flow_steps']> // a type, whose values can be bound

const upsertStep = prepared((db, arg: StepValues) => {
  const { flow_id, name, seq, state, result, deadline_ms, started_at, ended_at } = arg
  const values = { state, result, deadline_ms, started_at, ended_at }
  return db
    .insertInto('flow_steps')
    .values({ flow_id, name, seq, ...values })
    .onConflict(on => on.columns(['flow_id', 'name']).doUpdateSet(values))
})
