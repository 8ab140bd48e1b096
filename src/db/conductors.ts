/** Queries on conductors: which processes are there, and what each can drive. */
import { timestamp } from '#protocol/field.ts'
import type { InterfaceType } from '#protocol/interfaces.ts'
import { type Db, inTransaction, type Trx } from './database.ts'
import { releaseWork } from './handover.ts'
import { prepared } from './prepared.ts'

export interface ConductorRow {
  hostname: string
  conductor_group: string
  created_at: string
  updated_at: string
  updatedAtMs: number
  online: boolean
  /** One life of the process. */
  incarnation: string
}

export interface EnabledInterface {
  hostname: string
  hardware_type: string
  interface_type: InterfaceType
  interface_name: string
  is_default: boolean
}

/** Says "I am here" with all that this conductor can drive; replaces what it said before. */
export async function registerConductor(
  db: Db,
  conductor: {
    hostname: string
    incarnation?: string
    group: string
    nowMs: number
    interfaces: Omit<EnabledInterface, 'hostname'>[]
  },
): Promise<void> {
  const at = timestamp(conductor.nowMs)
  const { hostname, incarnation = '', nowMs } = conductor
  const alive = { conductor_group: conductor.group, updated_at: at, updated_at_ms: nowMs, online: 1, incarnation }
  await inTransaction(db, async trx => {
    await trx
      .insertInto('conductors')
      .values({ hostname, created_at: at, ...alive })
      .onConflict(on => on.column('hostname').doUpdateSet(alive))
      .execute()
    await trx.deleteFrom('conductor_interfaces').where('hostname', '=', hostname).execute()
    if (conductor.interfaces.length === 0) return
    await trx
      .insertInto('conductor_interfaces')
      .values(
        conductor.interfaces.map(row => ({
          ...row,
          hostname,
          is_default: row.is_default ? 1 : 0,
        })),
      )
      .execute()
  })
}

/**
 * A sign of life. False: this life of the conductor was declared over, or another process has its name; whatever it held
 * may be in other hands.
 */
export async function touchConductor(db: Db, { hostname, incarnation }: Life, nowMs: number): Promise<boolean> {
  return Boolean((await signOfLife(db, { hostname, incarnation, nowMs, at: timestamp(nowMs) })).numAffectedRows)
}

type Sign = { hostname: string; incarnation: string; nowMs: number; at: string }

const signOfLife = prepared((db, { hostname, incarnation, nowMs, at }: Sign) =>
  db
    .updateTable('conductors')
    .set({ updated_at: at, updated_at_ms: nowMs })
    .where('hostname', '=', hostname)
    .where('incarnation', '=', incarnation)
    .where('online', '=', 1),
)

/** One life of a conductor. */
export interface Life {
  hostname: string
  incarnation: string
}

/**
 * Ends a life of a conductor, its own or that of one that is silent: its leases are over, fencing whoever still believes
 * to have one, and its work waits for another. False: that life was over already.
 * @param updatedAtMs when it was last heard; a sign of life since then keeps it alive
 */
export async function retireConductor(
  db: Db,
  { hostname, incarnation, updatedAtMs }: Life & { updatedAtMs?: number },
): Promise<boolean> {
  return inTransaction(db, async trx => {
    let update = trx
      .updateTable('conductors')
      .set({ online: 0 })
      .where('hostname', '=', hostname)
      .where('incarnation', '=', incarnation)
      .where('online', '=', 1)
    if (updatedAtMs !== undefined) update = update.where('updated_at_ms', '=', updatedAtMs)
    const result = await update.executeTakeFirst()
    if (result.numUpdatedRows === 0n) return false
    await releaseWork(trx, hostname)
    return true
  })
}

/**
 * Lets go what stands in the name of a conductor that is not online: left by a death in mid-request, or by one long ago.
 * False: it is online by now, whatever the caller saw, and the work is its own.
 */
export async function releaseStrays(db: Db, hostname: string): Promise<boolean> {
  return inTransaction(db, async trx => {
    // Whoever starts under this name waits for the row, and so for the end of this.
    const { numUpdatedRows } = await trx
      .updateTable('conductors')
      .set({ online: 0 })
      .where('hostname', '=', hostname)
      .where('online', '=', 0)
      .executeTakeFirst()
    const isKnown = () =>
      trx.selectFrom('conductors').select('hostname').where('hostname', '=', hostname).executeTakeFirst()
    if (numUpdatedRows === 0n && (await isKnown())) return false
    await releaseWork(trx, hostname)
    return true
  })
}

export async function listConductors(db: Db | Trx): Promise<ConductorRow[]> {
  const { rows } = await allConductors(db, {})
  return rows.map(({ updated_at_ms, ...row }) => ({
    ...row,
    updatedAtMs: Number(updated_at_ms),
    online: Number(row.online) !== 0,
  }))
}

const allConductors = prepared(db => db.selectFrom('conductors').selectAll().orderBy('hostname'))

/** Which hardware types each conductor drives. */
export async function drivenTypes(db: Db | Trx): Promise<Pick<EnabledInterface, 'hostname' | 'hardware_type'>[]> {
  return (await drivenByEach(db, {})).rows
}

const drivenByEach = prepared(db =>
  db.selectFrom('conductor_interfaces').select(['hostname', 'hardware_type']).distinct(),
)

export async function listInterfaces(db: Db | Trx): Promise<EnabledInterface[]> {
  const rows = await db.selectFrom('conductor_interfaces').selectAll().execute()
  return rows.map(row => ({
    ...row,
    interface_type: row.interface_type as InterfaceType, // written from the registry's typed rows above
    is_default: Number(row.is_default) !== 0,
  }))
}
