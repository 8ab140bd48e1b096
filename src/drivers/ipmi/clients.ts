/**
 * The clients of all BMCs of this process: one per BMC and settings, over two sockets that they share. A session that
 * nobody used for a while is closed: BMCs have few, and other tools want one.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '#lib/clock.ts'
import type { NodeContext } from '../driver.ts'
import { IpmiClient } from './client.ts'
import { type BmcSettings, bmcSettings } from './driver-info.ts'
import { Hub } from './rmcp/hub.ts'

const KEY = Symbol('ipmi clients')
/** Shorter than the minute after which BMCs forget a session. */
const sessionIdleMs = 45_000
/** A client without a session is only what was learnt of its BMC. */
const clientIdleMs = 30 * 60_000
const sweepMs = 5000

/** The client of the node's BMC. @throws InvalidInput when driver_info is not complete */
export function clientOf(ctx: NodeContext): IpmiClient {
  return ctx.shared(KEY, () => new IpmiClients(ctx.clock)).of(bmcSettings(ctx))
}

export class IpmiClients implements AsyncDisposable {
  readonly #clients = new Map<string, IpmiClient>()
  readonly #hub = new Hub()
  readonly #clock: Clock
  readonly #sweeper: NodeJS.Timeout

  constructor(clock: Clock) {
    this.#clock = clock
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
    this.#sweeper.unref()
  }

  of(settings: BmcSettings): IpmiClient {
    const key = keyOf(settings)
    const client = this.#clients.get(key) ?? new IpmiClient(settings, { hub: this.#hub, clock: this.#clock })
    this.#clients.set(key, client)
    return client
  }

  /** Sessions that are open. */
  get sessions(): number {
    return [...this.#clients.values()].filter(client => client.hasSession).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper)
    const clients = [...this.#clients.values()]
    this.#clients.clear()
    await Promise.allSettled(clients.map(client => client.close()))
    await this.#hub[Symbol.asyncDispose]()
  }

  #sweep(): void {
    for (const [key, client] of this.#clients) {
      const { idleMs } = client
      if (idleMs > sessionIdleMs && client.hasSession) void client.close()
      if (idleMs > clientIdleMs) this.#clients.delete(key)
    }
  }
}

/** Any changed setting is another client; the hash keeps the password out of a key that may be printed. */
function keyOf(settings: BmcSettings): string {
  const { bmcKey, ...rest } = settings
  return createHash('sha256')
    .update(JSON.stringify([rest, bmcKey?.toString('hex')]))
    .digest('base64')
}
