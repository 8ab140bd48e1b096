/** Queries about nodes for which a conductor keeps something running: the boots of instances, consoles. */
import type { Db, Trx } from './database.ts'
import { type Node, readNode } from './nodes.ts'

/** Nodes that are active by one of these deploy interfaces, in the order of their making, from the one after `afterId`. */
export async function activeBy(
  db: Db | Trx,
  options: { deployInterfaces: readonly string[]; afterId: number; limit: number },
): Promise<Node[]> {
  const { deployInterfaces, afterId, limit } = options
  if (deployInterfaces.length === 0) return []
  const rows = await db
    .selectFrom('nodes')
    .selectAll()
    .where('provision_state', '=', 'active')
    .where('deploy_interface', 'in', deployInterfaces)
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(readNode)
}

/** Nodes whose console is switched on, in the order of their making, from the one after `afterId`. */
export async function withConsole(db: Db | Trx, options: { afterId: number; limit: number }): Promise<Node[]> {
  const rows = await db
    .selectFrom('nodes')
    .selectAll()
    .where('console_enabled', '=', 1)
    .where('id', '>', options.afterId)
    .orderBy('id')
    .limit(options.limit)
    .execute()
  return rows.map(readNode)
}
