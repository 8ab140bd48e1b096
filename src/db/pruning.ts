/**
 * Forgets what happened long ago: old events, flows that ended long ago with their steps, and what a node's history has
 * too much of. In bites of so many rows, so that no statement takes long however much there is. It never touches a flow
 * that may still run, nor its events.
 */
import { type ExpressionBuilder, sql } from 'kysely'
import { timestamp } from '#protocol/field.ts'
import type { Db } from './database.ts'
import { historyKinds } from './history-rows.ts'
import type { Tables } from './tables.ts'

/** Where the next bite begins, and what the last one removed. */
export interface Bite {
  removed: number
  /** Undefined: nothing that is old lies behind. */
  afterId: number | undefined
}

interface BiteOptions {
  /** Only what is older. Milliseconds since 1970. */
  beforeMs: number
  /** Only rows with a larger number. */
  afterId: number
  /** Most rows to look at. */
  limit: number
}

const ended = ['done', 'failed', 'aborted'] as const

/** Removes old events among the next `limit` ones. They are numbered in the order of their time. */
export async function pruneEvents(db: Db, { beforeMs, afterId, limit }: BiteOptions): Promise<Bite> {
  const before = timestamp(beforeMs)
  const rows = await db
    .selectFrom('events')
    .select(['id', 'at'])
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(limit)
    .execute()
  const last = rows.findLast(row => row.at < before)
  if (!last) return { removed: 0, afterId: undefined }
  const { numDeletedRows } = await db
    .deleteFrom('events')
    .where('id', '>', afterId)
    .where('id', '<=', last.id)
    .where('at', '<', before)
    .where(where => ofNoLiveFlow(where))
    .executeTakeFirstOrThrow()
  return { removed: Number(numDeletedRows), afterId: rows.length < limit ? undefined : Number(last.id) }
}

/** Removes flows that ended long ago, and their steps, among the next `limit` ones. */
export async function pruneFlows(db: Db, { beforeMs, afterId, limit }: BiteOptions): Promise<Bite> {
  const before = timestamp(beforeMs)
  const rows = await db
    .selectFrom('flows')
    .select(['id', 'started_at'])
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(limit)
    .execute()
  const last = rows.findLast(row => row.started_at < before)
  if (!last) return { removed: 0, afterId: undefined }
  const { numDeletedRows } = await db
    .deleteFrom('flows')
    .where('id', '>', afterId)
    .where('id', '<=', last.id)
    .where('state', 'in', ended)
    .where('ended_at', '<', before)
    .executeTakeFirstOrThrow()
  return { removed: Number(numDeletedRows), afterId: rows.length < limit ? undefined : Number(last.id) }
}

/** Nodes that events may be of, in the order of their UUIDs, after one; '' for the first. */
export async function nodesAfter(db: Db, afterUuid: string, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('nodes')
    .select('uuid')
    .where('uuid', '>', afterUuid)
    .orderBy('uuid')
    .limit(limit)
    .execute()
  return rows.map(row => row.uuid)
}

/**
 * Removes the oldest entries of a node's history beyond its `keep` latest ones, at most `limit` of them.
 * @returns how many were removed
 */
export async function pruneHistory(
  db: Db,
  nodeUuid: string,
  { keep, beforeMs, limit }: { keep: number; beforeMs: number; limit: number },
): Promise<number> {
  const surplus = await db
    .selectFrom('events')
    .select('id')
    .where('node_uuid', '=', nodeUuid)
    .where('kind', 'in', historyKinds)
    .orderBy('id', 'desc')
    .limit(1)
    .offset(keep)
    .executeTakeFirst()
  if (!surplus) return 0
  const { numDeletedRows } = await db
    .deleteFrom('events')
    .where('id', 'in', query =>
      query
        .selectFrom('events')
        .select('id')
        .where('node_uuid', '=', nodeUuid)
        .where('kind', 'in', historyKinds)
        .where('id', '<=', surplus.id)
        .where('at', '<', timestamp(beforeMs))
        .where(where => ofNoLiveFlow(where))
        .orderBy('id')
        .limit(limit),
    )
    .executeTakeFirstOrThrow()
  return Number(numDeletedRows)
}

function ofNoLiveFlow({ not, exists, selectFrom }: ExpressionBuilder<Tables, 'events'>) {
  const live = selectFrom('flows')
    .select(sql`1`.as('one'))
    .whereRef('flows.id', '=', 'events.flow_id')
    .where('flows.state', 'not in', ended)
  return not(exists(live))
}
