/** BIOS settings and firmware components of a node as rows, for printing, in the order of their names. */
import { sql } from 'kysely'
import type { Db, Trx } from './database.ts'
import type { RawRow } from './page.ts'

export async function biosRows(
  db: Db | Trx,
  columns: readonly string[],
  nodeUuid: string,
  name?: string,
): Promise<RawRow[]> {
  let query = db
    .selectFrom('bios_settings')
    .select(columns.map(column => sql.ref(`bios_settings.${column}`).as(column)))
    .where('node_uuid', '=', nodeUuid)
    .orderBy('name')
  if (name !== undefined) query = query.where('name', '=', name)
  return (await query.execute()) as RawRow[] // columns of the table are texts and numbers
}

export async function firmwareRows(db: Db | Trx, columns: readonly string[], nodeUuid: string): Promise<RawRow[]> {
  const rows = await db
    .selectFrom('firmware_components')
    .select(columns.map(column => sql.ref(`firmware_components.${column}`).as(column)))
    .where('node_uuid', '=', nodeUuid)
    .orderBy('component')
    .execute()
  return rows as RawRow[] // columns of the table are texts and numbers
}
