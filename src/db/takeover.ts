/** The one statement set that puts a node there as another service left it: all of it in a transaction, or nothing. */
import { allocationFields } from '#protocol/allocation.ts'
import { biosFields, firmwareFields } from '#protocol/firmware.ts'
import { nodeFields } from '#protocol/node.ts'
import { portFields } from '#protocol/port.ts'
import { portgroupFields } from '#protocol/portgroup.ts'
import { type Takeover, wholeObject } from '#protocol/takeover.ts'
import { volumeConnectorFields, volumeTargetFields } from '#protocol/volume.ts'
import { codecOf } from './codec.ts'
import { type Db, inTransaction } from './database.ts'
import { appendEvent } from './events.ts'
import { findNode, type Node, writeInventory } from './nodes.ts'
import { objectTable } from './objects.ts'
import { firstLookCounts } from './watches.ts'

const nodes = objectTable({ table: 'nodes', fields: nodeFields, noun: 'node' })
const portgroups = objectTable({ table: 'portgroups', fields: portgroupFields, noun: 'portgroup' })
const ports = objectTable({ table: 'ports', fields: portFields, noun: 'port' })
const allocations = objectTable({ table: 'allocations', fields: allocationFields, noun: 'allocation' })
const connectors = objectTable({
  table: 'volume_connectors',
  fields: volumeConnectorFields,
  noun: 'volume connector',
})
const targets = objectTable({ table: 'volume_targets', fields: volumeTargetFields, noun: 'volume target' })
const bios = codecOf(biosFields)
const firmware = codecOf(firmwareFields)

/**
 * @param by what the node's history tells of it, as of any other action
 * @throws Conflict when an object is there already, or another one has what must be unique
 */
export async function insertTakeover(
  db: Db,
  takeover: Takeover,
  { nowMs, by }: { nowMs: number; by: Readonly<Record<string, unknown>> },
): Promise<Node> {
  const { uuid } = takeover.node
  const here = { node_uuid: uuid }
  return await inTransaction(db, async trx => {
    await nodes.insert(trx, wholeObject(nodeFields, takeover.node))
    for (const one of takeover.portgroups ?? []) {
      await portgroups.insert(trx, { ...wholeObject(portgroupFields, one), ...here })
    }
    for (const one of takeover.ports ?? []) await ports.insert(trx, { ...wholeObject(portFields, one), ...here })
    for (const one of takeover.volume_connectors ?? []) {
      await connectors.insert(trx, { ...wholeObject(volumeConnectorFields, one), ...here })
    }
    for (const one of takeover.volume_targets ?? []) {
      await targets.insert(trx, { ...wholeObject(volumeTargetFields, one), ...here })
    }
    if (takeover.allocation) {
      const allocation = wholeObject(allocationFields, takeover.allocation)
      await allocations.insert(trx, { ...allocation, ...here, state: 'active' })
    }
    for (const one of takeover.bios ?? []) {
      const row = { ...bios.encode(wholeObject(biosFields, one)), ...here }
      await trx
        .insertInto('bios_settings')
        .values(row as never) // the fields are the table's columns
        .execute()
    }
    for (const one of takeover.firmware ?? []) {
      const row = { ...firmware.encode(wholeObject(firmwareFields, one)), ...here }
      await trx
        .insertInto('firmware_components')
        .values(row as never) // the fields are the table's columns
        .execute()
    }
    if (takeover.inventory) await writeInventory(trx, uuid, { ...takeover.inventory })
    await firstLookCounts(trx, uuid, nowMs)
    await appendEvent(trx, { nowMs, node_uuid: uuid, kind: 'action', data: by })
    const node = await findNode(trx, uuid)
    if (!node) throw new Error(`node ${uuid} is not there in the transaction that made it`)
    return node
  })
}
