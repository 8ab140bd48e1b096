/**
 * By what machines are compared: maker and product as the last inspection found them; without one, what the operator
 * calls alike and how it is driven.
 */
import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { systemVendor } from '#db/timeline-rows.ts'

/** The name of a node's model; machines of one name should take the same time for the same work. */
export async function modelOfNode(db: Db, node: Pick<Node, 'uuid' | 'resource_class' | 'driver'>): Promise<string> {
  const vendor = await systemVendor(db, node.uuid)
  const [maker, product] = [vendor?.manufacturer, vendor?.product_name].map(word =>
    typeof word === 'string' ? word.trim() : '',
  )
  const name = product ? `${maker} ${product}` : `${node.resource_class ?? 'no resource class'} (${node.driver})`
  return name.trim().slice(0, 200)
}
