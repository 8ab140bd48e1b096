/**
 * Figures of the whole fleet, for metrics. Nodes are read some hundred at a time, and of each only what is counted: no
 * statement keeps the event loop for long, however many there are.
 */
import type { ProvisionState } from '#protocol/states.ts'
import type { Db } from './database.ts'
import { newestEventId } from './event-feed.ts'
import { prepared } from './prepared.ts'

/** What is counted of a node. */
export interface NodeFigures {
  id: number
  provision_state: ProvisionState
  /** ISO 8601; null: never changed. */
  provision_updated_at: string | null
  power_state: string | null
  maintenance: boolean
  fault: string | null
  isHeld: boolean
}

/** Nodes in the order of their numbers, after one; 0 for the first. */
export async function nodeFigures(db: Db, afterId: number, limit: number): Promise<NodeFigures[]> {
  const { rows } = await figures(db, { afterId, limit })
  return rows.map(({ id, provision_state, maintenance, lease_holder, ...row }) => ({
    ...row,
    id: Number(id),
    provision_state: provision_state as ProvisionState, // written from the table of states only
    maintenance: Number(maintenance) !== 0,
    isHeld: lease_holder !== null,
  }))
}

const figures = prepared((db, { afterId, limit }: { afterId: number; limit: number }) =>
  db
    .selectFrom('nodes')
    .select(['id', 'provision_state', 'provision_updated_at', 'power_state', 'maintenance', 'fault', 'lease_holder'])
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(limit),
)

/** Work of which only so much may run at a time. */
export interface QueueFigures {
  kind: string
  running: number
  waiting: number
  /** When the first of those who wait asked; null: nobody waits. */
  waitingSinceMs: number | null
}

export async function queueFigures(db: Db): Promise<QueueFigures[]> {
  const { rows } = await queues(db, {})
  return rows.map(row => ({
    kind: row.kind,
    running: Number(row.running),
    waiting: Number(row.all) - Number(row.running),
    waitingSinceMs: row.since === null ? null : Number(row.since),
  }))
}

const queues = prepared(db =>
  db
    .selectFrom('admissions')
    .select([
      'kind',
      eb => eb.fn.countAll<number>().as('all'),
      eb => eb.fn.count<number>('admitted_at_ms').as('running'),
    ])
    .select(eb => eb.fn.min(eb.case().when('admitted_at_ms', 'is', null).then(eb.ref('asked_at_ms')).end()).as('since'))
    .groupBy('kind'),
)

/** How many flows stand in each state, of those that have not ended. */
export async function flowFigures(db: Db): Promise<{ state: string; flows: number }[]> {
  const { rows } = await flowStates(db, {})
  return rows.map(({ state, flows }) => ({ state, flows: Number(flows) }))
}

const flowStates = prepared(db =>
  db
    .selectFrom('flows')
    .select(['state', eb => eb.fn.countAll<number>().as('flows')])
    .where('state', 'in', ['ready', 'running', 'waiting'])
    .groupBy('state'),
)

/** How far a place outside is behind that events are delivered to. */
export interface SinkFigures {
  sink: string
  undelivered: number
}

export async function sinkFigures(db: Db): Promise<SinkFigures[]> {
  const rows = await db.selectFrom('event_sinks').select(['name', 'position']).orderBy('name').execute()
  if (rows.length === 0) return []
  const newest = await newestEventId(db)
  return rows.map(({ name, position }) => ({ sink: name, undelivered: Math.max(0, newest - Number(position)) }))
}
