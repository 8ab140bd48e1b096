/** The newest of what has happened, of some kinds: for people who look at it. Following it is event-feed.ts's. */
import type { Db } from './database.ts'
import type { FedEvent } from './event-feed.ts'

/** Events before this many others are not looked for: kinds are no index, and a look must not read years. */
const lookBack = 100_000

/** Newest first, at most `limit`. @param beforeId only older ones */
export async function latestEvents(
  db: Db,
  { kinds, beforeId, limit }: { kinds?: readonly string[] | undefined; beforeId?: number | undefined; limit: number },
): Promise<FedEvent[]> {
  const newest = await db.selectFrom('events').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
  if (!newest) return []
  const from = Math.min(Number(newest.id), beforeId ?? Number.MAX_SAFE_INTEGER)
  let query = db
    .selectFrom('events')
    .leftJoin('nodes', 'nodes.uuid', 'events.node_uuid')
    .select(['events.id', 'events.at', 'events.node_uuid', 'events.flow_id', 'events.kind', 'events.data'])
    .select(['nodes.owner', 'nodes.lessee', 'nodes.uuid as found'])
    .where('events.id', '>', from - lookBack)
    .orderBy('events.id', 'desc')
    .limit(limit)
  if (kinds) query = query.where('events.kind', 'in', [...kinds])
  if (beforeId !== undefined) query = query.where('events.id', '<', beforeId)
  return (await query.execute()).map(({ id, flow_id, data, found, ...row }) => ({
    ...row,
    id: Number(id),
    flow_id: flow_id === null ? null : Number(flow_id),
    data: JSON.parse(data),
    hasNode: found !== null,
  }))
}
