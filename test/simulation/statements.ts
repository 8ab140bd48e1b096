/**
 * The statements of a simulation, compiled once, and what they answered. Conductors that have nothing to do ask the same
 * things again and again: as long as none of its tables has changed, a statement that changed nothing answers what it
 * answered before, without being run.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { CompiledQuery, QueryResult } from 'kysely'
import { rowMaker } from '#db/sqlite-driver.ts'

/** So many answers of one statement are kept. */
const answersKept = 50
/** After so many runs it is known whether a statement repeats itself. */
const triedOften = 200

interface Prepared {
  readonly statement: StatementSync
  /** Makes the object of a row; undefined where the statement returns none. */
  readonly rowOf: ((values: unknown) => unknown) | undefined
  readonly kind: 'reads' | 'changes' | 'deletes'
  /** Those that it names; of one that changes something, the first is what it changes. */
  readonly tables: readonly string[]
  /** Whether it is worth looking; and how often it was found to be, and not to be. */
  repeats: boolean
  hits: number
  misses: number
  /** By its values. */
  readonly answers: Map<string, { readonly version: number; readonly result: QueryResult<never> }>
}

export class Statements {
  readonly #sqlite: DatabaseSync
  readonly #prepared = new Map<string, Prepared>()
  /** Grows whenever something in the table may be another than before. */
  readonly #versions = new Map<string, number>()

  /** @param tables that exist */
  constructor(sqlite: DatabaseSync, tables: readonly string[]) {
    this.#sqlite = sqlite
    for (const table of tables) this.#versions.set(table, 0)
  }

  run({ sql, parameters }: CompiledQuery): QueryResult<never> {
    const query = this.#prepare(sql)
    const values = parameters as SQLInputValue[] // what Kysely binds
    if (!query.repeats) return this.#execute(query, values)
    const key = JSON.stringify(values)
    const version = query.tables.reduce((sum, table) => sum + (this.#versions.get(table) ?? 0), 0)
    const known = query.answers.get(key)
    if (known?.version === version) {
      query.hits += 1
      return known.result
    }
    const result = this.#execute(query, values)
    query.misses += 1
    if (query.misses > triedOften && query.hits < query.misses / 10) query.repeats = false
    if (query.kind !== 'reads' && result.numAffectedRows !== 0n) return result
    if (query.answers.size >= answersKept) query.answers.clear()
    query.answers.set(key, { version, result })
    return result
  }

  #execute(query: Prepared, values: SQLInputValue[]): QueryResult<never> {
    const result = query.rowOf ? rowsOf(query.statement, query.rowOf, values) : written(query.statement, values)
    // What is deleted may take rows of other tables along.
    if (query.kind !== 'reads' && result.numAffectedRows !== 0n)
      this.changed(query.kind === 'deletes' ? undefined : query.tables[0])
    return result
  }

  /** Something was changed in this table, or, where none is named, in any. */
  changed(table?: string): void {
    for (const name of table === undefined ? this.#versions.keys() : [table])
      this.#versions.set(name, (this.#versions.get(name) ?? 0) + 1)
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql)
    if (known) return known
    const statement = this.#sqlite.prepare(sql)
    const columns = statement.columns().map(column => column.name)
    statement.setReturnArrays(true)
    const names = [...sql.matchAll(/"(\w+)"/g)].map(([, name = '']) => name)
    const made: Prepared = {
      statement,
      rowOf: columns.length > 0 ? rowMaker(columns) : undefined,
      kind: /^select\b/i.test(sql) ? 'reads' : /^delete\b/i.test(sql) ? 'deletes' : 'changes',
      tables: [...new Set(names.filter(name => this.#versions.has(name)))],
      repeats: true,
      hits: 0,
      misses: 0,
      answers: new Map(),
    }
    this.#prepared.set(sql, made)
    return made
  }
}

function rowsOf(
  statement: StatementSync,
  rowOf: (values: unknown) => unknown,
  values: SQLInputValue[],
): QueryResult<never> {
  const rows = statement.all(...values).map(rowOf) as never[] // typed by the query
  // An answer is given out more than once: nobody may change it.
  for (const row of rows) Object.freeze(row)
  return { rows, numAffectedRows: BigInt(rows.length) }
}

function written(statement: StatementSync, values: SQLInputValue[]): QueryResult<never> {
  const { changes, lastInsertRowid } = statement.run(...values)
  return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
}
