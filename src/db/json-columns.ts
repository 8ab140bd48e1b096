/**
 * Columns that the engine itself prints as JSON. A page of nodes is sixty columns wide; as one text it comes out of the
 * engine for the price of reading the columns, and needs no values, no objects and no joining in this process.
 *
 * It only knows how a column of each kind is printed; which columns, under which names, is the caller's affair.
 */
import { PostgresAdapter, type RawBuilder, sql } from 'kysely'
import type { Column } from '#protocol/field.ts'
import type { Db, Trx } from './database.ts'

/** What is read of a row: a column, or several as one text. */
export type RowColumn = string | JsonColumns

export interface JsonColumns {
  /** The name under which the text is read. */
  readonly as: string
  /** At most `mostParts`. */
  readonly parts: readonly JsonPart[]
}

export interface JsonPart {
  /** What stands in front of the value: `,"name":`. */
  readonly before: string
  readonly column: string
  readonly kind: Column
  /** Values that are printed as something else, which is JSON. */
  readonly instead?: ReadonlyMap<string, string>
}

/** Functions of PostgreSQL take a hundred arguments, and a part has two. */
export const mostParts = 48

/**
 * The expressions that a query selects, each under its name.
 * @param derived what is no column of the table, by name
 */
export function readable(
  db: Db | Trx,
  table: string,
  columns: readonly RowColumn[],
  derived: Readonly<Record<string, RawBuilder<unknown>>> = {},
) {
  return columns.map(column => {
    if (typeof column === 'string') return (derived[column] ?? sql.ref(`${table}.${column}`)).as(column)
    return printed(db, table, column).as(column.as)
  })
}

/** Made once for each set of columns: a hundred small expressions cost more to put together than to run. */
const texts = { sqlite: new WeakMap<JsonColumns, string>(), postgresql: new WeakMap<JsonColumns, string>() }

function printed(db: Db | Trx, table: string, columns: JsonColumns): RawBuilder<string> {
  const engine = db.getExecutor().adapter instanceof PostgresAdapter ? 'postgresql' : 'sqlite'
  const known = texts[engine].get(columns)
  if (known !== undefined) return sql.raw(known)
  const quote = engine === 'sqlite' ? (ref: string) => `json_quote(${ref})` : (ref: string) => `to_json(${ref})::text`
  const args = columns.parts.flatMap(part => [
    literal(part.before),
    printedValue(part, `${table}."${part.column}"`, quote),
  ])
  const text = `concat(${args.join(', ')})`
  texts[engine].set(columns, text)
  return sql.raw(text)
}

function printedValue({ kind, instead }: JsonPart, ref: string, quote: (ref: string) => string): string {
  if (kind === 'flag') return `case when ${ref} is null then 'null' when ${ref} = 0 then 'false' else 'true' end`
  if (kind === 'int') return `coalesce(cast(${ref} as text), 'null')`
  if (kind === 'json') return `coalesce(${ref}, 'null')`
  const value = `coalesce(${quote(ref)}, 'null')`
  if (!instead || instead.size === 0) return value
  const cases = [...instead].map(([from, to]) => `when ${literal(from)} then ${literal(to)}`)
  return `case ${ref} ${cases.join(' ')} else ${value} end`
}

/** Names and values that the declarations of fields carry; nothing of a request comes here. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
