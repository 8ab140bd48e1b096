/**
 * Queries on what agents tell of themselves. A heartbeat is one write here, without the node's lease: it never waits
 * for, and never disturbs, the work that holds the node.
 */
import { sql } from 'kysely'
import { type Db, inTransaction, type Trx } from './database.ts'
import { prepared } from './prepared.ts'
import type { Tables } from './tables.ts'

export interface Agent {
  node_uuid: string
  url: string | null
  version: string | null
  verify_ca: string | null
  token: string | null
  token_pregenerated: boolean
  status: string | null
  status_message: string | null
  heartbeat_at: string | null
  heartbeats: number
  token_told_to: string | null
}

type Row = {
  [K in keyof Tables['agents']]: K extends 'token_pregenerated' | 'heartbeats' ? number : Tables['agents'][K]
}

export function readAgent(row: Row): Agent {
  return { ...row, token_pregenerated: Number(row.token_pregenerated) !== 0, heartbeats: Number(row.heartbeats) }
}

export async function findAgent(db: Db | Trx, nodeUuid: string): Promise<Agent | undefined> {
  const [row] = (await agentOfNode(db, { nodeUuid })).rows
  return row && readAgent(row)
}

const agentOfNode = prepared((db, { nodeUuid }: { nodeUuid: string }) =>
  db.selectFrom('agents').selectAll().where('node_uuid', '=', nodeUuid),
)

/** Agents of many nodes in one statement. */
export async function agentsOf(db: Db | Trx, nodeUuids: readonly string[]): Promise<Map<string, Agent>> {
  if (nodeUuids.length === 0) return new Map()
  const rows = await db.selectFrom('agents').selectAll().where('node_uuid', 'in', nodeUuids).execute()
  return new Map(rows.map(row => [row.node_uuid, readAgent(row)]))
}

/**
 * Gives the node's agent a token if it has none. The answer that carries it may be lost (its sender killed, its
 * connection cut), and an agent without its token is of no use: so, until a heartbeat has brought it back, it is told
 * again to the address that asked first, and to nobody else.
 * @param token to be set where there is none
 * @returns the token, and whether this call set it; undefined when it is not for this caller
 */
export async function issueToken(
  db: Db | Trx,
  nodeUuid: string,
  { token, address }: { token: string; address: string },
): Promise<{ token: string; isNew: boolean } | undefined> {
  const issued = await db
    .insertInto('agents')
    .values({ node_uuid: nodeUuid, token, token_told_to: address })
    .onConflict(on =>
      on.column('node_uuid').doUpdateSet({ token, token_told_to: address }).where('agents.token', 'is', null),
    )
    .returning('token')
    .executeTakeFirst()
  if (issued) return { token, isNew: true }
  const known = await db
    .selectFrom('agents')
    .select('token')
    .where('node_uuid', '=', nodeUuid)
    .where('token_told_to', '=', address)
    .where('token_pregenerated', '=', 0)
    .where('heartbeats', '=', 0)
    .executeTakeFirst()
  return typeof known?.token === 'string' ? { token: known.token, isNew: false } : undefined
}

export interface Heartbeat {
  url: string
  version: string | null
  verify_ca: string | null
  status: string | null
  status_message: string | null
  at: string
}

/**
 * Stores a heartbeat, if the agent still has this token: a power-off that fell between the caller's checks and this
 * write has forgotten the agent, and a late heartbeat must not bring it back.
 * @returns whether it was stored
 */
export async function recordHeartbeat(
  db: Db | Trx,
  nodeUuid: string,
  token: string,
  beat: Heartbeat,
): Promise<boolean> {
  const { at, ...rest } = beat
  const result = await db
    .updateTable('agents')
    .set({ ...rest, heartbeat_at: at, heartbeats: sql<number>`heartbeats + 1` })
    .where('node_uuid', '=', nodeUuid)
    .where('token', '=', token)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Stores heartbeats that told nothing new, under the same condition, in one transaction. */
export async function noteHeartbeats(
  db: Db,
  beats: readonly { nodeUuid: string; token: string; at: string; count: number }[],
): Promise<void> {
  await inTransaction(db, async trx => {
    for (const beat of beats) await noteHeartbeat(trx, beat)
  })
}

type Noted = { nodeUuid: string; token: string; at: string; count: number }

const noteHeartbeat = prepared((db, { nodeUuid, token, at, count }: Noted) =>
  db
    .updateTable('agents')
    .set({ heartbeat_at: at, heartbeats: sql<number>`heartbeats + ${count}` })
    .where('node_uuid', '=', nodeUuid)
    .where('token', '=', token),
)

/**
 * Forgets the running agent: after every power-off or reboot its URL, certificate and (unless it was made beforehand)
 * token are of no use. When it last called stays known.
 */
export async function forgetAgent(
  db: Db | Trx,
  nodeUuid: string,
  options: { keepPregenerated: boolean },
): Promise<void> {
  await db
    .updateTable('agents')
    .set({
      url: null,
      verify_ca: null,
      heartbeats: 0,
      status: null,
      status_message: null,
      ...(options.keepPregenerated
        ? { token: sql<string | null>`CASE WHEN token_pregenerated = 1 THEN token ELSE NULL END` }
        : { token: null, token_pregenerated: 0 }),
    })
    .where('node_uuid', '=', nodeUuid)
    .execute()
}

/** Sets a token before the agent boots (virtual media carries it along). */
export async function pregenerateToken(db: Db | Trx, nodeUuid: string, token: string): Promise<void> {
  await db
    .insertInto('agents')
    .values({ node_uuid: nodeUuid, token, token_pregenerated: 1 })
    .onConflict(on => on.column('node_uuid').doUpdateSet({ token, token_pregenerated: 1 }))
    .execute()
}
