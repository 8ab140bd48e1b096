/**
 * Machines that nobody enrolled: a ramdisk that some DHCP server started tells of one, and where [auto_discovery] allows
 * it the machine becomes a node in `enroll`. Hooks and rules run over it as over any other; it is never powered on or
 * off, for nobody knows its BMC's credentials.
 *
 * Source: Ironic ironic/api/controllers/v1/ramdisk.py, _auto_enroll (behaviour restated). Beyond it: a machine that
 * tells of itself twice is enrolled once.
 */
import { randomUUID } from 'node:crypto'
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import { inTransaction } from '#db/database.ts'
import { dropFound, type Found, findDiscoveries, postFound } from '#db/inspections.ts'
import { insertNode } from '#db/nodes.ts'
import type { Registry } from '#drivers/registry.ts'
import type { Clock } from '#lib/clock.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { timestamp } from '#protocol/field.ts'
import { nodeFields } from '#protocol/node.ts'
import type { FlowDefinition } from '../flow-definition.ts'
import { finishInspection, type RuleDrivers } from './finish.ts'
import { type Told, toldBy } from './lookup.ts'

export interface DiscoveryWorld {
  readonly db: Db
  readonly config: Config
  readonly registry: Registry
  readonly clock: Clock
  readonly log: Log
}

/** @throws InvalidInput where nodes would be made that nothing could be done with; asked when the service starts */
export function checkDiscovery({ config, registry }: Pick<DiscoveryWorld, 'config' | 'registry'>): void {
  if (config.auto_discovery.enabled) driverOf({ config, registry })
}

/** The interfaces that discovered nodes get. */
function driverOf({ config, registry }: Pick<DiscoveryWorld, 'config' | 'registry'>) {
  const { driver } = config.auto_discovery
  if (driver === null || driver === '') {
    throw new InvalidInput(
      'Cannot enrol unknown machines: [auto_discovery] driver is not set, expected a hardware type',
    )
  }
  const interfaces = registry.interfacesFor(driver, {})
  if (!registry.interface({ driver, ...interfaces }, 'inspect').process) {
    throw new InvalidInput(
      `Cannot enrol unknown machines with driver ${driver}: its inspect interface would be ${interfaces.inspect_interface}, which reads no ramdisk's data; expected [DEFAULT] default_inspect_interface = agent`,
    )
  }
  return { driver, ...interfaces }
}

/** Enrols machines one after the other, so that one that tells of itself twice at once is one node. */
export class Discovery {
  readonly #world: DiscoveryWorld
  #last: Promise<unknown> = Promise.resolve()

  constructor(world: DiscoveryWorld) {
    this.#world = world
  }

  /** @returns the node, and whether it is a new one whose data is to be worked on */
  enrol(told: Told, found: Found): Promise<{ uuid: string; isNew: boolean }> {
    const turn = this.#last.then(() => this.#enrol(told, found))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #enrol(told: Told, found: Found): Promise<{ uuid: string; isNew: boolean }> {
    const { db, config, clock, log } = this.#world
    const [known] = (await findDiscoveries(db)).filter(one =>
      toldBy(one.inventory, null).macs.some(address => told.macs.includes(address)),
    )
    if (known) return { uuid: known.nodeUuid, isNew: false }
    const uuid = randomUUID()
    const at = timestamp(clock.now())
    const blank = Object.entries(nodeFields)
      .filter(([, field]) => 'column' in field)
      .map(([name, field]) => [name, 'initial' in field ? field.initial : null])
    const { inspection_scope } = config.auto_discovery
    const node = {
      ...Object.fromEntries(blank),
      ...driverOf(this.#world),
      uuid,
      created_at: at,
      provision_state: 'enroll',
      conductor_group: config.DEFAULT.default_conductor_group,
      resource_class: config.DEFAULT.default_resource_class,
      properties: inspection_scope === null ? {} : { inspection_scope },
    }
    await inTransaction(db, async trx => {
      await insertNode(trx, node as unknown as Parameters<typeof insertNode>[1]) // every column has just been given a value
      const plugin_data = { ...found.plugin_data, auto_discovered: true }
      await postFound(trx, uuid, { inventory: found.inventory, plugin_data }, at)
    })
    log.info({ node: uuid, macs: told.macs, bmcAddresses: told.bmcAddresses }, 'an unknown machine was enrolled')
    return { uuid, isNew: true }
  }
}

/** Makes of a discovered machine's data what an inspection makes of it; the node stays in `enroll`. */
export function discover(drivers: RuleDrivers): FlowDefinition {
  return {
    kind: 'discover',
    async run(ctx) {
      await ctx.interfaces.inspect.process?.(ctx)
      await finishInspection(ctx, drivers)
      return null
    },
    undo: ctx => dropFound(ctx.db, ctx.flow.nodeUuid),
  }
}
