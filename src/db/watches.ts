/**
 * Queries of watching: which nodes are due to be looked at, and what was seen of them. Watching holds no lease. What it
 * saw counts only if nobody has held the node since: the lease's token, which grows with every holder, tells.
 */
import { type ExpressionBuilder, sql, type UpdateObject } from 'kysely'
import { nodeFields } from '#protocol/node.ts'
import type { ProvisionState } from '#protocol/states.ts'
import { codecOf } from './codec.ts'
import type { Db, Trx } from './database.ts'
import { type Node, type NodePatch, readNode } from './nodes.ts'
import { prepared } from './prepared.ts'
import type { Tables } from './tables.ts'

const codec = codecOf(nodeFields)

/** A node that is looked at now. */
export interface Watched {
  node: Node
  /** Of the last lease on the node, held or given back. */
  token: number
  /** Looks in a row that failed. */
  failures: number
  /** Nobody has looked yet since the node was taken over from another service. */
  hearsay: boolean
}

/** Which nodes of a conductor group: all that are not in maintenance, or those in it because their BMC did not answer. */
export type Purpose = { group: string } & ({ for: 'sync'; except: readonly ProvisionState[] } | { for: 'recovery' })

/** Puts nodes on the list that are not on it yet, spread over the later half of the interval: they were just enrolled. */
export async function enlist(db: Db | Trx, options: { nowMs: number; everyMs: number }): Promise<void> {
  const halfMs = Math.ceil(options.everyMs / 2)
  const due = sql<number>`${options.nowMs + halfMs} + (nodes.id * 1009) % ${halfMs}`
  await db
    .insertInto('watches')
    .columns(['node_uuid', 'due_ms'])
    .expression(
      db
        .selectFrom('nodes')
        .leftJoin('watches', 'watches.node_uuid', 'nodes.uuid')
        .where('watches.node_uuid', 'is', null)
        .select(['nodes.uuid', due.as('due_ms')]),
    )
    .onConflict(on => on.doNothing())
    .execute()
}

/**
 * Puts a node on the list that was taken over: its machine may have changed since somebody else looked at it, so what
 * the first look finds is right, whatever the row says. Until then `failures` is one less than the negative count.
 */
export async function firstLookCounts(db: Db | Trx, nodeUuid: string, nowMs: number): Promise<void> {
  await db.insertInto('watches').values({ node_uuid: nodeUuid, due_ms: nowMs, failures: -1 }).execute()
}

/** Takes the nodes that are due, the longest overdue first; they are due again after `everyMs`. */
export async function takeDue(
  db: Db | Trx,
  purpose: Purpose,
  options: { nowMs: number; everyMs: number; limit: number },
): Promise<Watched[]> {
  const { nowMs, everyMs, limit } = options
  // Between two rounds nothing is due, which is quicker asked.
  const [first] = (await firstDue(db, {})).rows
  if (first?.dueMs === null || Number(first?.dueMs) > nowMs) return []
  const taken = await db
    .updateTable('watches')
    .set({ due_ms: nowMs + everyMs })
    .where('node_uuid', 'in', query =>
      query
        .selectFrom('watches as due')
        .innerJoin('nodes', 'nodes.uuid', 'due.node_uuid')
        .where('due.due_ms', '<=', nowMs)
        .where('nodes.lease_holder', 'is', null)
        .where('nodes.target_power_state', 'is', null)
        .where('nodes.conductor_group', '=', purpose.group)
        .where(where => concerned(where, purpose))
        .orderBy('due.due_ms')
        .limit(limit)
        .select('due.node_uuid'),
    )
    // Another conductor may have taken one meanwhile.
    .where('due_ms', '<=', nowMs)
    .returning(['node_uuid', 'failures'])
    .execute()
  if (taken.length === 0) return []
  const failures = new Map(taken.map(row => [row.node_uuid, Number(row.failures)]))
  const rows = await db
    .selectFrom('nodes')
    .selectAll()
    .where('uuid', 'in', [...failures.keys()])
    .execute()
  return rows.map(row => {
    const counted = failures.get(row.uuid) ?? 0
    const hearsay = counted < 0
    return {
      node: readNode(row),
      token: Number(row.lease_token),
      failures: hearsay ? -counted - 1 : counted,
      hearsay,
    }
  })
}

const firstDue = prepared(db => db.selectFrom('watches').select(({ fn }) => fn.min('due_ms').as('dueMs')))

function concerned(where: ExpressionBuilder<Tables, 'nodes'>, purpose: Purpose) {
  if (purpose.for === 'recovery') {
    return where.and([where('nodes.maintenance', '=', 1), where('nodes.fault', '=', 'power failure')])
  }
  // A flow may be between two conductors: nobody holds its node, and what it did last is not what the row says.
  const isWorkedOn = where.exists(
    where
      .selectFrom('flows')
      .select(sql`1`.as('one'))
      .whereRef('flows.node_uuid', '=', 'nodes.uuid')
      .where('flows.state', 'in', ['ready', 'running', 'waiting']),
  )
  const isWatched = [where('nodes.maintenance', '=', 0), where('nodes.provision_state', 'not in', purpose.except)]
  return where.and([...isWatched, where.not(isWorkedOn)])
}

export async function countFailures(
  db: Db | Trx,
  nodeUuid: string,
  count: number,
  { hearsay } = { hearsay: false },
): Promise<void> {
  const failures = hearsay ? -count - 1 : count
  await db.updateTable('watches').set({ failures }).where('node_uuid', '=', nodeUuid).execute()
}

/** Writes what was seen; tells whether it still counted. */
export async function observe(db: Db | Trx, { node, token }: Watched, patch: NodePatch): Promise<boolean> {
  const set = codec.encode(patch) as UpdateObject<Tables, 'nodes'> // columns only
  const result = await db
    .updateTable('nodes')
    .set(set)
    .where('uuid', '=', node.uuid)
    .where('lease_holder', 'is', null)
    .where('lease_token', '=', token)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}
