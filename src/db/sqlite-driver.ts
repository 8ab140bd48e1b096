/**
 * SQLite as a driver for Kysely, with one commit for all that is written in one turn of the event loop. A commit costs
 * as much as ten statements; under load hundreds of flows write in the same turn. Nobody is told of a write, and nobody
 * reads one, before it is committed: each call is answered after the commit of the turn that it fell into.
 *
 * Transactions are savepoints of the turn's: one at a time, and what one of them takes back leaves the others alone.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely'
import { statementsDone, timedStatement } from './measured.ts'

/** Statements are compiled once per text, and so many of them are kept. */
const STATEMENTS = 500
/**
 * Those with more values are lists of things that were asked for: each length is a text of its own, and the engine needs
 * megabytes for the longest. They are compiled each time.
 */
const MOST_VALUES = 200

/** The commit that ends a turn. */
interface Turn {
  readonly committed: Promise<void>
  resolve(): void
  reject(error: unknown): void
}

interface Prepared {
  readonly statement: StatementSync
  /** Makes the object of a row; undefined where the statement returns none. */
  readonly rowOf: ((values: unknown) => unknown) | undefined
  readonly changes: boolean
}

export class SqliteDriver implements Driver {
  readonly #sqlite: DatabaseSync
  /** False: each transaction and each statement commits by itself, at once. */
  readonly #shared: boolean
  readonly #onClose: (() => Promise<void>) | undefined
  readonly #statements = new Map<string, Prepared>()
  #turn: Turn | undefined
  /** The connection whose transaction is under way; everybody else waits for its end. */
  #owner: Connection | undefined
  readonly #waiting: (() => void)[] = []
  /** The turn is over, and its commit waits for the transaction under way. */
  #isDue = false

  /**
   * @param options.shared one commit for all writes of a turn; pointless for a database in memory
   * @param options.onClose done before the file is closed
   */
  constructor(sqlite: DatabaseSync, options: { shared: boolean; onClose?: () => Promise<void> }) {
    this.#onClose = options.onClose
    this.#sqlite = sqlite
    this.#shared = options.shared
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<Connection> {
    return new Connection(this)
  }

  async releaseConnection(): Promise<void> {}

  async beginTransaction(connection: Connection): Promise<void> {
    while (this.#owner) await this.#freed()
    this.#owner = connection
    try {
      this.#openTurn()
      this.#sqlite.exec('SAVEPOINT part')
    } catch (error) {
      this.#release(connection)
      throw error
    }
  }

  async commitTransaction(connection: Connection): Promise<void> {
    const turn = this.#turn
    this.#sqlite.exec('RELEASE part')
    this.#release(connection)
    await turn?.committed
  }

  async rollbackTransaction(connection: Connection): Promise<void> {
    // Where the commit of the turn failed there is nothing left to take back.
    if (this.#owner !== connection) return
    // An error like a full disk has ended the whole turn already.
    if (this.#sqlite.isTransaction) this.#sqlite.exec('ROLLBACK TO part; RELEASE part')
    this.#release(connection)
  }

  async destroy(): Promise<void> {
    while (this.#owner) await this.#freed()
    this.#commit()
    await this.#onClose?.()
    this.#sqlite.close()
  }

  async run<R>(connection: Connection, { sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    while (this.#owner && this.#owner !== connection) await this.#freed()
    // Whoever waited behind this one: it takes no turn of its own.
    if (!this.#owner) this.#waiting.shift()?.()
    const { statement, rowOf, changes } = this.#prepared(sql, parameters.length)
    const inTransaction = this.#owner === connection
    if (changes && !inTransaction) this.#openTurn()
    const values = parameters as readonly SQLInputValue[] // Kysely passes what it was given: bindable values
    const result: QueryResult<R> = rowOf
      ? { rows: statement.all(...values).map(rowOf) as R[] }
      : written(statement.run(...values))
    if (!inTransaction) await this.#turn?.committed
    return result
  }

  #prepared(sql: string, values: number): Prepared {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#sqlite.prepare(sql)
    const columns = statement.columns().map(column => column.name)
    statement.setReturnArrays(true)
    const made = {
      statement,
      rowOf: columns.length > 0 ? rowMaker(columns) : undefined,
      changes: !/^\s*(select|with|values)\b/i.test(sql),
    }
    if (values > MOST_VALUES) return made
    if (this.#statements.size >= STATEMENTS) this.#statements.delete(this.#statements.keys().next().value ?? '')
    this.#statements.set(sql, made)
    return made
  }

  /** From here to the end of the event loop's turn everything is one transaction of the engine. */
  #openTurn(): void {
    if (this.#turn || (!this.#shared && !this.#owner)) return
    this.#sqlite.exec('BEGIN IMMEDIATE')
    const { promise: committed, resolve, reject } = Promise.withResolvers<void>()
    // Whoever wrote waits for it; a turn in which all gave up has nobody to tell.
    committed.catch(() => {})
    this.#turn = { committed, resolve, reject }
    if (!this.#shared) return
    setImmediate(() => {
      if (this.#owner) this.#isDue = true
      else this.#commit()
    })
  }

  #release(connection: Connection): void {
    if (this.#owner !== connection) return
    this.#owner = undefined
    if (this.#isDue || !this.#shared) this.#commit()
    this.#waiting.shift()?.()
  }

  #commit(): void {
    const turn = this.#turn
    this.#turn = undefined
    this.#isDue = false
    if (!turn) return
    try {
      // Fails where an error in mid-turn has taken everything back: nobody may believe that it was written.
      this.#sqlite.exec('COMMIT')
      turn.resolve()
    } catch (error) {
      if (this.#sqlite.isTransaction) this.#sqlite.exec('ROLLBACK')
      turn.reject(error)
    }
  }

  #freed(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }
}

/**
 * Makes objects of the rows that node:sqlite gives as lists. Its own objects are hash tables, slow to make and slow to
 * read; those of one literal share a shape. A page of a thousand nodes costs two thirds of what it did.
 */
export function rowMaker(columns: readonly string[]): (values: unknown) => unknown {
  // Names of columns come from our own statements, and are quoted all the same.
  const entries = columns.map((name, index) => `${JSON.stringify(name)}: values[${index}]`)
  return new Function('values', `return { ${entries.join(', ')} }`) as ReturnType<typeof rowMaker>
}

class Connection implements DatabaseConnection {
  readonly #driver: SqliteDriver

  constructor(driver: SqliteDriver) {
    this.#driver = driver
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const run = () => this.#driver.run<R>(this, query)
    return statementsDone.isHeard ? timedStatement('sqlite', run) : run()
  }

  // biome-ignore lint/correctness/useYield: the interface demands a generator; nothing here streams
  async *streamQuery(): AsyncGenerator<never> {
    throw new Error('Rows are read as a list: no query is streamed from SQLite')
  }
}

function written<R>({ changes, lastInsertRowid }: ReturnType<StatementSync['run']>): QueryResult<R> {
  return { numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid), rows: [] }
}
