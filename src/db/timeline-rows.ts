/**
 * What the timeline of a node is made of, as rows: its flows, what each of them has recorded, and what was seen of the
 * machine meanwhile. A fixed number of statements however many runs are asked for; nothing here is written for the
 * timeline's sake.
 */
import { sql } from 'kysely'
import type { Progress } from '#protocol/progress.ts'
import type { Db } from './database.ts'
import type { FlowRow } from './flows.ts'
import { findInventory } from './nodes.ts'

export type RunRow = Pick<
  FlowRow,
  | 'id'
  | 'node_uuid'
  | 'kind'
  | 'state'
  | 'requested_by'
  | 'requested_project'
  | 'request_id'
  | 'conductor'
  | 'error'
  | 'error_code'
  | 'started_at'
  | 'ended_at'
  | 'wait_name'
> & { progress: Progress | null }

/** A step of a flow's record: done, or a wait that lasts. */
export interface RecordRow {
  flow_id: number
  name: string
  started_at: string
  ended_at: string | null
}

/** Work that moves no state and boots no ramdisk; a run of it is shown where it is asked for by name. */
export const sideKinds: readonly string[] = ['power', 'take over']
/** A flow has no more records than this that matter. */
const mostRecords = 20_000
const mostSeen = 5000

const runColumns = [
  'flows.id',
  'flows.node_uuid',
  'flows.kind',
  'flows.state',
  'flows.requested_by',
  'flows.requested_project',
  'flows.request_id',
  'flows.conductor',
  'flows.error',
  'flows.error_code',
  'flows.started_at',
  'flows.ended_at',
  'flows.wait_name',
  'flows.progress',
] as const

/** Runs of a node, the newest first. `beforeId`: older ones than that; `kinds` undefined: all that move its state. */
export async function runsOf(
  db: Db,
  nodeUuid: string,
  { limit, beforeId, kinds }: { limit: number; beforeId?: number | undefined; kinds?: readonly string[] | undefined },
): Promise<RunRow[]> {
  let query = db
    .selectFrom('flows')
    .select(runColumns)
    .where('node_uuid', '=', nodeUuid)
    .orderBy('id', 'desc')
    .limit(limit)
  query = kinds ? query.where('kind', 'in', kinds) : query.where('kind', 'not in', sideKinds)
  if (beforeId !== undefined) query = query.where('id', '<', beforeId)
  return (await query.execute()).map(readRun)
}

function readRun({
  id,
  state,
  progress,
  ...row
}: Omit<RunRow, 'state' | 'progress'> & { state: string; progress: string | null }): RunRow {
  return {
    ...row,
    id: Number(id),
    state: state as FlowRow['state'], // written by flows.ts only
    progress: progress === null ? null : JSON.parse(progress),
  }
}

/** What these flows have recorded, in the order of its beginning. */
export async function recordsOf(db: Db, flowIds: readonly number[]): Promise<RecordRow[]> {
  if (flowIds.length === 0) return []
  const rows = await db
    .selectFrom('flow_steps')
    .select(['flow_id', 'name', 'started_at', 'ended_at'])
    .where('flow_id', 'in', flowIds)
    .orderBy('started_at')
    .orderBy('seq')
    .limit(mostRecords)
    .execute()
  return rows.map(row => ({ ...row, flow_id: Number(row.flow_id) }))
}

/** Something that was seen of the machine. */
export interface SeenRow {
  at: string
  kind: string
  data: Readonly<Record<string, unknown>>
}

/** Hops of the node's boots and what writing images took, from a time of the API to another; null: to now. */
export async function seenOf(
  db: Db,
  nodeUuid: string,
  { from, to }: { from: string; to: string | null },
): Promise<SeenRow[]> {
  let query = db
    .selectFrom('events')
    .select(['at', 'kind', 'data'])
    .where('node_uuid', '=', nodeUuid)
    .where('kind', 'in', ['boot hop', 'image written'])
    .where('at', '>=', from)
    .orderBy('id')
    .limit(mostSeen)
  if (to !== null) query = query.where('at', '<=', to)
  return (await query.execute()).map(({ data, ...row }) => ({ ...row, data: JSON.parse(data) }))
}

/** Maker and product of these machines, by UUID; see systemVendor. */
export async function systemVendors(
  db: Db,
  nodeUuids: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, unknown>>>> {
  const rows = await db.selectFrom('nodes').select(['uuid', 'inventory']).where('uuid', 'in', nodeUuids).execute()
  return new Map(
    rows.flatMap(({ uuid, inventory }) => {
      const vendor = inventory === null ? undefined : vendorIn(JSON.parse(inventory))
      return vendor ? [[uuid, vendor] as const] : []
    }),
  )
}

/** A piece of a ramdisk's log: when it came, and what it says. */
export interface LogRow {
  boot_id: string
  came_at: string
  text: string
}

/** Pieces of each log that tell when the kernel began: the first of them. */
const telling = 4

/** The first pieces of the logs that ramdisks of the node sent since a time of the API. */
export async function firstWords(db: Db, nodeUuid: string, from: string): Promise<LogRow[]> {
  return db
    .selectFrom('ramdisk_logs')
    .select(['boot_id', 'came_at', sql<string>`text`.as('text')])
    .where('node_uuid', '=', nodeUuid)
    .where('piece', '<', telling)
    .where('came_at', '>=', from)
    .orderBy('came_at')
    .execute()
}

/** Maker and product of the machine, as the last inspection found them; null: none did, or it is kept elsewhere. */
export async function systemVendor(db: Db, nodeUuid: string): Promise<Readonly<Record<string, unknown>> | null> {
  const found = await findInventory(db, nodeUuid)
  return (found && vendorIn(found)) ?? null
}

function vendorIn(found: Record<string, unknown>): Readonly<Record<string, unknown>> | undefined {
  const inventory = found.inventory as { system_vendor?: Record<string, unknown> } | undefined // an object, as it was posted
  return inventory?.system_vendor
}

/** Runs that ended well, as events after `afterId` tell, at most `limit`. */
export async function endedRuns(db: Db, { afterId, limit }: { afterId: number; limit: number }): Promise<RunRow[]> {
  const rows = await db
    .selectFrom('events')
    .innerJoin('flows', 'flows.id', 'events.flow_id')
    .select(runColumns)
    .where('events.id', '>', afterId)
    .where('events.kind', '=', 'ended')
    .where('flows.state', '=', 'done')
    .where('flows.kind', 'not in', sideKinds)
    .orderBy('events.id')
    .limit(limit)
    .execute()
  return rows.map(readRun)
}
