/** Who works on which node now: the leases, for people. Taking and giving them back is nodes.ts's. */
import type { Db } from './database.ts'

export interface HeldNode {
  node_uuid: string
  node_name: string | null
  provision_state: string
  holder: string
  /** For what. */
  purpose: string
  since: string
  untilMs: number
}

/** The longest held first, at most `limit`. */
export async function heldNodes(db: Db, limit: number): Promise<HeldNode[]> {
  const rows = await db
    .selectFrom('nodes')
    .select(['uuid', 'name', 'provision_state', 'lease_holder', 'lease_purpose', 'lease_since', 'lease_until_ms'])
    .where('lease_holder', 'is not', null)
    .orderBy('lease_since')
    .limit(limit)
    .execute()
  return rows.map(row => ({
    node_uuid: row.uuid,
    node_name: row.name,
    provision_state: row.provision_state,
    // The columns of a lease are written together.
    holder: row.lease_holder ?? '',
    purpose: row.lease_purpose ?? '',
    since: row.lease_since ?? '',
    untilMs: Number(row.lease_until_ms ?? 0),
  }))
}
