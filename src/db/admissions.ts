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
  const { flow_id, kind, project, conductor_group } = asking
  await insertAsking(db, { flow_id, kind, project, conductor_group, nowMs })
}

type AskingValues = { flow_id: number; kind: string; project: string; conductor_group: string; nowMs: number }

const insertAsking = prepared((db, { flow_id, kind, project, conductor_group, nowMs }: AskingValues) =>
  db
    .insertInto('admissions')
    .values({ flow_id, kind, project, conductor_group, asked_at_ms: nowMs })
    .onConflict(on => on.doNothing()),
)

export async function hasPlace(db: Db | Trx, flowId: number): Promise<boolean> {
  const [row] = (await placeOf(db, { flowId })).rows
  return row !== undefined && row.admitted_at_ms !== null
}

const placeOf = prepared((db, { flowId }: { flowId: number }) =>
  db.selectFrom('admissions').select('admitted_at_ms').where('flow_id', '=', flowId),
)

/** Gives back the place of a flow that ends, if it has one. */
export async function givePlaceBack(trx: Trx, flowId: number): Promise<void> {
  await deleteAdmission(trx, { flowId })
}

const deleteAdmission = prepared((db, { flowId }: { flowId: number }) =>
  db.deleteFrom('admissions').where('flow_id', '=', flowId),
)

/**
 * Passes the turnstile of a kind: to the end of the transaction nobody else hands out its places.
 * @param notSinceMs false is returned, and nothing happens, if somebody passed later than this
 */
export async function passTurnstile(trx: Trx, kind: string, nowMs: number, notSinceMs?: number): Promise<boolean> {
  const { numAffectedRows } = await pass(trx, { kind, nowMs, notSinceMs: notSinceMs ?? Number.MAX_SAFE_INTEGER })
  return Boolean(numAffectedRows)
}

const pass = prepared((db, { kind, nowMs, notSinceMs }: { kind: string; nowMs: number; notSinceMs: number }) =>
  db
    .updateTable('turnstiles')
    .set({ passed_at_ms: nowMs })
    .where('name', '=', kind)
    .where('passed_at_ms', '<', notSinceMs),
)

/** The places that are taken. Work that has ended gave its own back. */
export async function placesTaken(trx: Trx, kind: string): Promise<Taken[]> {
  const { rows } = await placesByProject(trx, { kind })
  return rows.map(row => ({ ...row, places: Number(row.places) }))
}

const placesByProject = prepared((db, { kind }: { kind: string }) =>
  db
    .selectFrom('admissions')
    .select(['project', 'conductor_group', eb => eb.fn.countAll<number>().as('places')])
    .where('kind', '=', kind)
    .where('admitted_at_ms', 'is not', null)
    .groupBy(['project', 'conductor_group']),
)

/** Gives back places of work that has ended. */
export async function freePlaces(trx: Trx, kind: string): Promise<void> {
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
  await admitFlow(trx, { flowId, nowMs })
}

const admitFlow = prepared((db, { flowId, nowMs }: { flowId: number; nowMs: number }) =>
  db.updateTable('admissions').set({ admitted_at_ms: nowMs, position: null }).where('flow_id', '=', flowId),
)

export async function tellPosition(trx: Trx, flowId: number, position: number): Promise<void> {
  await trx.updateTable('admissions').set({ position }).where('flow_id', '=', flowId).execute()
}
