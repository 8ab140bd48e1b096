/** Queries on what BMCs measure: whose sensors are due to be read, and the latest of each node. */
import { sql } from 'kysely'
import type { SensorData } from '#protocol/sensors.ts'
import type { ProvisionState } from '#protocol/states.ts'
import type { Db, Trx } from './database.ts'
import { type Node, readNode } from './nodes.ts'

/** Puts nodes on the list that are not on it yet, spread over the interval. */
export async function enlistSensors(db: Db | Trx, options: { nowMs: number; everyMs: number }): Promise<void> {
  const due = sql<number>`${options.nowMs} + (nodes.id * 1009) % ${Math.ceil(options.everyMs)}`
  await db
    .insertInto('sensors')
    .columns(['node_uuid', 'due_ms'])
    .expression(
      db
        .selectFrom('nodes')
        .leftJoin('sensors', 'sensors.node_uuid', 'nodes.uuid')
        .where('sensors.node_uuid', 'is', null)
        .select(['nodes.uuid', due.as('due_ms')]),
    )
    .onConflict(on => on.doNothing())
    .execute()
}

/** A node whose sensors are to be read, and what they told last. */
export interface Measured {
  node: Node
  before: SensorData
}

/** Takes the nodes that are due, the longest overdue first; they are due again after `everyMs`. */
export async function takeDueSensors(
  db: Db | Trx,
  /** `states`: undefined for all. */
  which: { group: string; states: readonly ProvisionState[] | undefined },
  { nowMs, everyMs, limit }: { nowMs: number; everyMs: number; limit: number },
): Promise<Measured[]> {
  const taken = await db
    .updateTable('sensors')
    .set({ due_ms: nowMs + everyMs })
    .where('node_uuid', 'in', query => {
      const due = query
        .selectFrom('sensors as due')
        .innerJoin('nodes', 'nodes.uuid', 'due.node_uuid')
        .where('due.due_ms', '<=', nowMs)
        .where('nodes.conductor_group', '=', which.group)
        .where('nodes.maintenance', '=', 0)
        .orderBy('due.due_ms')
        .limit(limit)
        .select('due.node_uuid')
      return which.states ? due.where('nodes.provision_state', 'in', which.states) : due
    })
    // Another conductor may have taken one meanwhile.
    .where('due_ms', '<=', nowMs)
    .returning(['node_uuid', 'data'])
    .execute()
  if (taken.length === 0) return []
  const before = new Map(taken.map(row => [row.node_uuid, readData(row.data)]))
  const rows = await db
    .selectFrom('nodes')
    .selectAll()
    .where('uuid', 'in', [...before.keys()])
    .execute()
  return rows.map(row => ({ node: readNode(row), before: before.get(row.uuid) ?? {} }))
}

/** Keeps what was read; a failure keeps what is known, with its reason. */
export async function writeSensors(
  db: Db | Trx,
  nodeUuid: string,
  found: { readAtMs: number; data: SensorData } | { error: string },
): Promise<void> {
  const set = 'error' in found ? found : { read_at_ms: found.readAtMs, data: JSON.stringify(found.data), error: null }
  await db.updateTable('sensors').set(set).where('node_uuid', '=', nodeUuid).execute()
}

/** The latest of a node. */
export interface LatestSensors {
  uuid: string
  name: string | null
  readAtMs: number
  data: SensorData
  /** The last read failed. */
  isStale: boolean
}

/** The latest of nodes that were ever read, in the order of their UUIDs, after one; '' for the first. */
export async function latestSensors(db: Db | Trx, afterUuid: string, limit: number): Promise<LatestSensors[]> {
  const rows = await db
    .selectFrom('sensors')
    .innerJoin('nodes', 'nodes.uuid', 'sensors.node_uuid')
    .select(['nodes.uuid', 'nodes.name', 'sensors.read_at_ms', 'sensors.data', 'sensors.error'])
    .where('sensors.node_uuid', '>', afterUuid)
    .where('sensors.read_at_ms', 'is not', null)
    .orderBy('sensors.node_uuid')
    .limit(limit)
    .execute()
  return rows.map(({ uuid, name, read_at_ms, data, error }) => ({
    uuid,
    name,
    readAtMs: Number(read_at_ms),
    data: readData(data),
    isStale: error !== null,
  }))
}

function readData(text: string | null): SensorData {
  return text === null ? {} : JSON.parse(text) // written by writeSensors only
}
