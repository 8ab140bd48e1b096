/**
 * Queries that run thousands of times a second: built and compiled once per engine, then only bound and run. Building a
 * query with Kysely takes longer than SQLite takes to answer it. What is built here is what runs; nothing is parsed.
 */
import type { CompiledQuery, QueryResult } from 'kysely'
import type { Db, Trx } from './database.ts'

type Bindable = string | number | null
type Arguments = Readonly<Record<string, Bindable>>

interface Compilable<R> {
  compile(): CompiledQuery<R>
}

/**
 * @param build makes the query; what it is given as arguments stands for values and cannot be looked at
 * @returns the query as a function of connection and values
 */
export function prepared<A extends Arguments, R>(
  build: (db: Db | Trx, arg: A) => Compilable<R>,
): (db: Db | Trx, args: A) => Promise<QueryResult<R>> {
  /** By the engine's adapter, which a connection and its transactions have in common. */
  const compiled = new WeakMap<object, CompiledQuery<R>>()
  return (db, args) => {
    const { adapter } = db.getExecutor()
    let query = compiled.get(adapter)
    if (query === undefined) {
      query = build(db, placeholders as A).compile()
      compiled.set(adapter, query)
    }
    return db.executeQuery<R>({ ...query, parameters: query.parameters.map(value => bound(value, args)) })
  }
}

/** Sets of columns that are written together, of one statement. More than these would be a leak, not a habit. */
const SETS = 200

/** The same for updates whose columns differ from call to call: one query for each set of columns. */
export function preparedUpdate<A extends Arguments, R>(
  build: (db: Db | Trx, set: Record<string, Bindable>, arg: A) => Compilable<R>,
): (db: Db | Trx, set: Readonly<Record<string, Bindable>>, args: A) => Promise<QueryResult<R>> {
  const queries = new Map<string, (db: Db | Trx, args: Arguments) => Promise<QueryResult<R>>>()
  return (db, set, args) => {
    const columns = Object.keys(set)
    const key = columns.join()
    let query = queries.get(key)
    if (query === undefined) {
      query = prepared((each, arg) => {
        const values = Object.fromEntries(columns.map(column => [column, arg[`set ${column}`] as Bindable]))
        return build(each, values, arg as A)
      })
      if (queries.size >= SETS) queries.delete(queries.keys().next().value ?? '')
      queries.set(key, query)
    }
    const values: Record<string, Bindable> = { ...args }
    for (const column of columns) values[`set ${column}`] = set[column] as Bindable
    return query(db, values)
  }
}

const mark = '\0argument '

/** Answers for every name with a text that nobody stores. */
const placeholders: unknown = new Proxy({}, { get: (_, name) => mark + String(name) })

function bound(parameter: unknown, args: Arguments): unknown {
  if (typeof parameter !== 'string' || !parameter.startsWith(mark)) return parameter
  return args[parameter.slice(mark.length)]
}
