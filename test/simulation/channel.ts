/**
 * What the conductors of a simulation say to each other by way of their database: messages that only wake and may be
 * lost, and locks that tell who lives. As on PostgreSQL: a process that stands still keeps its lock, one that is dead or
 * has lost its server does not.
 */
import type { Channel } from '#db/channel.ts'
import type { Chance } from '#sim/chance.ts'
import type { Host, Process } from './host.ts'
import type { SimTime } from './time.ts'

export class Switchboard {
  readonly #hosts: readonly Host[]
  readonly #time: SimTime
  readonly #chance: Chance
  readonly #listeners = new Map<Process, (message: string) => void>()

  constructor(hosts: readonly Host[], { time, chance }: { time: SimTime; chance: Chance }) {
    this.#hosts = hosts
    this.#time = time
    this.#chance = chance
  }

  /** The channel of one process. */
  channelOf(process: Process, host: Host): Channel {
    return {
      listen: hear => void this.#listeners.set(process, hear),
      send: message => {
        if (host.isSplit || !process.isAlive) return
        for (const other of this.#hosts) void this.#deliver(other, message)
      },
      living: async names => {
        if (host.isSplit) return undefined
        const living = this.#hosts.filter(one => one.process && !one.isLost).map(one => one.name)
        return new Set(names.filter(name => living.includes(name)))
      },
      close: async () => void this.#listeners.delete(process),
    }
  }

  async #deliver(host: Host, message: string): Promise<void> {
    const { process } = host
    await this.#time.sleep(this.#chance.within([1, 20]))
    while (host.standstill) await host.standstill
    if (!process?.isAlive || host.isSplit) return
    this.#listeners.get(process)?.(message)
  }
}
