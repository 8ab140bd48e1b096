/**
 * Forgets what happened long ago: old events, and flows that ended long ago with their steps. In bites of so many rows,
 * so that no statement takes long however much there is. It never touches a flow that may still run, nor its events.
 */
import { sql } from 'kysely'
import { timestamp } from '#protocol/field.ts'
import type { Db } from './database.ts'

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
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('flows')
            .select(sql`1`.as('one'))
            .whereRef('flows.id', '=', 'events.flow_id')
            .where('flows.state', 'not in', ended),
        ),
      ),
    )
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
