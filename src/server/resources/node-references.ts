/** Other objects that a node names: found and put in their stored form. */

import { chassisTable } from '#db/chassis.ts'
import { findNodeRow } from '#db/node-rows.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Call } from '../endpoint.ts'
import { seesNode } from '../policy/access.ts'
import { ownership } from './node-view.ts'

/** @throws InvalidInput */
export async function checkChassis(call: Pick<Call, 'db'>, chassis: unknown): Promise<void> {
  if (typeof chassis !== 'string' || (await chassisTable.find(call.db, chassis))) return
  throw new InvalidInput(`Cannot put the node into chassis ${String(chassis)}: it could not be found`)
}

const parentColumns = { own: ['uuid', 'owner', 'lessee', 'parent_node'], joined: false }

/**
 * UUID of the parent that was named by UUID or name; null where none was. A parent that the caller may not see, or that
 * has another owner than the node, is answered as if there were none.
 * @throws InvalidInput
 */
export async function parentOf(call: Call, parent: unknown, owner: string | null): Promise<string | null> {
  if (typeof parent !== 'string') return null
  const row = await findNodeRow(call.db, parentColumns, parent)
  if (!row || row.parent_node !== null || row.owner !== owner || !seesNode(call, ownership(row))) {
    throw new InvalidInput(
      `Cannot use node ${parent} as a parent: it could not be found, has a parent itself, or has another owner`,
    )
  }
  return String(row.uuid)
}
