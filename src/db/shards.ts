/** How many nodes each shard has. */
import type { Db, Trx } from './database.ts'

/** By name; null: nodes without a shard. */
export async function countShards(db: Db | Trx): Promise<{ shard: string | null; count: number }[]> {
  const rows = await db
    .selectFrom('nodes')
    .select(['shard', eb => eb.fn.countAll<number>().as('count')])
    .groupBy('shard')
    .orderBy('shard')
    .execute()
  return rows.map(({ shard, count }) => ({ shard, count: Number(count) }))
}
