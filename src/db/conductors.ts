/** Queries on conductors: which processes are there, and what each can drive. */
import { timestamp } from '#protocol/field.ts'
import type { InterfaceType } from '#protocol/interfaces.ts'
import { type Db, inTransaction, type Trx } from './database.ts'

export interface ConductorRow {
  hostname: string
  conductor_group: string
  created_at: string
  updated_at: string
  updatedAtMs: number
  online: boolean
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
  conductor: { hostname: string; group: string; nowMs: number; interfaces: Omit<EnabledInterface, 'hostname'>[] },
): Promise<void> {
  const at = timestamp(conductor.nowMs)
  const alive = { conductor_group: conductor.group, updated_at: at, updated_at_ms: conductor.nowMs, online: 1 }
  await inTransaction(db, async trx => {
    await trx
      .insertInto('conductors')
      .values({ hostname: conductor.hostname, created_at: at, ...alive })
      .onConflict(on => on.column('hostname').doUpdateSet(alive))
      .execute()
    await trx.deleteFrom('conductor_interfaces').where('hostname', '=', conductor.hostname).execute()
    if (conductor.interfaces.length === 0) return
    await trx
      .insertInto('conductor_interfaces')
      .values(
        conductor.interfaces.map(row => ({
          ...row,
          hostname: conductor.hostname,
          is_default: row.is_default ? 1 : 0,
        })),
      )
      .execute()
  })
}

export async function touchConductor(db: Db, hostname: string, nowMs: number): Promise<void> {
  await db
    .updateTable('conductors')
    .set({ updated_at: timestamp(nowMs), updated_at_ms: nowMs, online: 1 })
    .where('hostname', '=', hostname)
    .execute()
}

export async function unregisterConductor(db: Db, hostname: string, nowMs: number): Promise<void> {
  await db
    .updateTable('conductors')
    .set({ online: 0, updated_at: timestamp(nowMs), updated_at_ms: nowMs })
    .where('hostname', '=', hostname)
    .execute()
}

export async function listConductors(db: Db | Trx): Promise<ConductorRow[]> {
  const rows = await db.selectFrom('conductors').selectAll().orderBy('hostname').execute()
  return rows.map(({ updated_at_ms, ...row }) => ({
    ...row,
    updatedAtMs: Number(updated_at_ms),
    online: Number(row.online) !== 0,
  }))
}

export async function listInterfaces(db: Db | Trx): Promise<EnabledInterface[]> {
  const rows = await db.selectFrom('conductor_interfaces').selectAll().execute()
  return rows.map(row => ({
    ...row,
    interface_type: row.interface_type as InterfaceType, // written from the registry's typed rows above
    is_default: Number(row.is_default) !== 0,
  }))
}
