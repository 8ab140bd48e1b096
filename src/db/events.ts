/** The log of what happened: append-only. History, audit and the event stream are views of it. */
import { timestamp } from '#protocol/field.ts'
import type { Db, Trx } from './database.ts'
import { prepared } from './prepared.ts'

export interface Event {
  id: number
  at: string
  node_uuid: string | null
  flow_id: number | null
  kind: string
  data: Record<string, unknown>
}

export async function appendEvent(
  db: Db | Trx,
  event: { nowMs: number; node_uuid?: string; flow_id?: number; kind: string; data?: Record<string, unknown> },
): Promise<void> {
  await insertEvent(db, {
    at: timestamp(event.nowMs),
    node_uuid: event.node_uuid ?? null,
    flow_id: event.flow_id ?? null,
    kind: event.kind,
    data: JSON.stringify(event.data ?? {}),
  })
  for (const ring of bells) ring()
}

/** Whom to tell that this process has appended; the transaction may go on for a while. */
const bells = new Set<() => void>()

/** Calls `ring` whenever this process appends an event, until what is returned is called. */
export function onAppended(ring: () => void): () => void {
  bells.add(ring)
  return () => void bells.delete(ring)
}

type EventValues = { at: string; node_uuid: string | null; flow_id: number | null; kind: string; data: string }

const insertEvent = prepared((db, { at, node_uuid, flow_id, kind, data }: EventValues) =>
  db.insertInto('events').values({ at, node_uuid, flow_id, kind, data }),
)

/** The last event of a kind; null: there is none. */
export async function lastEvent(db: Db | Trx, nodeUuid: string, kind: string): Promise<Event | null> {
  const row = await db
    .selectFrom('events')
    .selectAll()
    .where('node_uuid', '=', nodeUuid)
    .where('kind', '=', kind)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? { ...row, id: Number(row.id), data: JSON.parse(row.data) } : null
}

/** Events of a node after `afterId`, oldest first, at most `limit`. */
export async function eventsOf(
  db: Db | Trx,
  nodeUuid: string,
  page: { afterId?: number; limit: number },
): Promise<Event[]> {
  const rows = await db
    .selectFrom('events')
    .selectAll()
    .where('node_uuid', '=', nodeUuid)
    .where('id', '>', page.afterId ?? 0)
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(row => ({ ...row, id: Number(row.id), data: JSON.parse(row.data) }))
}
