/**
 * Consoles that are switched on stay so: whether a node has one is in its row, and the conductor that the node belongs to
 * offers it, also after a restart or when the node came from another conductor. One that is another's now ends here.
 *
 * Source: ironic/conductor/base_manager.py (_start_consoles), manager.py (_do_takeover), restated.
 */
import type { Db } from '#db/database.ts'
import { withConsole } from '#db/instances.ts'
import type { Node } from '#db/nodes.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { Fault } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'

export interface ConsolesWorld {
  db: Db
  log: Log
  isOurs(node: Node): boolean
  context(node: Node): Promise<NodeContext>
}

/** How many nodes are looked at with one query. */
const pageSize = 200

/** Starts what is not running; a console that runs is left as it is. */
export async function keepConsoles(world: ConsolesWorld, signal: AbortSignal): Promise<void> {
  for (let afterId = 0; !signal.aborted; ) {
    const page = await withConsole(world.db, { afterId, limit: pageSize })
    // Who holds a node may be about to start or stop its console.
    for (const node of page) if (node.lease === null) await keep(world, node)
    if (page.length < pageSize) return
    afterId = page.at(-1)?.id ?? afterId
  }
}

async function keep({ context, isOurs, log }: ConsolesWorld, node: Node): Promise<void> {
  try {
    const ctx = await context(node)
    const { console } = ctx.interfaces
    await (isOurs(node) ? console.start(ctx) : console.stop(ctx))
  } catch (error) {
    // One that cannot be offered must not keep others from being.
    if (!(error instanceof Fault)) throw error
    log.warn({ node: node.uuid }, `a console that is switched on cannot be offered: ${error.message}`)
  }
}
