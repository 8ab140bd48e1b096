/**
 * By what machines are compared: maker and product as the last inspection found them; without one, what the operator
 * calls alike and how it is driven.
 */
import type { Db } from '#db/database.ts'
import type { Node } from '#db/nodes.ts'
import { systemVendor, systemVendors } from '#db/timeline-rows.ts'

type Compared = Pick<Node, 'uuid' | 'resource_class' | 'driver'>
type Vendor = Readonly<Record<string, unknown>>

/** The name of a node's model; machines of one name should take the same time for the same work. */
export async function modelOfNode(db: Db, node: Compared): Promise<string> {
  return modelName(node, await systemVendor(db, node.uuid))
}

/** Inventories are large: so many are read at a time, and what they say is kept until the next inspection. */
const atOnce = 20
const most = 20_000
type Known = Map<string, { inspectedAt: string | null; vendor: Vendor | null }>
const known = new WeakMap<Db, Known>()

/** The models of many nodes, by their UUIDs: no statement for those that were asked for before. */
export async function modelsOfNodes(
  db: Db,
  nodes: readonly (Compared & { inspection_finished_at: string | null })[],
): Promise<ReadonlyMap<string, string>> {
  const vendors = vendorsKnown(db)
  const fresh = nodes.filter(({ uuid, inspection_finished_at }) => {
    const kept = vendors.get(uuid)
    return kept === undefined || kept.inspectedAt !== inspection_finished_at
  })
  for (let from = 0; from < fresh.length; from += atOnce) {
    const some = fresh.slice(from, from + atOnce)
    const found = await systemVendors(
      db,
      some.map(({ uuid }) => uuid),
    )
    for (const { uuid, inspection_finished_at: inspectedAt } of some) {
      vendors.set(uuid, { inspectedAt, vendor: found.get(uuid) ?? null })
    }
  }
  return new Map(nodes.map(node => [node.uuid, modelName(node, vendors.get(node.uuid)?.vendor ?? null)]))
}

function vendorsKnown(db: Db): Known {
  const found = known.get(db)
  if (found && found.size < most) return found
  const empty: Known = new Map()
  known.set(db, empty)
  return empty
}

function modelName({ resource_class, driver }: Compared, vendor: Vendor | null): string {
  const [maker, product] = [vendor?.manufacturer, vendor?.product_name].map(word =>
    typeof word === 'string' ? word.trim() : '',
  )
  const name = product ? `${maker} ${product}` : `${resource_class ?? 'no resource class'} (${driver})`
  return name.trim().slice(0, 200)
}
