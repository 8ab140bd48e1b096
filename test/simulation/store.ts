/**
 * One database for all conductors of a simulation, each with a connection of its own that can break, and that goes down
 * with its process in the middle of whatever it did: what was not committed is rolled back, as by a server that lost a
 * client. Transactions follow each other, as in SQLite.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
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
import { migrationsFor } from '#db/migrations.ts'
import type { Tables } from '#db/tables.ts'

/** What stands between a process and its database. */
export interface Gate {
  readonly isOpen: boolean
  /** Before a statement: may throw, or never resolve in a process that is dead. */
  before(): Promise<void>
  /** After it. */
  after(): Promise<void>
}

export class Store {
  readonly sqlite = new DatabaseSync(':memory:')
  readonly #compiled = new Map<string, { statement: StatementSync; reader: boolean }>()
  readonly #queue: Connection[] = []
  #owner: Connection | undefined

  constructor() {
    this.sqlite.exec('PRAGMA foreign_keys = ON')
    for (const { sql } of migrationsFor('sqlite')) this.sqlite.exec(sql)
    // Every move along the state table, whoever made it.
    this.sqlite.exec(`
      CREATE TEMP TABLE moves (node_uuid TEXT, came_from TEXT, went_to TEXT);
      CREATE TEMP TRIGGER note_move AFTER UPDATE OF provision_state ON nodes
        WHEN OLD.provision_state IS NOT NEW.provision_state
        BEGIN INSERT INTO moves VALUES (NEW.uuid, OLD.provision_state, NEW.provision_state); END;
    `)
  }

  /** Empties every table: a store serves one simulation after another, so that its schema is made once. */
  clear(): void {
    this.#queue.length = 0
    if (this.#owner?.inTransaction) this.sqlite.exec('ROLLBACK')
    this.#owner = undefined
    const names = this.sqlite
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
      .all()
      .map(row => String(row.name))
    this.sqlite.exec('PRAGMA foreign_keys = OFF')
    for (const name of [...names, 'temp.moves', 'sqlite_sequence']) this.sqlite.exec(`DELETE FROM ${name}`)
    this.sqlite.exec('PRAGMA foreign_keys = ON')
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
    const owner = this.#owner
    if (owner?.gate !== gate) return
    if (owner.inTransaction) this.sqlite.exec('ROLLBACK')
    owner.inTransaction = false
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

  run({ sql, parameters }: CompiledQuery): QueryResult<never> {
    let entry = this.#compiled.get(sql)
    if (!entry) {
      const statement = this.sqlite.prepare(sql)
      entry = { statement, reader: statement.columns().length > 0 }
      this.#compiled.set(sql, entry)
    }
    const values = parameters as SQLInputValue[] // what Kysely binds
    if (entry.reader) {
      const rows = entry.statement.all(...values) as never[] // typed by the query
      return { rows, numAffectedRows: BigInt(rows.length) }
    }
    const { changes, lastInsertRowid } = entry.statement.run(...values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }
}

class Connection implements DatabaseConnection {
  readonly gate: Gate
  inTransaction = false
  granted = () => {}
  readonly #store: Store

  constructor(store: Store, gate: Gate) {
    this.#store = store
    this.gate = gate
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    await this.gate.before()
    const result = this.#store.run(query)
    await this.gate.after()
    return result as QueryResult<R> // typed by the query
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
    await this.#gate.before()
    this.#store.sqlite.exec('BEGIN')
    ;(connection as Connection).inTransaction = true // as above
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await this.#gate.before()
    this.#store.sqlite.exec('COMMIT')
    ;(connection as Connection).inTransaction = false
    await this.#gate.after()
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const mine = connection as Connection
    // A server rolls back whether the client's request reached it or not.
    if (mine.inTransaction) this.#store.sqlite.exec('ROLLBACK')
    mine.inTransaction = false
  }
}
