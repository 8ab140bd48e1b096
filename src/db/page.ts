/**
 * Pages of a table: so many rows after a marker, in an order. Two statements at most (the marker's place, the page),
 * however long the list. Rows stay as the engine keeps them: the view that prints them knows their columns.
 */
import { type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely'
import { NotFound } from '#lib/fault.ts'
import type { Db, Trx } from './database.ts'
import type { Tables } from './tables.ts'

export interface Page {
  /** Most rows to return. */
  limit: number
  /** The row after which the page starts, by the table's key. */
  marker?: string | undefined
  /** A column; `id` is the order of creation. Rows that are equal in it follow in that order too. */
  sortKey: string
  descending: boolean
  /**
   * Which rows there are for the caller; none: all. A marker is one of them, or the place that it has in the order would
   * tell what stands in a row that nobody may see.
   */
  visible?: RawBuilder<SqlBool> | undefined
}

/** A row as the engine returns it, by column. */
export type RawRow = Readonly<Record<string, string | number | null>>

/** A page. */
export interface Paged {
  rows: RawRow[]
  /** The row after which the next page starts; undefined where nothing follows. */
  next: RawRow | undefined
}

/**
 * Runs `query` (which has its columns and conditions) for one page.
 * @param key the column that markers name
 * @throws NotFound when no row has the marker
 */
export async function readPage<T extends keyof Tables & string, O>(
  db: Db | Trx,
  query: SelectQueryBuilder<Tables, T, O>,
  table: { name: T; key: string; id?: string },
  page: Page,
): Promise<Paged> {
  const id = sql.ref(`${table.name}.${table.id ?? 'id'}`)
  const column = sql.ref(`${table.name}.${page.sortKey === 'id' ? (table.id ?? 'id') : page.sortKey}`)
  const { visible } = page
  let paged = visible ? query.where(visible) : query
  if (page.marker !== undefined) {
    const place = await sql<{ value: string | number | null; id: string | number }>`
      select ${column} as value, ${id} as id from ${sql.table(table.name)}
      where ${sql.ref(`${table.name}.${table.key}`)} = ${page.marker} and ${visible ?? sql`1 = 1`}`.execute(db)
    const marker = place.rows[0]
    if (!marker) throw new NotFound(`Cannot list after ${page.marker}: no entry of ${table.name} has it`)
    paged = paged.where(after(column, id, marker, page.descending))
  }
  const direction = page.descending ? sql`desc nulls last` : sql`asc nulls first`
  if (page.sortKey !== 'id') paged = paged.orderBy(sql`${column} ${direction}`)
  const rows = (await paged
    .orderBy(id, page.descending ? 'desc' : 'asc')
    .limit(page.limit + 1)
    .execute()) as RawRow[] // columns of the tables are texts and numbers
  if (rows.length <= page.limit) return { rows, next: undefined }
  rows.pop()
  return { rows, next: rows.at(-1) }
}

/** Rows behind the marker; nulls come first, or last when descending. */
function after(
  column: RawBuilder<unknown>,
  id: RawBuilder<unknown>,
  marker: { value: string | number | null; id: string | number },
  descending: boolean,
): RawBuilder<boolean> {
  const { value } = marker
  if (descending) {
    if (value === null) return sql`${column} is null and ${id} < ${marker.id}`
    return sql`(${column} < ${value} or ${column} is null or (${column} = ${value} and ${id} < ${marker.id}))`
  }
  if (value === null) return sql`(${column} is not null or ${id} > ${marker.id})`
  return sql`(${column} > ${value} or (${column} = ${value} and ${id} > ${marker.id}))`
}
