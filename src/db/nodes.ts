/**
 * Queries on nodes and on their leases. A node's fields change in two ways only: under the lease, by writes that carry
 * its token, or as an observation (power state, health) guarded by "nobody holds it".
 */
import { sql, type UpdateObject } from 'kysely'
import { Conflict, NodeLocked, NotFound } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import { nodeFields } from '#protocol/node.ts'
import { codecOf, type Stored } from './codec.ts'
import { type Db, inTransaction, type Trx } from './database.ts'
import { duplicateColumns } from './faults.ts'
import { prepared, preparedUpdate } from './prepared.ts'
import type { Tables } from './tables.ts'

const codec = codecOf(nodeFields)

/** A node as stored: the API's fields that are columns, and its lease. */
export type Node = Stored<typeof nodeFields> & { id: number; lease: Lease | null }

export interface Lease {
  holder: string
  purpose: string
  since: string
  untilMs: number
  token: number
}

export type NodePatch = Partial<Omit<Stored<typeof nodeFields>, 'uuid' | 'created_at' | 'updated_at'>>

type Row = { [K in keyof Tables['nodes']]: K extends 'id' | 'lease_token' ? number : Tables['nodes'][K] }

/** The node as an object. */
export function readNode(row: Row): Node {
  const lease =
    row.lease_holder === null
      ? null
      : {
          holder: row.lease_holder,
          purpose: row.lease_purpose ?? '',
          since: row.lease_since ?? '',
          untilMs: Number(row.lease_until_ms),
          token: Number(row.lease_token),
        }
  return { ...codec.decode(row as Parameters<typeof codec.decode>[0]), id: Number(row.id), lease } // a node's row has all columns
}

export async function insertNode(db: Db | Trx, node: Omit<Stored<typeof nodeFields>, 'updated_at'>): Promise<void> {
  await db
    .insertInto('nodes')
    .values(codec.encode(node) as never) // encode() of a whole node has every column
    .execute()
    .catch(error => {
      throw duplicateOf(error, node) ?? error
    })
}

export async function findNode(db: Db | Trx, uuid: string): Promise<Node | undefined> {
  const [row] = (await nodeByUuid(db, { uuid })).rows
  return row && readNode(row)
}

const nodeByUuid = prepared((db, { uuid }: { uuid: string }) =>
  db.selectFrom('nodes').selectAll().where('uuid', '=', uuid),
)

/** Finds by UUID or by name. */
export async function findNodeByIdent(db: Db | Trx, ident: string): Promise<Node | undefined> {
  const row = await db
    .selectFrom('nodes')
    .selectAll()
    .where(where => where.or([where('uuid', '=', ident), where('name', '=', ident)]))
    .executeTakeFirst()
  return row && readNode(row)
}

/**
 * Takes the lease of a node if nobody has it (or its time is over).
 * @returns the token that every write must carry
 * @throws NodeLocked when someone else has it; NotFound when there is no such node
 */
export async function takeLease(
  db: Db | Trx,
  uuid: string,
  lease: { holder: string; purpose: string; nowMs: number; forMs: number; visible: boolean },
): Promise<number> {
  const { holder: lease_holder, purpose: lease_purpose, nowMs, forMs, visible } = lease
  const set = { lease_holder, lease_purpose, lease_since: timestamp(nowMs), lease_until_ms: nowMs + forMs }
  const reservation = visible ? { reservation: lease_holder } : {}
  const [row] = (await takeFree(db, { ...set, ...reservation }, { uuid, nowMs })).rows
  if (row) return Number(row.lease_token)
  const holder = await db
    .selectFrom('nodes')
    .select(['lease_holder', 'lease_purpose'])
    .where('uuid', '=', uuid)
    .executeTakeFirst()
  if (!holder) throw new NotFound(`Node ${uuid} could not be found`)
  throw new NodeLocked(
    `Node ${uuid} is locked by host ${holder.lease_holder} (${holder.lease_purpose}); try again when that is done`,
  )
}

const takeFree = preparedUpdate((db, set, { uuid, nowMs }: { uuid: string; nowMs: number }) =>
  db
    .updateTable('nodes')
    .set({ ...set, lease_token: sql<number>`lease_token + 1` })
    .where('uuid', '=', uuid)
    .where(where => where.or([where('lease_holder', 'is', null), where('lease_until_ms', '<', nowMs)]))
    .returning('lease_token'),
)

/** Gives the lease back; does nothing when the token is old. */
export async function dropLease(db: Db | Trx, uuid: string, token: number): Promise<void> {
  await dropHeld(db, { uuid, token })
}

const dropHeld = prepared((db, { uuid, token }: { uuid: string; token: number }) =>
  db
    .updateTable('nodes')
    .set({ lease_holder: null, lease_purpose: null, lease_since: null, lease_until_ms: null, reservation: null })
    .where('uuid', '=', uuid)
    .where('lease_token', '=', token),
)

/** Prolongs leases that are still held under these tokens. */
export async function renewLeases(
  db: Db | Trx,
  leases: Iterable<{ nodeUuid: string; token: number }>,
  untilMs: number,
): Promise<void> {
  for (const { nodeUuid: uuid, token } of leases) await prolongHeld(db, { uuid, token, untilMs })
}

const prolongHeld = prepared((db, { uuid, token, untilMs }: { uuid: string; token: number; untilMs: number }) =>
  db.updateTable('nodes').set({ lease_until_ms: untilMs }).where('uuid', '=', uuid).where('lease_token', '=', token),
)

/**
 * Ends one lease, or every one of `holder`, or every one whose time is over, fencing whoever still believes to have one.
 * Returns the nodes concerned.
 */
export async function breakLeases(
  db: Db | Trx,
  which: { nodeUuid: string; token: number } | { holder: string } | { expiredAtMs: number },
): Promise<string[]> {
  const rows = await db
    .updateTable('nodes')
    .set({
      lease_holder: null,
      lease_purpose: null,
      lease_since: null,
      lease_until_ms: null,
      reservation: null,
      lease_token: sql<number>`lease_token + 1`,
    })
    .where(where => {
      if ('holder' in which) return where('lease_holder', '=', which.holder)
      const held = where('lease_holder', 'is not', null)
      if ('expiredAtMs' in which) return where.and([held, where('lease_until_ms', '<', which.expiredAtMs)])
      return where.and([held, where('uuid', '=', which.nodeUuid), where('lease_token', '=', which.token)])
    })
    .returning('uuid')
    .execute()
  return rows.map(row => row.uuid)
}

/** The lease was lost: somebody else works on the node now, and nothing of the caller's may be written. */
export class LeaseLost extends Conflict {
  override readonly name = 'LeaseLost'
}

/**
 * Writes fields of a node under its lease. A node that loses its instance loses the allocation that gave it, in the
 * same instant.
 * @throws LeaseLost when the token is old, or its lease was given back
 */
export async function writeNode(
  db: Db | Trx,
  uuid: string,
  token: number,
  patch: NodePatch,
  nowMs: number,
): Promise<void> {
  if (patch.instance_uuid !== null) return writeFields(db, uuid, token, patch, nowMs)
  await inTransaction(db, async trx => {
    await writeFields(trx, uuid, token, patch, nowMs)
    await trx.deleteFrom('allocations').where('node_uuid', '=', uuid).execute()
  })
}

async function writeFields(db: Db | Trx, uuid: string, token: number, patch: NodePatch, nowMs: number): Promise<void> {
  const set = { ...codec.encode(patch), updated_at: timestamp(nowMs) }
  const result = await writeHeld(db, set, { uuid, token }).catch(error => {
    throw duplicateOf(error, patch) ?? error
  })
  if (!result.numAffectedRows) throw new LeaseLost(`The lease on node ${uuid} (token ${token}) is no longer held`)
}

const writeHeld = preparedUpdate((db, set, { uuid, token }: { uuid: string; token: number }) =>
  db
    .updateTable('nodes')
    .set(set as UpdateObject<Tables, 'nodes'>) // what codec.encode() made: columns only
    .where('uuid', '=', uuid)
    .where('lease_token', '=', token)
    .where('lease_holder', 'is not', null),
)

export async function deleteNode(db: Db | Trx, uuid: string, token: number): Promise<void> {
  const result = await db
    .deleteFrom('nodes')
    .where('uuid', '=', uuid)
    .where('lease_token', '=', token)
    .where('lease_holder', 'is not', null)
    .executeTakeFirst()
  if (result.numDeletedRows === 0n) throw new LeaseLost(`The lease on node ${uuid} (token ${token}) is no longer held`)
}

/** What the last inspection of a node found: `{inventory, plugin_data}`; undefined when it was never inspected. */
export async function findInventory(db: Db | Trx, uuid: string): Promise<Record<string, unknown> | undefined> {
  const row = await db.selectFrom('nodes').select('inventory').where('uuid', '=', uuid).executeTakeFirst()
  return row?.inventory ? JSON.parse(row.inventory) : undefined
}

export async function writeInventory(db: Db | Trx, uuid: string, data: Record<string, unknown>): Promise<void> {
  await db
    .updateTable('nodes')
    .set({ inventory: JSON.stringify(data) })
    .where('uuid', '=', uuid)
    .execute()
}

/** Turns the engine's message about a unique column into one about the field. */
function duplicateOf(
  error: unknown,
  values: { name?: unknown; uuid?: unknown; instance_uuid?: unknown },
): Error | undefined {
  const field = duplicateColumns(error)?.columns[0] as keyof typeof values | undefined // others read as undefined
  if (field === undefined) return undefined
  return new Conflict(`A node with ${field} ${JSON.stringify(values[field])} already exists`)
}
