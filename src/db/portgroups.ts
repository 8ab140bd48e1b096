/** Queries on portgroups and on the ports that belong to them. */
import { timestamp } from '#protocol/field.ts'
import { portgroupFields } from '#protocol/portgroup.ts'
import { codecOf, type Stored } from './codec.ts'
import type { Db, Trx } from './database.ts'
import { objectTable } from './objects.ts'
import { type Port, readPort } from './ports.ts'

export const portgroupTable = objectTable({ table: 'portgroups', fields: portgroupFields, noun: 'portgroup' })
const codec = codecOf(portgroupFields)

export async function memberPorts(db: Db | Trx, uuid: string): Promise<Port[]> {
  const rows = await db.selectFrom('ports').selectAll().where('portgroup_uuid', '=', uuid).orderBy('id').execute()
  return rows.map(readPort)
}

export type Portgroup = Stored<typeof portgroupFields>

/** All groups of a node, in the order they were made in. */
export async function portgroupsOf(db: Db | Trx, nodeUuid: string): Promise<Portgroup[]> {
  const rows = await db.selectFrom('portgroups').selectAll().where('node_uuid', '=', nodeUuid).orderBy('id').execute()
  return rows.map(row => codec.decode(row))
}

/** The ports of a group are in the network that the group is in. */
export async function writeMembersNetwork(
  db: Db | Trx,
  uuid: string,
  network: string | null,
  nowMs: number,
): Promise<void> {
  await db
    .updateTable('ports')
    .set({ physical_network: network, updated_at: timestamp(nowMs) })
    .where('portgroup_uuid', '=', uuid)
    .execute()
}
