/**
 * The runs under way of the whole fleet, each with how long runs like it take: for lists, where a timeline for each node
 * would be too much. Phases are left out; made anew from rows each time it is asked for.
 */
import type { Db } from '#db/database.ts'
import { type HoldRow, holdsOf, type LiveRunRow, liveRuns, wholeRunTimes } from '#db/live-runs.ts'
import type { LiveRun } from '#protocol/timeline.ts'
import { expectedSeconds, lateAfterSeconds } from './estimate.ts'
import { modelsOfNodes } from './model.ts'

/** A run, and whose node it works on. */
export interface LiveRunOf {
  run: LiveRun
  owner: string | null
  lessee: string | null
}

/** Runs after `afterId`, in the order in which they were asked for. */
export async function liveRunsOf(
  { db, nowMs }: { db: Db; nowMs: number },
  page: { afterId: number; limit: number },
): Promise<LiveRunOf[]> {
  const rows = await liveRuns(db, page)
  const ids = rows.map(({ id }) => id)
  const holds = Map.groupBy(await holdsOf(db, ids), ({ flow_id }) => flow_id)
  const nodes = rows.map(({ node_uuid: uuid, ...row }) => ({ ...row, uuid }))
  const models = await modelsOfNodes(db, nodes)
  const key = (model: string, kind: string) => `${kind} ${model}`
  const known = await wholeRunTimes(db, [...new Set(models.values())])
  const times = new Map(known.map(one => [key(one.model, one.kind), [one]]))
  return rows.map(row => {
    const { id, node_uuid, kind, started_at, owner, lessee } = row
    const model = models.get(node_uuid) ?? '' // every node of a row was asked for
    const { workMs, isWaiting } = workOf(row, holds.get(id) ?? [], nowMs)
    const like = times.get(key(model, kind)) ?? []
    const late_after_s = lateAfterSeconds(like)
    const run: LiveRun = {
      ...{ id, node_uuid, kind, started_at, model },
      work_s: workMs / 1000,
      is_waiting: isWaiting,
      runs_known: like[0]?.samples.length ?? 0,
      expected_s: thousandths(expectedSeconds(like)),
      late_after_s: thousandths(late_after_s),
      is_late: late_after_s !== null && workMs > late_after_s * 1000,
    }
    return { run, owner, lessee }
  })
}

/** How long it has worked: not while it waited for a place, nor while an operator held it. */
function workOf(
  { started_at, askedAtMs, admittedAtMs }: LiveRunRow,
  holds: readonly HoldRow[],
  nowMs: number,
): { workMs: number; isWaiting: boolean } {
  const queuedMs = askedAtMs === null ? 0 : (admittedAtMs ?? nowMs) - askedAtMs
  const heldMs = holds.reduce(
    (sum, { started_at: from, ended_at: to }) => sum + (to === null ? nowMs : Date.parse(to)) - Date.parse(from),
    0,
  )
  const isQueued = askedAtMs !== null && admittedAtMs === null
  return {
    workMs: Math.max(0, nowMs - Date.parse(started_at) - queuedMs - heldMs),
    isWaiting: isQueued || holds.some(({ ended_at }) => ended_at === null),
  }
}

function thousandths(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1000) / 1000
}
