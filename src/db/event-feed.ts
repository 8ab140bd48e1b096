/** The log of events as a feed: in the order of their numbers, with what decides who may see each. */
import { PostgresAdapter, sql } from 'kysely'
import type { Db } from './database.ts'
import type { Event } from './events.ts'
import { prepared } from './prepared.ts'

export interface FedEvent extends Event {
  /** Of its node; both null where it has none, or the node is gone. */
  owner: string | null
  lessee: string | null
  /** Whether its node is there. */
  hasNode: boolean
}

/** Events after `afterId`, oldest first, at most `limit`; of one node, where it is named. */
export async function eventsAfter(
  db: Db,
  { afterId, limit, nodeUuid }: { afterId: number; limit: number; nodeUuid?: string | undefined },
): Promise<FedEvent[]> {
  const { rows } =
    nodeUuid === undefined ? await ofAll(db, { afterId, limit }) : await ofNode(db, { afterId, limit, nodeUuid })
  return rows.map(readFed)
}

type FedRow = Omit<FedEvent, 'data' | 'hasNode'> & { data: string; found: string | null }

function readFed({ id, flow_id, data, found, ...row }: FedRow): FedEvent {
  return {
    ...row,
    id: Number(id),
    flow_id: flow_id === null ? null : Number(flow_id),
    data: JSON.parse(data),
    hasNode: found !== null,
  }
}

/** Which events are looked for; what is not named does not matter. */
export interface Sought {
  nodeUuid?: string | undefined
  kinds?: readonly string[] | undefined
  /** By type: these kinds only, or all but these. */
  types?: { only: readonly string[] } | { allBut: readonly string[] } | undefined
}

/** Of the whole fleet those before so many others are not looked for: kinds are no index, and a look must not read years. */
const lookBack = 100_000

/** The last `limit` events, of those before `beforeId` where it is given; oldest first. */
export async function latestEvents(
  db: Db,
  { limit, beforeId, sought }: { limit: number; beforeId?: number | undefined; sought: Sought },
): Promise<FedEvent[]> {
  const { nodeUuid, kinds, types } = sought
  let query = feed(db).orderBy('events.id', 'desc').limit(limit)
  if (nodeUuid === undefined && (kinds ?? types)) {
    const from = beforeId ?? (await newestEventId(db))
    query = query.where('events.id', '>', from - lookBack)
  }
  if (beforeId !== undefined) query = query.where('events.id', '<', beforeId)
  if (nodeUuid !== undefined) query = query.where('events.node_uuid', '=', nodeUuid)
  if (kinds) query = query.where('events.kind', 'in', kinds)
  if (types && 'only' in types) query = query.where('events.kind', 'in', types.only)
  else if (types && types.allBut.length > 0) query = query.where('events.kind', 'not in', types.allBut)
  return (await query.execute()).map(readFed).reverse()
}

/** Transactions of the database, by their numbers. */
export interface Transactions {
  /** Every transaction before this one is over. */
  oldest: bigint
  /** The one that begins next. */
  next: bigint
}

/** Undefined on SQLite, where numbers are taken in the order in which they become visible. */
export async function transactionsNow(db: Db): Promise<Transactions | undefined> {
  if (!(db.getExecutor().adapter instanceof PostgresAdapter)) return undefined
  const { rows } = await sql<{ oldest: string; next: string }>`
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS oldest, pg_snapshot_xmax(pg_current_snapshot())::text AS next
  `.execute(db)
  const [row] = rows
  return row && { oldest: BigInt(row.oldest), next: BigInt(row.next) }
}

/** The number of the newest event; 0 where there is none. */
export async function newestEventId(db: Db): Promise<number> {
  const [row] = (await newest(db, {})).rows
  return Number(row?.id ?? 0)
}

type Page = { afterId: number; limit: number }

const ofAll = prepared((db, page: Page) => after(db, page))
const ofNode = prepared((db, page: Page & { nodeUuid: string }) =>
  after(db, page).where('events.node_uuid', '=', page.nodeUuid),
)
const newest = prepared(db => db.selectFrom('events').select('id').orderBy('id', 'desc').limit(1))

function after(db: Db, { afterId, limit }: Page) {
  return feed(db).where('events.id', '>', afterId).orderBy('events.id').limit(limit)
}

function feed(db: Db) {
  return db
    .selectFrom('events')
    .leftJoin('nodes', 'nodes.uuid', 'events.node_uuid')
    .select(['events.id', 'events.at', 'events.node_uuid', 'events.flow_id', 'events.kind', 'events.data'])
    .select(['nodes.owner', 'nodes.lessee', 'nodes.uuid as found'])
}
