/**
 * Where the outcome of inspections is kept: with the node in the database, as two objects in Swift, or nowhere, as
 * [inventory] data_backend says. What was kept under another setting is not looked for.
 *
 * Source: Ironic ironic/drivers/modules/inspect_utils.py, store_inspection_data and its neighbours (behaviour restated).
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Found } from '#db/inspections.ts'
import { findInventory, writeInventory } from '#db/nodes.ts'
import { openstackService } from '#images/openstack.ts'
import { Fault } from '#lib/fault.ts'

export interface InventoryWorld {
  readonly db: Db
  readonly config: Config
  readonly signal: AbortSignal
  shared<T extends object>(key: symbol, make: () => T): T
}

/** The object store answers otherwise than it should. */
export class InventoryUnreachable extends Fault {
  readonly status = 502
  readonly code = 'inventory-unreachable'
}

/** Keeps it in the place of what an earlier inspection found. @throws InventoryUnreachable */
export async function keepInventory(world: InventoryWorld, nodeUuid: string, found: Found): Promise<void> {
  const { db, config } = world
  const { data_backend } = config.inventory
  if (data_backend === 'database') await writeInventory(db, nodeUuid, { ...found })
  if (data_backend !== 'swift') return
  await ask(world, 'PUT', '') // a container that is there already stays as it is
  await ask(world, 'PUT', `/${objectName(nodeUuid, 'inventory')}`, found.inventory)
  await ask(world, 'PUT', `/${objectName(nodeUuid, 'plugin')}`, found.plugin_data)
}

/** @returns undefined where nothing is kept @throws InventoryUnreachable */
export async function readInventory(world: InventoryWorld, nodeUuid: string): Promise<Found | undefined> {
  const { db, config } = world
  const { data_backend } = config.inventory
  if (data_backend === 'none') return undefined
  if (data_backend === 'database') {
    const { inventory = {}, plugin_data = {} } = (await findInventory(db, nodeUuid)) ?? { inventory: null }
    return inventory === null ? undefined : ({ inventory, plugin_data } as Found) // as keepInventory() wrote it
  }
  const [inventory, plugin_data] = await Promise.all([
    ask(world, 'GET', `/${objectName(nodeUuid, 'inventory')}`),
    ask(world, 'GET', `/${objectName(nodeUuid, 'plugin')}`),
  ])
  return inventory === null || plugin_data === null ? undefined : ({ inventory, plugin_data } as Found) // likewise
}

/** What the database keeps goes with the node. @throws InventoryUnreachable */
export async function dropInventory(world: InventoryWorld, nodeUuid: string): Promise<void> {
  if (world.config.inventory.data_backend !== 'swift') return
  await ask(world, 'DELETE', `/${objectName(nodeUuid, 'inventory')}`)
  await ask(world, 'DELETE', `/${objectName(nodeUuid, 'plugin')}`)
}

const objectName = (nodeUuid: string, what: 'inventory' | 'plugin') => `inspector_data-${nodeUuid}-${what}`

const attempts = { GET: 'read', PUT: 'store', DELETE: 'delete' } as const

/** @returns the object; null where there is none */
async function ask(
  world: InventoryWorld,
  method: keyof typeof attempts,
  path: string,
  content?: object,
): Promise<unknown> {
  const swift = openstackService(world, 'swift')
  const container = encodeURIComponent(world.config.inventory.swift_data_container)
  const body = content === undefined ? {} : { body: Buffer.from(JSON.stringify(content)) }
  const headers = { 'content-type': 'application/json' }
  const answer = await swift.ask(method, `${await swift.endpoint()}/${container}${path}`, world.signal, {
    headers,
    ...body,
  })
  if (answer.status === 404 && method !== 'PUT') return null
  const isGood = answer.status >= 200 && answer.status < 300
  if (isGood && (method !== 'GET' || (typeof answer.body === 'object' && answer.body !== null))) return answer.body
  const found = isGood ? 'no JSON object' : `status ${answer.status}`
  throw new InventoryUnreachable(
    `Cannot ${attempts[method]} inspection data in Swift, container ${world.config.inventory.swift_data_container}: found ${found}`,
  )
}
