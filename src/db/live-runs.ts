/**
 * The runs under way of the whole fleet, as rows: what tells how long each has worked, and by what it is compared. A
 * fixed number of statements however many there are; nothing is written for it.
 */
import type { Db } from './database.ts'
import { type PhaseTimes, readSamples } from './phase-times.ts'
import { sideKinds } from './timeline-rows.ts'

export interface LiveRunRow {
  id: number
  node_uuid: string
  kind: string
  started_at: string
  /** When it asked for a place, and when it had it; null: not yet, or it needs none. */
  askedAtMs: number | null
  admittedAtMs: number | null
  /** Of the node. */
  owner: string | null
  lessee: string | null
  driver: string
  resource_class: string | null
  inspection_finished_at: string | null
}

/** Runs after `afterId` that move their node's state and have not ended, in the order in which they were asked for. */
export async function liveRuns(db: Db, { afterId, limit }: { afterId: number; limit: number }): Promise<LiveRunRow[]> {
  const rows = await db
    .selectFrom('flows')
    .innerJoin('nodes', 'nodes.uuid', 'flows.node_uuid')
    .leftJoin('admissions', 'admissions.flow_id', 'flows.id')
    .select(['flows.id', 'flows.node_uuid', 'flows.kind', 'flows.started_at'])
    .select(['admissions.asked_at_ms', 'admissions.admitted_at_ms'])
    .select(['nodes.owner', 'nodes.lessee', 'nodes.driver', 'nodes.resource_class', 'nodes.inspection_finished_at'])
    .where('flows.state', 'in', ['ready', 'running', 'waiting'])
    .where('flows.kind', 'not in', sideKinds)
    .where('flows.id', '>', afterId)
    .orderBy('flows.id')
    .limit(limit)
    .execute()
  return rows.map(({ id, asked_at_ms, admitted_at_ms, ...row }) => ({
    ...row,
    id: Number(id),
    askedAtMs: asked_at_ms === null ? null : Number(asked_at_ms),
    admittedAtMs: admitted_at_ms === null ? null : Number(admitted_at_ms),
  }))
}

/** A time for which a step held a run until an operator let it go on; `ended_at` null: it is held now. */
export interface HoldRow {
  flow_id: number
  started_at: string
  ended_at: string | null
}

/** The holds of these runs. Source of the name: conductor/flows, `…: hold`. */
export async function holdsOf(db: Db, flowIds: readonly number[]): Promise<HoldRow[]> {
  if (flowIds.length === 0) return []
  const rows = await db
    .selectFrom('flow_steps')
    .select(['flow_id', 'started_at', 'ended_at'])
    .where('flow_id', 'in', flowIds)
    .where('name', 'like', '%: hold')
    .execute()
  return rows.map(row => ({ ...row, flow_id: Number(row.flow_id) }))
}

/** What is known of whole runs of these models, whatever their kind. */
export async function wholeRunTimes(
  db: Db,
  models: readonly string[],
): Promise<(PhaseTimes & { model: string; kind: string })[]> {
  if (models.length === 0) return []
  const rows = await db
    .selectFrom('phase_times')
    .select(['model', 'kind', 'samples'])
    .where('model', 'in', models)
    .where('phase', '=', 'run')
    .where('occurrence', '=', 0)
    .execute()
  return rows.map(({ samples, ...row }) => ({ ...row, phase: 'run', occurrence: 0, samples: readSamples(samples) }))
}
