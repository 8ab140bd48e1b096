/**
 * The timeline of a node as the API tells it: its runs with their phases, and of the one that is under way how far it is.
 * Made anew from rows each time it is asked for; nothing is written for it while a run goes on.
 */
import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { type PhaseTimes, phaseTimes } from '#db/phase-times.ts'
import { firstWords, type RecordRow, type RunRow, recordsOf, runsOf, seenOf } from '#db/timeline-rows.ts'
import { timestamp } from '#protocol/field.ts'
import type { Now, Phase, Run, Timeline } from '#protocol/timeline.ts'
import { attribute, type Stretch } from './attribute.ts'
import { kernelTimes } from './boot.ts'
import { estimate, expectedSeconds } from './estimate.ts'
import { modelOfNode } from './model.ts'

export interface Wanted {
  /** Most runs, the newest first. */
  limit: number
  /** Older runs than that. */
  beforeId?: number | undefined
  /** Runs of these kinds; undefined: all that move the node's state. */
  kinds?: readonly string[] | undefined
}

/** A run with its stretches. */
export interface Told {
  run: RunRow
  stretches: readonly Stretch[]
}

export async function timelineOf(
  { db, nowMs }: { db: Db; nowMs: number },
  node: Pick<Node, 'uuid' | 'resource_class' | 'driver'>,
  wanted: Wanted,
): Promise<Omit<Timeline, 'next'>> {
  const model = await modelOfNode(db, node)
  const found = await attributed(db, node.uuid, await runsOf(db, node.uuid, wanted), nowMs)
  const times = new Map<string, PhaseTimes[]>()
  for (const { kind } of found.map(({ run }) => run)) {
    if (!times.has(kind)) times.set(kind, await phaseTimes(db, model, kind))
  }
  const runs = found.map(told => runOf(told, { nowMs, times: times.get(told.run.kind) ?? [] }))
  return { node_uuid: node.uuid, model, runs }
}

/** Reads what these runs of a node, the newest first, have recorded, and attributes it. */
export async function attributed(db: Db, nodeUuid: string, runs: readonly RunRow[], nowMs: number): Promise<Told[]> {
  const oldest = runs.at(-1)
  const newest = runs[0]
  if (!oldest || !newest) return []
  const records = Map.groupBy(
    await recordsOf(
      db,
      runs.map(({ id }) => id),
    ),
    record => record.flow_id,
  )
  const seen = await seenOf(db, nodeUuid, { from: oldest.started_at, to: newest.ended_at })
  const logs = await firstWords(db, nodeUuid, oldest.started_at)
  return runs.map(run => {
    const isIn = (at: string) => at >= run.started_at && (run.ended_at === null || at <= run.ended_at)
    const evidence = {
      run,
      records: records.get(run.id) ?? ([] as RecordRow[]),
      seen: seen.filter(({ at }) => isIn(at)),
      kernels: kernelTimes(logs.filter(({ came_at }) => isIn(came_at))),
    }
    return { run, stretches: attribute(evidence, nowMs) }
  })
}

function runOf({ run, stretches }: Told, { nowMs, times }: { nowMs: number; times: readonly PhaseTimes[] }): Run {
  const { progress: _, wait_name: __, node_uuid: ___, ended_at, state, ...rest } = run
  const isOver = ended_at !== null
  const phases = stretches.map((stretch, index) => phaseOf(stretch, !isOver && index === stretches.length - 1))
  const unattributed = stretches.filter(({ phase }) => phase === 'unattributed')
  return {
    ...rest,
    finished_at: ended_at,
    seconds: seconds((isOver ? Date.parse(ended_at) : nowMs) - Date.parse(run.started_at)),
    outcome: state === 'done' || state === 'failed' || state === 'aborted' ? state : null,
    phases,
    unattributed_s: seconds(unattributed.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0)),
    expected_s: thousandths(expectedSeconds(times)),
    now: isOver ? null : nowOf(run, stretches, times),
  }
}

function phaseOf({ phase, fromMs, toMs, step, what, bytes }: Stretch, lasts: boolean): Phase {
  const lasted = seconds(toMs - fromMs)
  return {
    phase,
    started_at: timestamp(fromMs),
    finished_at: lasts ? null : timestamp(toMs),
    seconds: lasted,
    step,
    what,
    bytes,
    rate_bytes_per_s: bytes === null || lasted === 0 ? null : Math.round(bytes / lasted),
  }
}

function nowOf({ progress }: RunRow, stretches: readonly Stretch[], times: readonly PhaseTimes[]): Now {
  const last = stretches.at(-1)
  const total = progress?.total_bytes ?? null
  const counted =
    progress && total ? { bytes: progress.bytes, totalBytes: total, rateBytesPerS: progress.rate_bytes_per_s } : null
  const found = estimate(stretches, times, counted)
  return {
    phase: last?.phase ?? 'conductor',
    step: last?.step ?? null,
    what: progress?.phase ?? last?.what ?? 'begins',
    phase_seconds: last ? seconds(last.toMs - last.fromMs) : 0,
    bytes: progress?.bytes ?? null,
    total_bytes: total,
    rate_bytes_per_s: progress?.rate_bytes_per_s ?? null,
    phase_fraction: thousandths(found.phaseFraction),
    phase_eta_s: thousandths(found.phaseEtaS),
    fraction: thousandths(found.fraction),
    eta_s: thousandths(found.etaS),
    runs_known: found.runsKnown,
    is_overdue: found.isOverdue,
    position: progress?.position ?? null,
    to_come: found.toCome,
    updated_at: progress?.updated_at ?? null,
  }
}

function thousandths(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1000) / 1000
}

/** Whole milliseconds, as seconds. */
function seconds(ms: number): number {
  return Math.round(Math.max(0, ms)) / 1000
}
