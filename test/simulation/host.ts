/**
 * A conductor as a process that can end at any instant: everything that it does to the world goes through its gate, and
 * once it is dead nothing that it had begun comes back. Started again it is a new process of the same host.
 */
import { type Conductor, createConductor } from '#conductor/service.ts'
import { Shared } from '#conductor/shared.ts'
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import { DatabaseUnavailable } from '#db/faults.ts'
import { exchangeKey } from '#drivers/agent/client.ts'
import type { Registry } from '#drivers/registry.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import type { Chance } from '#sim/chance.ts'
import type { Faults } from './faults.ts'
import type { Gate, Store } from './store.ts'
import type { SimTime } from './time.ts'

export interface HostWorld {
  store: Store
  time: SimTime
  config: Config
  log: Log
  faults: () => Faults
  /** The drivers as a process sees them that is about to be. */
  registry(process: () => Process): Promise<Registry>
  exchange(process: Process): object
  note(text: string): void
  onDeath(): void
}

/** Whoever waits for a process that has ended waits for ever. */
const never = () => new Promise<never>(() => {})

/** One life of a conductor. */
export class Process {
  readonly hostname: string
  readonly db: Db
  readonly clock: Clock
  readonly conductor: Conductor
  /** Rejects when it dies: a connection to it breaks. */
  readonly died: Promise<never>
  readonly gate: Gate
  isAlive = true
  readonly #world: HostWorld
  readonly #host: Host
  readonly #chance: Chance
  #breakConnections: (error: Error) => void = () => {}

  constructor(host: Host, world: HostWorld, chance: Chance, registry: Registry) {
    this.#host = host
    this.#world = world
    this.#chance = chance
    this.hostname = host.name
    this.died = new Promise((_, reject) => {
      this.#breakConnections = reject
    })
    this.died.catch(() => {})
    const process = this
    this.gate = {
      get isOpen() {
        return process.isAlive
      },
      before: () => this.#reach('before'),
      after: () => this.#reach('after'),
    }
    this.db = world.store.connect(this.gate)
    this.clock = {
      now: () => world.time.now(),
      sleep: async (ms, signal) => {
        await world.time.sleep(ms, signal)
        await this.#live()
      },
    }
    const shared = new Shared()
    shared.get(exchangeKey, () => world.exchange(this))
    this.conductor = createConductor({
      db: this.db,
      config: { ...world.config, DEFAULT: { ...world.config.DEFAULT, host: host.name } },
      registry,
      clock: this.clock,
      log: world.log,
      shared,
      portsChanged: async () => {},
    })
  }

  /** Does something to the world outside; the process may end right before or right after. */
  async act<T>(work: () => Promise<T>): Promise<T> {
    await this.#live()
    const result = await work().finally(() => this.#live())
    await this.#mayDie('deathAtRequest')
    return result
  }

  die(): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.#world.note(`${this.hostname} dies`)
    this.#world.onDeath()
    this.#world.store.abandon(this.gate)
    this.#breakConnections(new Error(`${this.hostname} is gone`))
    this.#host.died()
  }

  /** Goes on only where the process does. */
  async #live(): Promise<void> {
    while (this.#host.standstill) await this.#host.standstill
    if (!this.isAlive) await never()
  }

  async #mayDie(how: 'death' | 'deathAtRequest'): Promise<void> {
    if (this.isAlive && this.#chance.happens(this.#world.faults()[how])) this.die()
    await this.#live()
  }

  /** Between the process and its database. */
  async #reach(when: 'before' | 'after'): Promise<void> {
    await this.#mayDie('death')
    const lost = this.#host.isSplit || this.#chance.happens(this.#world.faults().databaseError / 2)
    if (!lost) return
    throw new DatabaseUnavailable(`the database cannot be reached (${when} the statement)`)
  }
}

/** A conductor through all of its lives. */
export class Host {
  readonly name: string
  isSplit = false
  /** Resolves when a process that stands still goes on. */
  standstill: Promise<void> | undefined
  process: Process | undefined
  readonly #world: HostWorld
  readonly #chance: Chance
  #lives = 0

  constructor(name: string, world: HostWorld, chance: Chance) {
    this.name = name
    this.#world = world
    this.#chance = chance
  }

  /** Starts it; a start that fails is tried again, as by a service manager. */
  async start(): Promise<void> {
    this.#lives += 1
    const made: { process?: Process } = {}
    const registry = await this.#world.registry(() => made.process as Process) // drivers are called when it lives
    const process = new Process(this, this.#world, this.#chance.fork(`life ${this.#lives}`), registry)
    made.process = process
    this.process = process
    try {
      await process.conductor.start()
    } catch (error) {
      if (process.isAlive) {
        this.#world.note(`${this.name} cannot start: ${String(error)}`)
        process.die()
      }
    }
  }

  died(): void {
    this.process = undefined
    const downMs = this.#chance.within([500, 90_000])
    void this.#world.time.sleep(downMs).then(() => this.start())
  }

  /** Loses its database for a while, or stands still, now and then. */
  async disturb(until: () => boolean): Promise<void> {
    const { time, faults, note } = this.#world
    while (!until()) {
      await time.sleep(60_000)
      const splits = this.#chance.happens(faults().split)
      const stalls = this.#chance.happens(faults().stall)
      const forMs = this.#chance.within([1_000, 150_000])
      if (splits) {
        note(`${this.name} loses its database for ${Math.round(forMs / 1000)} s`)
        this.isSplit = true
        await time.sleep(forMs)
        this.isSplit = false
      } else if (stalls) {
        note(`${this.name} stands still for ${Math.round(forMs / 1000)} s`)
        this.standstill = time.sleep(forMs)
        await this.standstill
        this.standstill = undefined
      }
    }
  }
}
