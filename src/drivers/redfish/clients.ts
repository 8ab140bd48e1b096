/**
 * The clients of all BMCs of this process: one per BMC and set of credentials, kept between calls with its connections
 * and its session. When there are too many, those go that nobody has used for a while.
 */
import { createHash } from 'node:crypto'
import type { NodeContext } from '../driver.ts'
import { RedfishClient, type World } from './client.ts'
import { type BmcSettings, bmcSettings } from './driver-info.ts'

const KEY = Symbol('redfish clients')
/** Longer than any single operation: a client that an operation still holds is never closed under it. */
const IDLE_MS = 10 * 60_000
/** Those that go because there are too many do so at this pace, two for each that is asked for: each logs out. */
const GO_AT_ONCE = 2
/** At the end so many log out at a time, and for so long; each needs a connection of its own for it. */
const FAREWELLS = 64
const FAREWELL_MS = 5000

/** The client of the node's BMC. @throws InvalidInput when driver_info is not complete */
export function clientOf(ctx: NodeContext): RedfishClient {
  const clients = ctx.shared(KEY, () => new RedfishClients({ clock: ctx.clock, log: ctx.log, random: Math.random }))
  return clients.of(bmcSettings(ctx), Math.max(1, ctx.config.redfish.connection_cache_size))
}

export class RedfishClients {
  /** The most recently used one last. */
  readonly #clients = new Map<string, { client: RedfishClient; usedAtMs: number }>()
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  of(bmc: BmcSettings, limit: number): RedfishClient {
    const key = keyOf(bmc)
    const now = this.#world.clock.now()
    const client = this.#clients.get(key)?.client ?? new RedfishClient(bmc, this.#world)
    this.#clients.delete(key)
    this.#clients.set(key, { client, usedAtMs: now })
    let gone = 0
    for (const [oldKey, old] of this.#clients) {
      if (gone >= GO_AT_ONCE || this.#clients.size <= limit || old.usedAtMs + IDLE_MS > now) break
      this.#clients.delete(oldKey)
      void this.#close(old.client, { logsOut: true })
      gone += 1
    }
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Sessions that were used last live longest.
    const clients = [...this.#clients.values()].reverse().values()
    this.#clients.clear()
    const untilMs = this.#world.clock.now() + FAREWELL_MS
    const closeRest = async () => {
      for (const { client } of clients) await this.#close(client, { logsOut: this.#world.clock.now() < untilMs })
    }
    await Promise.all(Array.from({ length: FAREWELLS }, closeRest))
  }

  async #close(client: RedfishClient, how: { logsOut: boolean }): Promise<void> {
    await client.close(how).catch(error => this.#world.log.warn({ error }, 'closing a BMC client failed'))
  }
}

/** Any changed setting is another client; the hash keeps the password out of a key that may be printed. */
function keyOf(bmc: BmcSettings): string {
  return createHash('sha256').update(JSON.stringify(bmc)).digest('base64')
}
