/** Queries on ports. */
import type { UpdateObject } from 'kysely'
import { Conflict, NotFound } from '#lib/fault.ts'
import { timestamp } from '#protocol/field.ts'
import { portFields } from '#protocol/port.ts'
import { codecOf, type Raw, type Stored } from './codec.ts'
import type { Db, Trx } from './database.ts'
import { duplicateColumns } from './faults.ts'
import { prepared } from './prepared.ts'
import type { Tables } from './tables.ts'

const codec = codecOf(portFields)

/** A port as stored. */
export type Port = Stored<typeof portFields> & { id: number }
export type PortPatch = Partial<Omit<Stored<typeof portFields>, 'uuid' | 'created_at' | 'updated_at'>>

export function readPort(row: Raw<typeof portFields> & { id: number }): Port {
  return { ...codec.decode(row), id: Number(row.id) }
}

/** Another port has the MAC address; which one is not for everybody to know. */
export class AddressTaken extends Conflict {
  override readonly name = 'AddressTaken'
  readonly address: string
  constructor(address: string) {
    super(`A port with MAC address ${address} already exists`)
    this.address = address
  }
}

/** @throws AddressTaken; Conflict when another port has the name or the UUID */
export async function insertPort(db: Db | Trx, port: Omit<Stored<typeof portFields>, 'updated_at'>): Promise<void> {
  await db
    .insertInto('ports')
    .values(codec.encode({ ...port, address: port.address.toLowerCase() }) as never) // a whole port has every column
    .execute()
    .catch(error => {
      throw duplicateOf(error, port) ?? error
    })
}

export async function portsOf(db: Db | Trx, nodeUuid: string): Promise<Port[]> {
  return (await portsByNode(db, { nodeUuid })).rows.map(readPort)
}

const portsByNode = prepared((db, { nodeUuid }: { nodeUuid: string }) =>
  db.selectFrom('ports').selectAll().where('node_uuid', '=', nodeUuid).orderBy('id'),
)

/** Ports that have one of these MAC addresses (any case). */
export async function portsByAddress(db: Db | Trx, addresses: readonly string[]): Promise<Port[]> {
  if (addresses.length === 0) return []
  const [only = '', ...others] = addresses.map(address => address.toLowerCase())
  if (others.length === 0) return (await portsWithAddress(db, { only })).rows.map(readPort)
  const rows = await db
    .selectFrom('ports')
    .selectAll()
    .where('address', 'in', [only, ...others])
    .execute()
  return rows.map(readPort)
}

const portsWithAddress = prepared((db, { only }: { only: string }) =>
  db.selectFrom('ports').selectAll().where('address', '=', only),
)

/** Finds by UUID or by name. */
export async function findPort(db: Db | Trx, ident: string): Promise<Port | undefined> {
  const row = await db
    .selectFrom('ports')
    .selectAll()
    .where(where => where.or([where('uuid', '=', ident), where('name', '=', ident)]))
    .executeTakeFirst()
  return row && readPort(row)
}

export async function updatePort(db: Db | Trx, uuid: string, patch: PortPatch, nowMs: number): Promise<void> {
  const set = { ...codec.encode(patch), updated_at: timestamp(nowMs) } as UpdateObject<Tables, 'ports'> // columns only
  const result = await db
    .updateTable('ports')
    .set(set)
    .where('uuid', '=', uuid)
    .executeTakeFirst()
    .catch(error => {
      throw duplicateOf(error, patch) ?? error
    })
  if (result.numUpdatedRows === 0n) throw new NotFound(`Port ${uuid} could not be found`)
}

export async function deletePort(db: Db | Trx, uuid: string): Promise<void> {
  await db.deleteFrom('ports').where('uuid', '=', uuid).execute()
}

function duplicateOf(error: unknown, port: PortPatch & { uuid?: string }): Conflict | undefined {
  const column = duplicateColumns(error)?.columns[0]
  if (column === undefined) return undefined
  if (column === 'address' && port.address !== undefined) return new AddressTaken(port.address)
  return new Conflict(`A port with ${column} ${JSON.stringify(port[column as 'name'])} already exists`)
}
