/**
 * Which ports and port groups of a node have a VIF: kept in their `internal_info`, where network interfaces find it. It
 * tells nobody of a VIF; who takes one off has told its network.
 *
 * Source: networking reference, "VIFs"; ironic/drivers/modules/network/common.py (port groups that come and go, restated).
 */
import { vifOf } from '#protocol/port.ts'
import type { Db, Trx } from './database.ts'
import { memberPorts, type Portgroup, portgroupsOf, portgroupTable } from './portgroups.ts'
import { type Port, portsOf, updatePort } from './ports.ts'

/** Where a VIF can be. */
export type Place =
  | { readonly kind: 'port'; readonly of: Port }
  | { readonly kind: 'portgroup'; readonly of: Portgroup }

export async function placesOf(db: Db, nodeUuid: string): Promise<Place[]> {
  const ports = (await portsOf(db, nodeUuid)).map(of => ({ kind: 'port' as const, of }))
  const groups = (await portgroupsOf(db, nodeUuid)).map(of => ({ kind: 'portgroup' as const, of }))
  return [...ports, ...groups]
}

/** Each once, though it may be at several of them. */
export function vifsAt(places: readonly Place[]): string[] {
  return [...new Set(places.map(({ of }) => vifOf(of)).filter(id => id !== null))]
}

/** Takes a VIF off all that has it; a port group that was made for it is taken apart. */
export async function takeVif(
  db: Db,
  places: readonly Place[],
  { id, nowMs }: { id: string; nowMs: number },
): Promise<void> {
  const having = places.filter(({ of }) => vifOf(of) === id)
  await db.transaction().execute(async trx => {
    for (const place of having) {
      const { tenant_vif_port_id: _, ...internal_info } = place.of.internal_info
      if (place.kind === 'portgroup' && place.of.dynamic_portgroup) await takeApart(trx, place.of, nowMs)
      else await writeInfo(trx, place, { internal_info, nowMs })
    }
  })
}

async function takeApart(trx: Trx, group: Portgroup, nowMs: number): Promise<void> {
  for (const { uuid } of await memberPorts(trx, group.uuid)) {
    await updatePort(trx, uuid, { portgroup_uuid: null }, nowMs)
  }
  await portgroupTable.delete(trx, group.uuid)
}

export async function writeInfo(
  trx: Trx,
  { kind, of }: Place,
  { internal_info, nowMs }: { internal_info: Place['of']['internal_info']; nowMs: number },
): Promise<void> {
  if (kind === 'port') await updatePort(trx, of.uuid, { internal_info }, nowMs)
  else await portgroupTable.update(trx, of.uuid, { internal_info }, nowMs)
}
