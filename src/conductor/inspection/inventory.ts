/**
 * Where the outcome of inspections is kept: with the node in the database, or nowhere, as [inventory] data_backend says.
 * Source: Ironic ironic/drivers/modules/inspect_utils.py, store_inspection_data (behaviour restated).
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Found } from '#db/inspections.ts'
import { writeInventory } from '#db/nodes.ts'

/** Keeps it in the place of what an earlier inspection found. */
export async function keepInventory(
  { db, config }: { db: Db; config: Config },
  nodeUuid: string,
  found: Found,
): Promise<void> {
  if (config.inventory.data_backend === 'database') await writeInventory(db, nodeUuid, { ...found })
}
