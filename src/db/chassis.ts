/** Queries on chassis. */
import { chassisFields } from '#protocol/chassis.ts'
import type { Db, Trx } from './database.ts'
import { objectTable } from './objects.ts'

export const chassisTable = objectTable({ table: 'chassis', fields: chassisFields, noun: 'chassis' })

/** Whether any node stands in it. */
export async function chassisInUse(db: Db | Trx, uuid: string): Promise<boolean> {
  const row = await db.selectFrom('nodes').select('uuid').where('chassis_uuid', '=', uuid).limit(1).executeTakeFirst()
  return row !== undefined
}
