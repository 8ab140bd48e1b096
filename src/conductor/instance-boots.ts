/**
 * Instances that boot from the network each time need one conductor that serves them. Once in a while this one looks which
 * of those that are its own it has no boot files for, because another conductor served them before, or the files of this
 * one were lost, and takes them over; files of those that are another's now it takes away, lest a machine finds an
 * instance that has ended. Power, disk and boot order stay as they are.
 *
 * Source: ironic/conductor/manager.py (_sync_hash_ring, _do_takeover, restated).
 */
import type { Db } from '#db/database.ts'
import { activeBy } from '#db/instances.ts'
import type { Node } from '#db/nodes.ts'
import type { NodeContext } from '#drivers/driver.ts'
import type { Registry } from '#drivers/registry.ts'
import { Fault } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import type { FlowDefinition } from './flow-definition.ts'

/** Makes the boot of a running instance this conductor's own. */
export const takeOver: FlowDefinition = {
  kind: 'take over',
  stateless: true,
  async run(ctx) {
    await ctx.interfaces.deploy.adopt(ctx)
    return null
  },
}

export interface BootsWorld {
  db: Db
  log: Log
  registry: Pick<Registry, 'hardwareTypes' | 'enabledRows' | 'interface'>
  isOurs(node: Node): boolean
  context(node: Node): Promise<NodeContext>
  /** Starts the flow; a node that somebody works on is left to the next look. */
  takeOver(node: Node): Promise<void>
}

/** How many nodes are looked at with one query. */
const pageSize = 200

export async function keepInstanceBoots(world: BootsWorld, signal: AbortSignal): Promise<void> {
  const deployInterfaces = fromTheNetwork(world.registry)
  for (let afterId = 0; !signal.aborted; ) {
    const page = await activeBy(world.db, { deployInterfaces, afterId, limit: pageSize })
    for (const node of page) if (node.lease === null) await keep(world, node)
    if (page.length < pageSize) return
    afterId = page.at(-1)?.id ?? afterId
  }
}

async function keep({ context, takeOver, isOurs, log }: BootsWorld, node: Node): Promise<void> {
  try {
    const ctx = await context(node)
    const { boot } = ctx.interfaces
    const isServed = await boot.servesInstance?.(ctx)
    if (isServed === false && isOurs(node)) await takeOver(node)
    if (isServed === true && !isOurs(node)) await boot.stopServing?.(ctx)
  } catch (error) {
    // One that cannot be served must not keep others from being.
    if (!(error instanceof Fault)) throw error
    log.warn({ node: node.uuid }, `the boot of an instance could not be taken over: ${error.message}`)
  }
}

/** Deploy interfaces whose instances boot from the network. */
function fromTheNetwork(registry: BootsWorld['registry']): string[] {
  const rows = registry.enabledRows().filter(row => row.interface_type === 'deploy')
  const names = rows.flatMap(({ hardware_type: driver, interface_name: name }) =>
    registry.interface({ driver, deploy_interface: name }, 'deploy').instanceBoot ? [name] : [],
  )
  return [...new Set(names)]
}
