/** Queries on inspections: what one that runs has found so far, and the rules that say what is done with it. */
import type { InspectionRule } from '#protocol/inspection-rule.ts'
import { inspectionRuleFields } from '#protocol/inspection-rule.ts'
import { codecOf } from './codec.ts'
import type { Db, Trx } from './database.ts'

type Plain = Record<string, unknown>

/** What a ramdisk or a BMC told of a machine; everything that is not the inventory is plugin data. */
export interface Found {
  inventory: Plain
  plugin_data: Plain
}

export interface Inspection extends Found {
  /** When it came, in the API's time. */
  found_at: string
}

/** Keeps what a ramdisk posted in the place of what it posted before, unless the inspection works on that already. */
export async function postFound(db: Db | Trx, nodeUuid: string, found: Found, at: string): Promise<void> {
  const row = { found_at: at, data: JSON.stringify(found) }
  await db
    .insertInto('inspections')
    .values({ node_uuid: nodeUuid, ...row })
    .onConflict(on => on.column('node_uuid').doUpdateSet(row).where('inspections.taken', '=', 0))
    .execute()
}

/** Keeps what the inspection made of it, or found itself. */
export async function writeFound(db: Db | Trx, nodeUuid: string, found: Found, at: string): Promise<void> {
  const { inventory, plugin_data } = found
  const row = { found_at: at, data: JSON.stringify({ inventory, plugin_data }), taken: 1, outcome: null }
  await db
    .insertInto('inspections')
    .values({ node_uuid: nodeUuid, ...row })
    .onConflict(on => on.column('node_uuid').doUpdateSet(row))
    .execute()
}

/** What was found, of which nothing that comes from now on changes anything. */
export async function takeFound(db: Db | Trx, nodeUuid: string): Promise<Inspection | undefined> {
  await db.updateTable('inspections').set({ taken: 1 }).where('node_uuid', '=', nodeUuid).execute()
  return findFound(db, nodeUuid)
}

export async function findFound(db: Db | Trx, nodeUuid: string): Promise<Inspection | undefined> {
  const row = await db
    .selectFrom('inspections')
    .select(['found_at', 'data'])
    .where('node_uuid', '=', nodeUuid)
    .executeTakeFirst()
  if (!row) return undefined
  return { found_at: row.found_at, ...(JSON.parse(row.data) as Found) } // as it was written here
}

/** When the last of it came; undefined when nothing did. */
export async function foundAt(db: Db | Trx, nodeUuid: string): Promise<string | undefined> {
  const row = await db.selectFrom('inspections').select('found_at').where('node_uuid', '=', nodeUuid).executeTakeFirst()
  return row?.found_at
}

/** Keeps what the rules are about to change, so that they need not run twice. */
export async function writeOutcome(db: Db | Trx, nodeUuid: string, outcome: object): Promise<void> {
  await db
    .updateTable('inspections')
    .set({ outcome: JSON.stringify(outcome) })
    .where('node_uuid', '=', nodeUuid)
    .execute()
}

/** As writeOutcome() was given it; undefined when the rules have not run. */
export async function findOutcome(db: Db | Trx, nodeUuid: string): Promise<unknown> {
  const row = await db.selectFrom('inspections').select('outcome').where('node_uuid', '=', nodeUuid).executeTakeFirst()
  return row?.outcome ? JSON.parse(row.outcome) : undefined
}

export async function dropFound(db: Db | Trx, nodeUuid: string): Promise<void> {
  await db.deleteFrom('inspections').where('node_uuid', '=', nodeUuid).execute()
}

const codec = codecOf(inspectionRuleFields)

/** All rules of a phase, in the order in which they were stored. */
export async function rulesOfPhase(db: Db | Trx, phase: string): Promise<InspectionRule[]> {
  const rows = await db.selectFrom('inspection_rules').selectAll().where('phase', '=', phase).orderBy('id').execute()
  return rows.map(row => codec.decode(row))
}

/** Machines that were enrolled because they told of themselves, and are still worked on. */
export async function findDiscoveries(db: Db | Trx): Promise<{ nodeUuid: string; inventory: Plain }[]> {
  const rows = await db
    .selectFrom('inspections')
    .innerJoin('nodes', 'nodes.uuid', 'inspections.node_uuid')
    .where('nodes.provision_state', '=', 'enroll')
    .select(['inspections.node_uuid', 'inspections.data'])
    .execute()
  return rows.map(row => ({ nodeUuid: row.node_uuid, inventory: (JSON.parse(row.data) as Found).inventory })) // as above
}

/** Nodes that wait for a ramdisk to tell of them, with the addresses of their BMCs as the inspection noted them. */
export async function findAwaited(db: Db | Trx): Promise<{ nodeUuid: string; bmcAddresses: readonly string[] }[]> {
  const rows = await db
    .selectFrom('nodes')
    .where('provision_state', 'in', ['inspect wait', 'inspecting'])
    .select(['uuid', 'driver_internal_info'])
    .execute()
  return rows.map(row => {
    const { lookup_bmc_addresses: known } = JSON.parse(row.driver_internal_info) as Plain // a JSON object, always
    return { nodeUuid: row.uuid, bmcAddresses: Array.isArray(known) ? known.map(String) : [] }
  })
}
