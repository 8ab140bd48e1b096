/** The events of a node that its history shows, as rows, with who asked for the flow they belong to. */
import { sql } from 'kysely'
import type { Db, Trx } from './database.ts'
import { type Page, type Paged, type RawRow, readPage } from './page.ts'

/** Kinds of events that belong to the history of a node; the others are progress and detail. */
const kinds = [
  ...['requested', 'provision state', 'aborted', 'boot again', 'ended'],
  ...['action', 'unlocked', 'power seen', 'power failure', 'power recovered', 'playbook ended', 'image written'],
  ...['inspection rules', 'ramdisk logs'],
]
/** These belong to it where [conductor] record_step_flows_in_history says so. */
const stepKinds = ['step started', 'step finished', 'playbook task']
/** All that a history may show. */
export const historyKinds: readonly string[] = [...kinds, ...stepKinds]

export interface HistoryOptions {
  /** With the steps of deployments, cleanings and services. */
  withSteps: boolean
}

export async function listHistoryRows(
  db: Db | Trx,
  nodeUuid: string,
  page: Page,
  options: HistoryOptions,
): Promise<Paged> {
  return readPage(db, historyOf(db, nodeUuid, options), { name: 'events', key: 'id' }, page)
}

/** One entry of this node; undefined also where the event belongs to another. */
export async function findHistoryRow(db: Db | Trx, nodeUuid: string, id: number): Promise<RawRow | undefined> {
  // Who was told of a step finds it, whatever the option says now.
  const row = await historyOf(db, nodeUuid, { withSteps: true }).where('events.id', '=', id).executeTakeFirst()
  return row as RawRow | undefined // columns of events are texts and numbers
}

function historyOf(db: Db | Trx, nodeUuid: string, { withSteps }: HistoryOptions) {
  return db
    .selectFrom('events')
    .leftJoin('flows', 'flows.id', 'events.flow_id')
    .select(['events.id', 'events.at', 'events.kind', 'events.data', sql<string>`flows.kind`.as('flow')])
    .select(['flows.requested_by', 'flows.requested_project', 'flows.started_at', 'flows.ended_at'])
    .where('events.node_uuid', '=', nodeUuid)
    .where('events.kind', 'in', withSteps ? historyKinds : kinds)
}
