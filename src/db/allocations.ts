/**
 * Queries on allocations. Binding one to a node and the node to its instance is one transaction; so is their parting,
 * which happens wherever a node loses its instance_uuid (see writeNode).
 */
import type { UpdateObject } from 'kysely'
import { Conflict } from '#lib/fault.ts'
import { allocationFields } from '#protocol/allocation.ts'
import { timestamp } from '#protocol/field.ts'
import { codecOf, type Raw, type Stored } from './codec.ts'
import { type Db, inTransaction, type Trx } from './database.ts'
import { duplicateColumns } from './faults.ts'
import { dropLease, type Node, readNode, takeLease, writeNode } from './nodes.ts'
import { type Read, timeAfter } from './objects.ts'
import type { Tables } from './tables.ts'

const codec = codecOf(allocationFields)

/** An allocation as stored. */
export type Allocation = Stored<typeof allocationFields>
export type AllocationPatch = Partial<Omit<Allocation, 'uuid' | 'created_at' | 'updated_at'>>

function read(row: Raw<typeof allocationFields>): Allocation {
  return codec.decode(row)
}

/** @throws Conflict when another allocation has the UUID or name, or the node has one already */
export async function insertAllocation(db: Db | Trx, allocation: Omit<Allocation, 'updated_at'>): Promise<void> {
  await db
    .insertInto('allocations')
    .values(codec.encode(allocation) as never) // a whole allocation has every column
    .execute()
    .catch(error => {
      throw duplicateOf(error, allocation) ?? error
    })
}

/** Finds by UUID or by name. */
export async function findAllocation(db: Db | Trx, ident: string): Promise<Allocation | undefined> {
  const row = await db
    .selectFrom('allocations')
    .selectAll()
    .where(where => where.or([where('uuid', '=', ident), where('name', '=', ident)]))
    .executeTakeFirst()
  return row && read(row)
}

export async function allocationOfNode(db: Db | Trx, nodeUuid: string): Promise<Allocation | undefined> {
  const row = await db.selectFrom('allocations').selectAll().where('node_uuid', '=', nodeUuid).executeTakeFirst()
  return row && read(row)
}

/** UUIDs of the allocations that still look for a node, oldest first. */
export async function openAllocations(db: Db | Trx): Promise<string[]> {
  const rows = await db
    .selectFrom('allocations')
    .select('uuid')
    .where('state', '=', 'allocating')
    .orderBy('id')
    .execute()
  return rows.map(row => row.uuid)
}

/**
 * Changes an allocation as it was seen. Returns whether it is still as that.
 * @throws Conflict when another allocation has the name
 */
export async function replaceAllocation(
  db: Db | Trx,
  seen: Read,
  patch: AllocationPatch,
  nowMs: number,
): Promise<boolean> {
  const set = { ...codec.encode(patch), updated_at: timeAfter(seen, nowMs) } as UpdateObject<Tables, 'allocations'> // columns only
  const result = await db
    .updateTable('allocations')
    .set(set)
    .where('uuid', '=', seen.uuid)
    .where('updated_at', seen.updated_at === null ? 'is' : '=', seen.updated_at)
    .executeTakeFirst()

    .catch(error => {
      throw duplicateOf(error, patch) ?? error
    })
  return result.numUpdatedRows > 0n
}

/** The search ended without a node; nothing happens to an allocation that is not being searched for any more. */
export async function failAllocation(db: Db | Trx, uuid: string, error: string, nowMs: number): Promise<void> {
  await db
    .updateTable('allocations')
    .set({ state: 'error', last_error: error, updated_at: timestamp(nowMs) })
    .where('uuid', '=', uuid)
    .where('state', '=', 'allocating')
    .execute()
}

/** Deletes an allocation that has no node; false when it has one (now). */
export async function deleteUnbound(db: Db | Trx, uuid: string): Promise<boolean> {
  const result = await db
    .deleteFrom('allocations')
    .where('uuid', '=', uuid)
    .where('node_uuid', 'is', null)
    .executeTakeFirst()
  return result.numDeletedRows > 0n
}

/**
 * The nodes that an allocation may have, as they are now, in no order; `only`: whether this one is among them.
 */
export async function nodesFor(db: Db | Trx, allocation: Allocation, only?: string): Promise<Node[]> {
  const { candidate_nodes: candidates, owner, resource_class, traits } = allocation
  let query = db
    .selectFrom('nodes')
    .selectAll()
    .where('provision_state', '=', 'available')
    .where('maintenance', '=', 0)
    .where('instance_uuid', 'is', null)
    .where('power_state', 'is not', null)
    .where('resource_class', '=', resource_class)
  if (only !== undefined) query = query.where('uuid', '=', only)
  if (candidates.length > 0) query = query.where('uuid', 'in', candidates)
  if (owner !== null) query = query.where(where => where.or([where('owner', '=', owner), where('lessee', '=', owner)]))
  const nodes = (await query.execute()).map(readNode)
  return nodes.filter(node => traits.every(trait => node.traits.includes(trait)))
}

/**
 * Binds an allocation and a node to each other, if the allocation still searches and the node still fits: all of it in
 * one transaction.
 * @returns `bound`; `unfit` when the node is no longer fit; `gone` when nothing searches any more
 * @throws NodeLocked
 */
export async function bindNode(
  db: Db,
  allocation: Allocation,
  nodeUuid: string,
  by: { holder: string; nowMs: number },
): Promise<'bound' | 'unfit' | 'gone'> {
  const { holder, nowMs } = by
  return inTransaction(db, async trx => {
    const lease = { holder, purpose: 'allocation', nowMs, forMs: 60_000, visible: true }
    const token = await takeLease(trx, nodeUuid, lease)
    const [node] = await nodesFor(trx, allocation, nodeUuid)
    const outcome = node ? await bind(trx, allocation, node, nowMs) : 'unfit'
    if (outcome === 'bound' && node) {
      const { traits, uuid } = allocation
      const wanted = traits.length > 0 ? { instance_info: { ...node.instance_info, traits } } : {}
      await writeNode(trx, nodeUuid, token, { instance_uuid: uuid, ...wanted }, nowMs)
    }
    await dropLease(trx, nodeUuid, token)
    return outcome
  })
}

async function bind(trx: Trx, allocation: Allocation, node: Node, nowMs: number): Promise<'bound' | 'gone'> {
  const result = await trx
    .updateTable('allocations')
    .set({ state: 'active', node_uuid: node.uuid, last_error: null, updated_at: timestamp(nowMs) })
    .where('uuid', '=', allocation.uuid)
    .where('state', '=', 'allocating')
    .executeTakeFirst()
  return result.numUpdatedRows > 0n ? 'bound' : 'gone'
}

function duplicateOf(error: unknown, values: AllocationPatch & { uuid?: string }): Error | undefined {
  const field = duplicateColumns(error)?.columns[0] as keyof typeof values | undefined // a column of allocations
  if (field === undefined) return undefined
  return new Conflict(`An allocation with ${field} ${JSON.stringify(values[field])} already exists`)
}
