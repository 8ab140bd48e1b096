/** Queries on places for work of which only so much may run at a time. Who gets the next one is decided elsewhere. */
import type { Db, Trx } from './database.ts'
import { prepared } from './prepared.ts'

const live = ['ready', 'running', 'waiting'] as const

/** Work that may have to wait for its turn. */
export interface Asking {
  flow_id: number
  /** Works of one kind share the places: `deploy`, `clean`. */
  kind: string
  /** Whose share it counts against; '' where the node belongs to nobody. */
  project: string
  conductor_group: string
}

/** A flow that waits for a place. */
export interface Waiting extends Asking {
  node_uuid: string
  /** Place in the queue as it was last told; null: not yet. */
  position: number | null
}

/** How many places a project has in a group. */
export interface Taken {
  project: string
  conductor_group: string
  places: number
}

/** Asks for a place; asking again changes nothing. */
export async function askForPlace(db: Db | Trx, asking: Asking, nowMs: number): Promise<void> {
  await db
    .insertInto('admissions')
    .values({ ...asking, asked_at_ms: nowMs })
    .onConflict(on => on.doNothing())
    .execute()
}

export async function hasPlace(db: Db | Trx, flowId: number): Promise<boolean> {
  const row = await db
    .selectFrom('admissions')
    .select('admitted_at_ms')
    .where('flow_id', '=', flowId)
    .executeTakeFirst()
  return row !== undefined && row.admitted_at_ms !== null
}

/**
 * Passes the turnstile of a kind: to the end of the transaction nobody else hands out its places.
 * @param notSinceMs false is returned, and nothing happens, if somebody passed later than this
 */
export async function passTurnstile(trx: Trx, kind: string, nowMs: number, notSinceMs?: number): Promise<boolean> {
  let update = trx.updateTable('turnstiles').set({ passed_at_ms: nowMs }).where('name', '=', kind)
  if (notSinceMs !== undefined) update = update.where('passed_at_ms', '<', notSinceMs)
  return (await update.executeTakeFirst()).numUpdatedRows > 0n
}

/** The places that are taken; those of work that ended are given back first. */
export async function placesTaken(trx: Trx, kind: string): Promise<Taken[]> {
  await trx
    .deleteFrom('admissions')
    .where('flow_id', 'in', query =>
      query
        .selectFrom('admissions as given')
        .innerJoin('flows', 'flows.id', 'given.flow_id')
        .select('given.flow_id')
        .where('given.kind', '=', kind)
        .where('given.admitted_at_ms', 'is not', null)
        .where('flows.state', 'not in', live),
    )
    .execute()
  const rows = await trx
    .selectFrom('admissions')
    .select(['project', 'conductor_group', eb => eb.fn.countAll<number>().as('places')])
    .where('kind', '=', kind)
    .where('admitted_at_ms', 'is not', null)
    .groupBy(['project', 'conductor_group'])
    .execute()
  return rows.map(row => ({ ...row, places: Number(row.places) }))
}

/** The first of those who wait, in the order of asking. */
export async function waitingFor(db: Db | Trx, kind: string, limit: number): Promise<Waiting[]> {
  const { rows } = await firstInQueue(db, { kind, limit })
  return rows.map(row => ({
    ...row,
    flow_id: Number(row.flow_id),
    position: row.position === null ? null : Number(row.position),
  }))
}

const firstInQueue = prepared((db, { kind, limit }: { kind: string; limit: number }) =>
  db
    .selectFrom('admissions')
    .innerJoin('flows', 'flows.id', 'admissions.flow_id')
    .select(['flow_id', 'admissions.kind', 'project', 'conductor_group', 'position', 'flows.node_uuid'])
    .where('admissions.kind', '=', kind)
    .where('admitted_at_ms', 'is', null)
    .where('flows.state', 'in', live)
    .orderBy('asked_at_ms')
    .orderBy('flow_id')
    .limit(limit),
)

export async function admit(trx: Trx, flowId: number, nowMs: number): Promise<void> {
  await trx
    .updateTable('admissions')
    .set({ admitted_at_ms: nowMs, position: null })
    .where('flow_id', '=', flowId)
    .execute()
}

export async function tellPosition(trx: Trx, flowId: number, position: number): Promise<void> {
  await trx.updateTable('admissions').set({ position }).where('flow_id', '=', flowId).execute()
}
