/**
 * Work that passes from one conductor to another. A flow belongs to a conductor from the moment it is asked for; when
 * that one is gone it belongs to nobody, until the one that serves its node takes it up.
 */
import { sql } from 'kysely'
import { type Db, inTransaction, type Trx } from './database.ts'
import type { Served } from './fleet.ts'
import { breakLeases, findNode, type Lease } from './nodes.ts'
import { prepared } from './prepared.ts'

const live = ['ready', 'running', 'waiting'] as const

/** Ends the leases of a conductor that is gone and lets its flows go. Returns the nodes that it held. */
export async function releaseWork(db: Db | Trx, hostname: string): Promise<string[]> {
  const nodes = await breakLeases(db, { holder: hostname })
  await db
    .updateTable('flows')
    // What ran is ready to be run again from the top; what waits goes on waiting.
    .set({ conductor: null, state: sql<string>`case state when 'running' then 'ready' else state end` })
    .where('conductor', '=', hostname)
    .where('state', 'in', live)
    .execute()
  return nodes
}

/** Conductors that hold nodes or have flows. */
export async function holders(db: Db | Trx): Promise<string[]> {
  const leases = db
    .selectFrom('nodes')
    .select('lease_holder as hostname')
    .where('lease_holder', 'is not', null)
    .distinct()
  const flows = db
    .selectFrom('flows')
    .select('conductor as hostname')
    .where('state', 'in', live)
    .where('conductor', 'is not', null)
    .distinct()
  const rows = await leases.union(flows).execute()
  return rows.flatMap(row => row.hostname ?? [])
}

/**
 * Ends the lease of one node, whoever has it: nothing that the former holder writes counts any more, and its flow may be
 * run anew. Returns the lease that was ended; undefined where there was none.
 */
export async function breakLease(db: Db | Trx, nodeUuid: string): Promise<Lease | undefined> {
  return inTransaction(db, async trx => {
    const lease = (await findNode(trx, nodeUuid))?.lease
    if (!lease) return undefined
    const broken = await breakLeases(trx, { nodeUuid, token: lease.token })
    return broken.length > 0 ? lease : undefined
  })
}

export interface Orphan {
  id: number
  /** To whom it belonged; null: to nobody. */
  conductor: string | null
  node: Served
}

/**
 * Live flows that belong to nobody, with what decides who serves their nodes; of all but `orNotTo`, where that is given.
 * In the order of their numbers, after `afterId`.
 */
export async function orphanFlows(
  db: Db | Trx,
  { afterId, limit, orNotTo }: { afterId: number; limit: number; orNotTo?: string | undefined },
): Promise<Orphan[]> {
  const { rows } =
    orNotTo === undefined
      ? await flowsOfNobody(db, { afterId, limit })
      : await flowsOfOthers(db, { afterId, limit, orNotTo })
  return rows.map(({ id, conductor, ...node }) => ({ id: Number(id), conductor, node }))
}

const flowsOfNobody = prepared((db, page: Page) => liveFlows(db, page).where('flows.conductor', 'is', null))

const flowsOfOthers = prepared((db, arg: Page & { orNotTo: string }) =>
  liveFlows(db, arg).where(where =>
    where.or([where('flows.conductor', 'is', null), where('flows.conductor', '!=', arg.orNotTo)]),
  ),
)

type Page = { afterId: number; limit: number }

function liveFlows(db: Db | Trx, { afterId, limit }: Page) {
  return db
    .selectFrom('flows')
    .innerJoin('nodes', 'nodes.uuid', 'flows.node_uuid')
    .select(['flows.id', 'flows.conductor', 'nodes.uuid', 'nodes.driver', 'nodes.conductor_group'])
    .where('flows.id', '>', afterId)
    .where('flows.state', 'in', live)
    .orderBy('flows.id')
    .limit(limit)
}

/** Takes up flows, if they are still whose they were; returns those that were to be had. */
export async function adoptFlows(db: Db | Trx, flows: readonly Orphan[], hostname: string): Promise<number[]> {
  const adopted: number[] = []
  for (const [former, ids] of Map.groupBy(flows, flow => flow.conductor)) {
    const rows = await db
      .updateTable('flows')
      .set({ conductor: hostname })
      .where(
        'id',
        'in',
        ids.map(flow => flow.id),
      )
      .where('conductor', former === null ? 'is' : '=', former)
      .where('state', 'in', live)
      .returning('id')
      .execute()
    adopted.push(...rows.map(row => Number(row.id)))
  }
  return adopted
}
