/** BIOS settings and firmware components of a node as rows, for printing, in the order of their names. */
import type { Db, Trx } from './database.ts'
import { type RowColumn, readable } from './json-columns.ts'
import type { RawRow } from './page.ts'

export async function biosRows(
  db: Db | Trx,
  columns: readonly RowColumn[],
  nodeUuid: string,
  name?: string,
): Promise<RawRow[]> {
  let query = db
    .selectFrom('bios_settings')
    .select(readable(db, 'bios_settings', columns))
    .where('node_uuid', '=', nodeUuid)
    .orderBy('name')
  if (name !== undefined) query = query.where('name', '=', name)
  return (await query.execute()) as RawRow[] // columns of the table are texts and numbers
}

export async function firmwareRows(db: Db | Trx, columns: readonly RowColumn[], nodeUuid: string): Promise<RawRow[]> {
  const rows = await db
    .selectFrom('firmware_components')
    .select(readable(db, 'firmware_components', columns))
    .where('node_uuid', '=', nodeUuid)
    .orderBy('component')
    .execute()
  return rows as RawRow[] // columns of the table are texts and numbers
}
