/**
 * A conductor as a process that can end at any instant: everything that it does to the world goes through its gate, and
 * once it is dead nothing that it had begun comes back. Started again it is a new process of the same host.
 */
import { type Conductor, createConductor } from '#conductor/service.ts'
import { Shared } from '#conductor/shared.ts'
import type { Config } from '#config/options.ts'
import type { Channel } from '#db/channel.ts'
import type { Db } from '#db/database.ts'
import { DatabaseUnavailable } from '#db/faults.ts'
import { exchangeKey } from '#drivers/agent/client.ts'
import type { Registry } from '#drivers/registry.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import type { Chance } from '#sim/chance.ts'
import type { Luck } from './faults.ts'
import type { Gate, Store } from './store.ts'
import type { SimTime } from './time.ts'

export interface HostWorld {
  store: Store
  time: SimTime
  config: Config
  log: Log
  luck: Luck
  /** The drivers as a process sees them that is about to be. */
  registry(process: () => Process): Promise<Registry>
  exchange(process: Process): object
  /** To the other conductors; undefined where there are none. */
  channel(process: Process, host: Host): Channel | undefined
  note(text: string): void
}

/** Source: the session settings of src/db/postgres.ts. */
const idleInTransactionMs = 5_000
/** How soon a server misses a client that it cannot reach. Source: the keepalives of src/db/channel.ts. */
const keepaliveMs = 5_000
/** How often chance decides whether a conductor loses its database. */
const lookMs = 20_000

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
      writer: process,
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
      channel: world.channel(this, host),
      portsChanged: async () => {},
    })
  }

  /** Does something to the world outside; the process may end right before or right after. */
  async act<T>(work: () => Promise<T>): Promise<T> {
    if (!this.isAlive) await never()
    const result = await work().finally(() => this.#live())
    this.#mayStall('stallAtRequest')
    await this.#mayDie('deathAtRequest')
    return result
  }

  die(): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.#world.note(`${this.hostname} dies`)
    this.#world.store.abandon(this.gate)
    this.#breakConnections(new Error(`${this.hostname} is gone`))
    this.#host.died()
  }

  /** Goes on only where the process does. */
  async #live(): Promise<void> {
    while (this.#host.standstill) await this.#host.standstill
    if (!this.isAlive) await never()
  }

  #mayStall(where: 'stall' | 'stallAtRequest'): void {
    if (!this.isAlive || this.#host.standstill || !this.#world.luck.strikes(where, this.#chance)) return
    this.#host.standStill(this.#chance.within(this.#chance.happens(0.5) ? [1_000, 12_000] : [12_000, 90_000]))
  }

  async #mayDie(how: 'death' | 'deathAtRequest'): Promise<void> {
    if (this.isAlive && this.#world.luck.strikes(how, this.#chance)) this.die()
    await this.#live()
  }

  /** Between the process and its database. */
  async #reach(when: 'before' | 'after'): Promise<void> {
    this.#mayStall('stall')
    await this.#mayDie('death')
    const lost = this.#host.isSplit || this.#world.luck.strikes('databaseError', this.#chance, 0.5)
    if (!lost) return
    throw new DatabaseUnavailable(`the database cannot be reached (${when} the statement)`)
  }
}

/** A conductor through all of its lives. */
export class Host {
  readonly name: string
  isSplit = false
  /** Its server has noticed, and given up its connections. */
  isLost = false
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
    // Most come back at once, some only when others have long taken over.
    const downMs = this.#chance.within(this.#chance.happens(0.7) ? [200, 3_000] : [3_000, 45_000])
    void this.#world.time.sleep(downMs).then(() => this.start())
  }

  /** Stands still for a while, in the middle of whatever it does, and goes on as if nothing had been. */
  standStill(forMs: number): void {
    const { process } = this
    const { note, time } = this.#world
    if (!process) return
    note(`${this.name} stands still for ${Math.round(forMs / 1000)} s`)
    this.standstill = time.sleep(forMs).then(() => {
      this.standstill = undefined
      note(`${this.name} goes on`)
    })
    void this.#loseConnections(process)
  }

  /** A server does not wait for ever for a client that is silent in the middle of a transaction. */
  async #loseConnections(process: Process): Promise<void> {
    while (this.standstill !== undefined) {
      await this.#world.time.sleep(idleInTransactionMs)
      if (this.standstill !== undefined) this.#world.store.breakOff(process.gate)
    }
  }

  /** Loses its database for a while, now and then. */
  async disturb(): Promise<void> {
    const { time, luck, note } = this.#world
    while (!luck.isOver) {
      await time.sleep(lookMs)
      if (!luck.strikes('split', this.#chance)) continue
      const forMs = this.#chance.within([1_000, 40_000])
      note(`${this.name} loses its database for ${Math.round(forMs / 1000)} s`)
      this.isSplit = true
      await time.sleep(Math.min(forMs, keepaliveMs))
      this.isLost = forMs > keepaliveMs
      await time.sleep(Math.max(0, forMs - keepaliveMs))
      this.isLost = false
      this.isSplit = false
    }
  }
}
