/**
 * One database for all conductors of a simulation, each with a connection of its own that can break, and that goes down
 * with its process in the middle of whatever it did: what was not committed is rolled back, as by a server that lost a
 * client. Transactions follow each other, as in SQLite.
 */
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Db } from '#db/database.ts'
import { DatabaseUnavailable } from '#db/faults.ts'
import { migrationsFor } from '#db/migrations.ts'
import type { Tables } from '#db/tables.ts'
import { keepLedger, type Ledger, type Writer } from './ledger.ts'
import { Statements } from './statements.ts'

/** What stands between a process and its database. */
export interface Gate {
  readonly isOpen: boolean
  /** Who is behind it; undefined: the simulation itself. */
  readonly writer: Writer | undefined
  /** Before a statement: may throw, or never resolve in a process that is dead. */
  before(): Promise<void>
  /** After it. */
  after(): Promise<void>
}

export class Store {
  readonly sqlite = new DatabaseSync(':memory:')
  /** Of the present simulation. */
  ledger: Ledger | undefined
  readonly #statements: Statements
  readonly #queries = new Map<string, StatementSync>()
  /** Of the schema; but for those that a migration put rows into. */
  readonly #emptied: readonly string[]
  readonly #queue: Connection[] = []
  #owner: Connection | undefined

  constructor() {
    this.sqlite.exec('PRAGMA foreign_keys = ON')
    for (const { sql } of migrationsFor('sqlite')) this.sqlite.exec(sql)
    keepLedger(this.sqlite, () => this.ledger)
    const named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    const tables = this.sqlite
      .prepare(named)
      .all()
      .map(row => String(row.name))
    const isEmpty = (table: string) => this.sqlite.prepare(`SELECT 1 FROM ${table}`).get() === undefined
    this.#emptied = [...tables.filter(isEmpty), 'sqlite_sequence']
    this.#statements = new Statements(this.sqlite, tables)
  }

  /** Empties the tables: a store serves one simulation after another, so that its schema is made once. */
  clear(): void {
    this.#queue.length = 0
    if (this.#owner?.inTransaction) this.rollBack()
    this.#owner = undefined
    this.sqlite.exec('PRAGMA foreign_keys = OFF')
    for (const name of this.#emptied) this.sqlite.exec(`DELETE FROM ${name}`)
    this.sqlite.exec('UPDATE turnstiles SET passed_at_ms = 0')
    this.sqlite.exec('PRAGMA foreign_keys = ON')
    this.#statements.changed()
  }

  /** What the simulation itself looks at, which no fault keeps from it. */
  rows(sql: string, ...values: SQLInputValue[]): Record<string, SQLOutputValue>[] {
    let query = this.#queries.get(sql)
    if (!query) {
      query = this.sqlite.prepare(sql)
      this.#queries.set(sql, query)
    }
    return query.all(...values)
  }

  row(sql: string, ...values: SQLInputValue[]): Record<string, SQLOutputValue> | undefined {
    return this.rows(sql, ...values)[0]
  }

  /** A connection of its own for one process. */
  connect(gate: Gate): Db {
    return new Kysely<Tables>({
      dialect: {
        createDriver: () => new StoreDriver(this, gate),
        createAdapter: () => new SqliteAdapter(),
        createIntrospector: db => new SqliteIntrospector(db),
        createQueryCompiler: () => new SqliteQueryCompiler(),
      },
    })
  }

  /** The process behind the gate is gone: its transaction is rolled back, and the others go on. */
  abandon(gate: Gate): void {
    for (let at = this.#queue.length - 1; at >= 0; at--) if (this.#queue[at]?.gate === gate) this.#queue.splice(at, 1)
    this.breakOff(gate)
  }

  /** The server gives up the connection that the process behind the gate keeps all others waiting with. */
  breakOff(gate: Gate): void {
    const owner = this.#owner
    if (owner?.gate !== gate) return
    if (owner.inTransaction) this.rollBack()
    owner.inTransaction = false
    owner.isBroken = true
    this.release(owner)
  }

  async acquire(connection: Connection): Promise<void> {
    // A dead process must not hold up the others.
    if (!connection.gate.isOpen) await new Promise<never>(() => {})
    if (this.#owner === undefined) this.#owner = connection
    else
      await new Promise<void>(resolve => {
        connection.granted = resolve
        this.#queue.push(connection)
      })
  }

  release(connection: Connection): void {
    if (this.#owner !== connection) return
    this.#owner = this.#queue.shift()
    this.#owner?.granted()
  }

  run(query: CompiledQuery, { gate, inTransaction }: Connection): QueryResult<never> {
    if (this.ledger) this.ledger.writer = gate.writer
    const result = this.#statements.run(query)
    if (!inTransaction) this.ledger?.commit()
    return result
  }

  commit(): void {
    this.row('COMMIT')
    this.ledger?.commit()
  }

  /** What the transaction under way has done is taken back. */
  rollBack(): void {
    this.sqlite.exec('ROLLBACK')
    this.#statements.changed()
    this.ledger?.rollBack()
  }
}

class Connection implements DatabaseConnection {
  readonly gate: Gate
  inTransaction = false
  /** The server has given it up, and told nobody. */
  isBroken = false
  granted = () => {}
  readonly #store: Store

  constructor(store: Store, gate: Gate) {
    this.#store = store
    this.gate = gate
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const result = await this.reached(() => this.#store.run(query, this))
    await this.gate.after()
    return result as QueryResult<R> // typed by the query
  }

  /** Tells the server something as soon as it can be reached. @throws DatabaseUnavailable */
  async reached<T>(tell: () => T): Promise<T> {
    await this.gate.before()
    // The process may have died by something else of it that ran between the gate and here.
    if (!this.gate.isOpen) await new Promise<never>(() => {})
    if (this.isBroken) throw new DatabaseUnavailable('the server has ended this connection: it was silent for too long')
    return tell()
  }

  // biome-ignore lint/correctness/useYield: nobody streams here
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the simulated store streams no rows')
  }
}

class StoreDriver implements Driver {
  readonly #store: Store
  readonly #gate: Gate

  constructor(store: Store, gate: Gate) {
    this.#store = store
    this.#gate = gate
  }

  async init(): Promise<void> {}
  async destroy(): Promise<void> {}

  async acquireConnection(): Promise<Connection> {
    const connection = new Connection(this.#store, this.#gate)
    await this.#store.acquire(connection)
    return connection
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    this.#store.release(connection as Connection) // this driver hands out no others
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    const mine = connection as Connection // as above
    await mine.reached(() => {
      this.#store.row('BEGIN')
      mine.inTransaction = true
    })
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const mine = connection as Connection // as above
    await mine.reached(() => {
      this.#store.commit()
      mine.inTransaction = false
    })
    await this.#gate.after()
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const mine = connection as Connection
    // A server rolls back whether the client's request reached it or not.
    if (mine.inTransaction) this.#store.rollBack()
    mine.inTransaction = false
  }
}
