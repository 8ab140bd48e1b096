/**
 * This conductor among the others: says that it is here, sees who is not any more, and hands work over. Its row is its
 * sign of life; on PostgreSQL a lock that ends with the process tells of a death within seconds. Whoever is declared
 * dead by mistake loses its leases, finds that out at its next sign of life, and starts a new one.
 */
import { randomUUID } from 'node:crypto'
import type { Channel } from '#db/channel.ts'
import {
  type ConductorRow,
  type EnabledInterface,
  registerConductor,
  releaseStrays,
  retireConductor,
  touchConductor,
} from '#db/conductors.ts'
import type { Db } from '#db/database.ts'
import { type Fleet, readFleet, type Served } from '#db/fleet.ts'
import { holders } from '#db/handover.ts'
import type { Clock } from '#lib/clock.ts'
import { Fault } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import type { Peers } from './peers.ts'

/** No live conductor can serve the node. */
export class NoConductor extends Fault {
  readonly status: number = 400
  readonly code = 'no-conductor'
}

/** It passes by itself, and callers try again. */
class NoConductorNow extends NoConductor {
  override readonly status = 503
}

export interface MembershipOptions {
  /** Signs of life must not wait behind work: on PostgreSQL a connection of its own. */
  db: Db
  clock: Clock
  log: Log
  hostname: string
  group: string
  interfaces: Omit<EnabledInterface, 'hostname'>[]
  /** Undefined on SQLite: signs of life are all there is. */
  channel?: Channel | undefined
  /** Between two signs of life, and how long silence means life. Read anew each time. */
  intervalMs(): number
  timeoutMs(): number
  /** Somebody says that there is work for us, or leaves work behind. */
  onWork(db: Db): Promise<void>
  onWake(): void
  onInterrupt(nodeUuid: string): void
  /** A node was taken from us, if we had it. */
  onTaken(nodeUuid: string): void
  /** We were taken for dead, or may have been: nothing that runs may touch a machine any more. */
  onFenced(): void
}

/** How often the others are looked at, at most. */
const lookMs = 1000
/** How long the lock of a conductor may be away while it says nothing. */
const lockGoneMs = 3000
/** How often work is looked for whose conductor left no trace. */
const strayMs = 15_000
/** How often the clock is compared with the database's, and by how much it may differ without a word. */
const clockMs = 300_000
const clockOffMs = 5000

/** What is known of another conductor: its last sign of life, and our time when that was news. */
interface Seen {
  sign: string
  atMs: number
  lockGoneSinceMs: number | null
}

export class Membership implements Peers {
  readonly alone = false
  readonly #options: MembershipOptions
  readonly #seen = new Map<string, Seen>()
  readonly #stop = new AbortController()
  #incarnation = randomUUID()
  #fleet: Fleet = { conductors: [], conductorOf: () => null }
  #online = new Set<string>()
  #touchedAtMs = 0
  #straysAtMs = 0
  #clockAtMs = Number.NEGATIVE_INFINITY
  #fenced = false
  #loop: Promise<void> | undefined
  #change: Promise<void> = Promise.resolve()

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** Says "I am here", and sees who else is. */
  async join(): Promise<void> {
    const { channel, clock, onInterrupt, onTaken, onWake } = this.#options
    channel?.listen(message => {
      const [what = '', about = ''] = message.split(' ', 2)
      if (what === 'work' && about === this.#options.hostname) onWake()
      if (what === 'interrupt') onInterrupt(about)
      if (what === 'taken') onTaken(about)
      if (what === 'left' || what === 'joined') this.#othersChanged()
    })
    await this.#register()
    await this.#readFleet()
    // Perhaps the first of its group: who is asked for a node of it is to know at once.
    channel?.send('joined')
    this.#straysAtMs = clock.now()
  }

  /** Begins to watch the others; what they left is taken up from now on. */
  watch(): void {
    this.#loop = this.#run()
  }

  /** Says farewell: work that is under way is free for the others at once. Nothing of ours may run any more. */
  async leave(): Promise<void> {
    const { channel, db, hostname, log } = this.#options
    this.#stop.abort()
    // Whatever is taken up after the farewell would be nobody's: this host counts as gone, and runs nothing.
    await Promise.all([this.#loop, this.#change])
    await retireConductor(db, { hostname, incarnation: this.#incarnation }).catch(error =>
      log.warn({ err: error }, 'could not say farewell; the others find out'),
    )
    channel?.send('left')
  }

  /**
   * Without signs of life for long enough, others may have our nodes already: better nothing is done than done twice. To
   * be called before each request to a machine: a process that stood still finds out there before it does any harm.
   */
  fenceIfSilent(): void {
    const { clock, log, onFenced, timeoutMs } = this.#options
    if (this.#fenced || clock.now() - this.#touchedAtMs < timeoutMs()) return
    this.#fenced = true
    log.error({}, 'the database has not heard of this conductor for too long; it lets all work go')
    onFenced()
  }

  ownerOf(node: Served): string {
    const owner = this.#fleet.conductorOf(node)
    if (owner !== null) return owner
    const { group: ownGroup, interfaces, hostname } = this.#options
    if (node.conductor_group === ownGroup && interfaces.some(one => one.hardware_type === node.driver)) {
      throw new NoConductorNow(
        `Cannot work on node ${node.uuid} now: conductor ${hostname}, which drives "${node.driver}", was taken for gone and is coming back; expected to be there in a few seconds`,
      )
    }
    const group = node.conductor_group === '' ? 'without a group' : `of group "${node.conductor_group}"`
    throw new NoConductor(
      `Cannot work on node ${node.uuid}: no conductor ${group} is online that drives "${node.driver}"`,
    )
  }

  wake(hostname: string): void {
    this.#options.channel?.send(`work ${hostname}`)
  }

  interrupt(nodeUuid: string): void {
    this.#options.channel?.send(`interrupt ${nodeUuid}`)
  }

  fence(nodeUuid: string): void {
    this.#options.channel?.send(`taken ${nodeUuid}`)
  }

  /** Looks who is there now and what they left, one message after the other. */
  #othersChanged(): void {
    const { db, log, onWork } = this.#options
    this.#change = this.#change
      .then(async () => {
        if (this.#stop.signal.aborted) return
        await this.#readFleet()
        await onWork(db)
      })
      .catch(error => log.warn({ err: error }, 'cannot take up work at once; it is looked for again soon'))
  }

  async #register(): Promise<void> {
    const { clock, db, group, hostname, interfaces } = this.#options
    const nowMs = clock.now()
    await registerConductor(db, { hostname, incarnation: this.#incarnation, group, nowMs, interfaces })
    this.#touchedAtMs = nowMs
    this.#fenced = false
  }

  async #readFleet(): Promise<void> {
    const fleet = await readFleet(this.#options.db, one => one.online)
    this.#fleet = fleet
    this.#online = new Set(fleet.conductors.filter(one => one.online).map(one => one.hostname))
  }

  async #run(): Promise<void> {
    const { clock, intervalMs, log } = this.#options
    while (!this.#stop.signal.aborted) {
      const pauseMs = Math.min(lookMs, intervalMs())
      await clock.sleep(pauseMs, this.#stop.signal).catch(() => {})
      if (this.#stop.signal.aborted) return
      try {
        await this.#signOfLife()
        await this.#lookAtOthers()
        await this.#compareClocks()
      } catch (error) {
        log.error({ err: error }, 'cannot say that this conductor is alive, or see who else is')
      }
      this.fenceIfSilent()
    }
  }

  async #signOfLife(): Promise<void> {
    const { clock, db, hostname, intervalMs, log, onFenced, onWork } = this.#options
    const nowMs = clock.now()
    if (nowMs - this.#touchedAtMs < intervalMs()) return
    if (await touchConductor(db, { hostname, incarnation: this.#incarnation }, nowMs)) {
      this.#touchedAtMs = nowMs
      this.#fenced = false
      return
    }
    log.warn({ hostname }, 'this conductor was taken for dead and its work given to others; it starts anew')
    onFenced()
    this.#incarnation = randomUUID()
    await this.#register()
    await onWork(db)
  }

  async #lookAtOthers(): Promise<void> {
    const { clock, db, log, channel, onWork } = this.#options
    await this.#readFleet()
    const others = this.#fleet.conductors.filter(one => one.online && one.hostname !== this.#options.hostname)
    const living = await channel?.living(others.map(one => one.hostname))
    let changed = false
    for (const other of others) {
      const reason = this.#deathOf(other, living)
      if (reason === null) continue
      const retired = await retireConductor(db, other)
      if (!retired) continue
      log.warn({ conductor: other.hostname, reason }, 'a conductor is gone; its nodes and work are free')
      changed = true
    }
    if (clock.now() - this.#straysAtMs >= strayMs) changed = (await this.#releaseStrays()) || changed
    if (changed) {
      await this.#readFleet()
      channel?.send('left')
    }
    await onWork(db)
  }

  /** Why a conductor counts as dead; null while it lives. Only our own clock is asked: those of hosts may differ. */
  #deathOf(other: ConductorRow, living: ReadonlySet<string> | undefined): string | null {
    const { clock, timeoutMs } = this.#options
    const nowMs = clock.now()
    const sign = `${other.incarnation} ${other.updatedAtMs}`
    const seen = this.#seen.get(other.hostname)
    const locked = living === undefined || living.has(other.hostname)
    if (seen?.sign !== sign) {
      this.#seen.set(other.hostname, { sign, atMs: nowMs, lockGoneSinceMs: locked ? null : nowMs })
      return null
    }
    seen.lockGoneSinceMs = locked ? null : (seen.lockGoneSinceMs ?? nowMs)
    if (seen.lockGoneSinceMs !== null && nowMs - seen.lockGoneSinceMs >= lockGoneMs) return 'its process has ended'
    return nowMs - seen.atMs >= timeoutMs() ? 'it gives no sign of life' : null
  }

  /** Nodes and flows of conductors that are not online: left by a death in mid-request, or by one long ago. */
  async #releaseStrays(): Promise<boolean> {
    const { clock, db } = this.#options
    this.#straysAtMs = clock.now()
    const gone = (await holders(db)).filter(hostname => !this.#online.has(hostname))
    let released = false
    // One that looked gone may have come back since: this process may have stood still in between.
    for (const hostname of gone) released = (await releaseStrays(db, hostname)) || released
    return released
  }

  /**
   * Conductors compare clocks for one thing, a lease that nobody prolonged for a minute; operators read their times side
   * by side. The database's clock is the same for all. Without a channel there is no other conductor.
   */
  async #compareClocks(): Promise<void> {
    const { channel, clock, log } = this.#options
    const beforeMs = clock.now()
    if (beforeMs - this.#clockAtMs < clockMs) return
    this.#clockAtMs = beforeMs
    const serverMs = await channel?.serverNowMs?.()
    if (serverMs === undefined) return
    const afterMs = clock.now()
    // The answer was made between the two.
    const aheadMs = serverMs < beforeMs ? beforeMs - serverMs : Math.min(0, afterMs - serverMs)
    if (Math.abs(aheadMs) < clockOffMs) return
    const off = `${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`
    log.warn(
      { ahead_ms: Math.round(aheadMs) },
      `this host's clock is ${off} the database server's; those of conductors must agree to within half a minute`,
    )
  }
}
