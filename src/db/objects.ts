/**
 * The queries that every plain table of the API needs: objects with a UUID, perhaps a name, described by their fields.
 * Statements are the same for all of them; what only one table can do is in that table's own file. Each function makes
 * one statement, a page two at most.
 */
import { type RawBuilder, type SqlBool, sql } from 'kysely'
import { Conflict } from '#lib/fault.ts'
import { type Field, timestamp } from '#protocol/field.ts'
import { codecOf, type Stored } from './codec.ts'
import type { Db, Trx } from './database.ts'
import { duplicateColumns, isBrokenReference } from './faults.ts'
import { type RowColumn, readable } from './json-columns.ts'
import { type Page, type Paged, type RawRow, readPage } from './page.ts'
import type { Tables } from './tables.ts'

type FieldTable = Record<string, Field>

/** Conditions of a list; all must hold. */
export interface ObjectFilters {
  /** Equal to these, by column; undefined is no condition. */
  readonly equal?: Readonly<Record<string, string | number | undefined>>
  readonly where?: readonly RawBuilder<SqlBool>[]
  /** Which objects there are for the caller. */
  readonly visible?: RawBuilder<SqlBool> | undefined
}

/** What tells whether an object was changed since it was read. */
export interface Read {
  readonly uuid: string
  readonly updated_at: string | null
}

/** Time of a change: later than that of the one before, so that no two look the same. */
export function timeAfter({ updated_at }: Pick<Read, 'updated_at'>, nowMs: number): string {
  return timestamp(updated_at === null ? nowMs : Math.max(nowMs, Date.parse(updated_at) + 1))
}

export interface ObjectTable<F extends FieldTable> {
  /** @throws Conflict when another object has what must be unique */
  insert(db: Db | Trx, object: Readonly<Record<string, unknown>>): Promise<void>
  /** By UUID, or by name where the table has names. */
  find(db: Db | Trx, ident: string): Promise<Stored<F> | undefined>
  /** @throws Conflict as insert() does. Returns whether there was such an object. */
  update(db: Db | Trx, uuid: string, patch: Readonly<Record<string, unknown>>, nowMs: number): Promise<boolean>
  /** As update(), of an object as it was read. Returns whether it is still as that. */
  replace(db: Db | Trx, read: Read, patch: Readonly<Record<string, unknown>>, nowMs: number): Promise<boolean>
  /** Returns whether there was such an object. */
  delete(db: Db | Trx, uuid: string): Promise<boolean>
  deleteAll(db: Db | Trx): Promise<void>
  findRow(db: Db | Trx, columns: readonly RowColumn[], ident: string): Promise<RawRow | undefined>
  listRows(db: Db | Trx, columns: readonly RowColumn[], filters: ObjectFilters, page: Page): Promise<Paged>
}

/** @param noun what one of them is called in messages: `chassis` */
export function objectTable<F extends FieldTable>(options: {
  table: keyof Tables & string
  fields: F
  noun: string
}): ObjectTable<F> {
  const { fields, noun } = options
  const table = sql.table(options.table)
  // One of the tables stands for all: only columns by name are used, and rows leave as RawRow.
  const name = options.table as 'chassis'
  const codec = codecOf(fields)
  const encode = (part: Readonly<Record<string, unknown>>) =>
    Object.entries(codec.encode(part as Partial<Stored<F>>)) as [string, string | number | null][] // as columns are kept
  const named = fields.name?.column !== undefined
  const identified = (ident: string) =>
    named ? sql<SqlBool>`(uuid = ${ident} or name = ${ident})` : sql<SqlBool>`uuid = ${ident}`

  return {
    async insert(db, object) {
      const entries = encode(object)
      const columns = sql.join(entries.map(([name]) => sql.ref(name)))
      const values = sql.join(entries.map(([, value]) => value))
      await sql`insert into ${table} (${columns}) values (${values})`
        .execute(db)
        .catch(error => explain(error, noun, object))
    },

    async find(db, ident) {
      const { rows } = await sql<Parameters<typeof codec.decode>[0]>`
        select * from ${table} where ${identified(ident)}`.execute(db)
      return rows[0] && codec.decode(rows[0])
    },

    async update(db, uuid, patch, nowMs) {
      const set = [...encode(patch), ['updated_at', timestamp(nowMs)] as const]
      const changes = sql.join(set.map(([name, value]) => sql`${sql.ref(name)} = ${value}`))
      const result = await sql`update ${table} set ${changes} where uuid = ${uuid}`
        .execute(db)
        .catch(error => explain(error, noun, patch))
      return (result.numAffectedRows ?? 0n) > 0n
    },

    async replace(db, read, patch, nowMs) {
      const set = [...encode(patch), ['updated_at', timeAfter(read, nowMs)] as const]
      const changes = sql.join(set.map(([name, value]) => sql`${sql.ref(name)} = ${value}`))
      const { uuid, updated_at } = read
      const same = updated_at === null ? sql`updated_at is null` : sql`updated_at = ${updated_at}`
      const result = await sql`update ${table} set ${changes} where uuid = ${uuid} and ${same}`
        .execute(db)
        .catch(error => explain(error, noun, patch))
      return (result.numAffectedRows ?? 0n) > 0n
    },

    async delete(db, uuid) {
      const result = await sql`delete from ${table} where uuid = ${uuid}`
        .execute(db)
        .catch(error => explain(error, noun, {}))
      return (result.numAffectedRows ?? 0n) > 0n
    },

    async deleteAll(db) {
      await sql`delete from ${table}`.execute(db)
    },

    async findRow(db, columns, ident) {
      const row = await db
        .selectFrom(name)
        .select(readable(db, name, columns))
        .where(identified(ident))
        .executeTakeFirst()
      return row as RawRow | undefined // columns of the tables are texts and numbers
    },

    async listRows(db, columns, filters, page) {
      let query = db.selectFrom(name).select(readable(db, name, columns))
      for (const [column, value] of Object.entries(filters.equal ?? {})) {
        if (value !== undefined) query = query.where(sql<SqlBool>`${sql.ref(`${name}.${column}`)} = ${value}`)
      }
      for (const condition of filters.where ?? []) query = query.where(condition)
      return readPage(db, query, { name, key: 'uuid' }, { ...page, visible: filters.visible })
    },
  }
}

/** Turns the engine's message about a constraint into one about the fields. */
function explain(error: unknown, noun: string, values: Readonly<Record<string, unknown>>): never {
  const duplicate = duplicateColumns(error)
  if (duplicate) {
    const shown = duplicate.columns.map(column =>
      values[column] === undefined ? column : `${column} ${JSON.stringify(values[column])}`,
    )
    throw new Conflict(`A ${noun} with ${shown.join(' and ')} already exists`)
  }
  if (isBrokenReference(error)) {
    throw new Conflict(`Cannot write the ${noun}: what it refers to, or what refers to it, has just changed`)
  }
  throw error
}
