/** What followers of events see beside them: how far work is, and what ramdisks say. Nothing of it is written for them. */
import type { Progress } from '#protocol/progress.ts'
import type { Db } from './database.ts'

export interface ProgressSight {
  node_uuid: string
  flow: string
  progress: Progress
  /** Of the node. */
  owner: string | null
  lessee: string | null
}

/** The progress of all work that tells any; there is as much of it as work at a time. */
export async function progressNow(db: Db): Promise<ProgressSight[]> {
  const rows = await db
    .selectFrom('flows')
    .innerJoin('nodes', 'nodes.uuid', 'flows.node_uuid')
    .select(['flows.node_uuid', 'flows.kind as flow', 'flows.progress', 'nodes.owner', 'nodes.lessee'])
    .where('flows.state', 'in', ['ready', 'running', 'waiting'])
    .where('flows.progress', 'is not', null)
    .execute()
  return rows.map(row => ({ ...row, progress: JSON.parse(row.progress ?? 'null') }))
}

/** A piece of a ramdisk's log. */
export interface LogSight {
  boot_id: string
  piece: number
  came_at: string
  text: string
}

/** Pieces that came at a time of the API or later, in the order in which they came, at most `limit`. */
export async function logSince(db: Db, nodeUuid: string, from: string, limit: number): Promise<LogSight[]> {
  const rows = await db
    .selectFrom('ramdisk_logs')
    .select(['boot_id', 'piece', 'came_at', 'text'])
    .where('node_uuid', '=', nodeUuid)
    .where('came_at', '>=', from)
    .orderBy('came_at')
    .orderBy('piece')
    .limit(limit)
    .execute()
  return rows.map(row => ({ ...row, piece: Number(row.piece) }))
}
