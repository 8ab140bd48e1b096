/** Allocations as rows, for printing: chosen columns, one or a page, in one statement. */
import { sql } from 'kysely'
import type { Db, Trx } from './database.ts'
import { type RowColumn, readable } from './json-columns.ts'
import { type Page, type Paged, type RawRow, readPage } from './page.ts'

/** Equal to these; undefined is no condition. */
export interface AllocationFilters {
  node_uuid?: string | undefined
  resource_class?: string | undefined
  state?: string | undefined
  /** There are no other allocations for the caller. */
  owner?: string | undefined
}

export async function listAllocationRows(
  db: Db | Trx,
  columns: readonly RowColumn[],
  filters: AllocationFilters,
  page: Page,
): Promise<Paged> {
  let query = db.selectFrom('allocations').select(readable(db, 'allocations', columns))
  const { owner, ...equal } = filters
  for (const [column, value] of Object.entries(equal)) {
    if (value !== undefined) query = query.where(sql<boolean>`${sql.ref(`allocations.${column}`)} = ${value}`)
  }
  const visible = owner === undefined ? undefined : sql<boolean>`allocations.owner = ${owner}`
  return readPage(db, query, { name: 'allocations', key: 'uuid' }, { ...page, visible })
}

/** One allocation by UUID. */
export async function findAllocationRow(
  db: Db | Trx,
  columns: readonly RowColumn[],
  uuid: string,
): Promise<RawRow | undefined> {
  const row = await db
    .selectFrom('allocations')
    .select(readable(db, 'allocations', columns))
    .where('allocations.uuid', '=', uuid)
    .executeTakeFirst()
  return row as RawRow | undefined // columns of allocations are texts and numbers
}
