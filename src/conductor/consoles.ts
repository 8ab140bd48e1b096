/**
 * Consoles that are switched on stay so: whether a node has one is in its row, and the conductor that the node belongs to
 * offers it, also after a restart or when the node came from another conductor. All others end here: those of nodes that
 * are another's now or gone, and those that were switched off elsewhere.
 *
 * Source: ironic/conductor/base_manager.py (_start_consoles), manager.py (_do_takeover), restated.
 */
import type { Db } from '#db/database.ts'
import { withConsole } from '#db/instances.ts'
import { findNode, type Node } from '#db/nodes.ts'
import { type OfferedConsoles, offeredConsoles } from '#drivers/console/offered.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { Fault } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'

export interface ConsolesWorld {
  db: Db
  log: Log
  shared: NodeContext['shared']
  isOurs(node: Node): boolean
  context(node: Node): Promise<NodeContext>
}

/** For what a node is held by whoever switches its console on or off. */
export const consolePurpose = 'console'

/** How many nodes are looked at with one query. */
const pageSize = 200

/** Ends what runs and should not, and starts what is not running; a console that runs and should is left as it is. */
export async function keepConsoles(world: ConsolesWorld, signal: AbortSignal): Promise<void> {
  await endUnwanted(world)
  for (let afterId = 0; !signal.aborted; ) {
    const page = await withConsole(world.db, { afterId, limit: pageSize })
    for (const { uuid } of page) if (!signal.aborted) await keep(world, uuid)
    if (page.length < pageSize) return
    afterId = page.at(-1)?.id ?? afterId
  }
}

/** Ends what this process offers for a node that goes, whatever its driver is by now. */
export async function endConsole({ shared, log }: Pick<ConsolesWorld, 'shared' | 'log'>, uuid: string): Promise<void> {
  for (const kind of offeredConsoles({ shared })) await end(kind, uuid, log)
}

/** Nobody can come to it any more, whatever becomes of the line to its BMC. */
async function end(kind: OfferedConsoles, uuid: string, log: Log): Promise<void> {
  await kind
    .stop(uuid)
    .catch(error => log.warn({ node: uuid, err: error }, 'a console ended, but not its line to the BMC'))
}

/** Nobody else tells of those: their rows are gone, or say nothing of a console, or of another kind. */
async function endUnwanted({ db, shared, log }: ConsolesWorld): Promise<void> {
  for (const kind of offeredConsoles({ shared })) {
    for (const { uuid, console_interface } of kind.list()) {
      const node = await findNode(db, uuid)
      if (node?.console_enabled && node.console_interface === console_interface) continue
      // What is being switched on runs before its row says so.
      if (node?.lease?.purpose !== consolePurpose) await end(kind, uuid, log)
    }
  }
}

async function keep({ db, context, isOurs, log }: ConsolesWorld, uuid: string): Promise<void> {
  try {
    // Those before it on its page may have taken long.
    const node = await findNode(db, uuid)
    // Who holds a node may be about to start or stop its console.
    if (!node?.console_enabled || node.lease !== null) return
    const ctx = await context(node)
    const { console } = ctx.interfaces
    if (!isOurs(node)) return await console.stop(ctx)
    await console.start(ctx)
    // A BMC takes its time: whoever switched the console off meanwhile, or deleted the node, found nothing to stop.
    const now = await findNode(db, uuid)
    if (!now?.console_enabled) await console.stop(ctx)
  } catch (error) {
    // One that cannot be offered must not keep others from being.
    if (!(error instanceof Fault)) throw error
    log.warn({ node: uuid }, `a console that is switched on cannot be offered: ${error.message}`)
  }
}
