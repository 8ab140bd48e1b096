/** Queries on the nodes that other nodes contain. */
import type { Db, Trx } from './database.ts'

/** UUIDs of the nodes that this one contains, oldest first. */
export async function childrenOf(db: Db | Trx, uuid: string): Promise<string[]> {
  const rows = await db.selectFrom('nodes').select('uuid').where('parent_node', '=', uuid).orderBy('id').execute()
  return rows.map(row => row.uuid)
}
