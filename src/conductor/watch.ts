/**
 * Watches over the fleet: reads power state, health, boot mode and maker from every BMC in turn. It never holds a node,
 * so it makes no request wait; what it reads of a node that somebody worked on meanwhile is forgotten. A machine that is
 * not in the power state that it was given is put back by an ordinary power flow.
 *
 * Source: "Power state synchronisation" of the conductor facts (ironic/conductor/manager.py restated).
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import type { Node, NodePatch } from '#db/nodes.ts'
import { countFailures, enlist, observe, type Purpose, takeDue, type Watched } from '#db/watches.ts'
import { told } from '#drivers/bmc-view.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { isSwitchable } from '#drivers/power.ts'
import type { Clock } from '#lib/clock.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { type PowerState, provision, provisionStates } from '#protocol/states.ts'
import { standing } from './told.ts'
import { Turns } from './turns.ts'

export interface WatchWorld {
  db: Db
  config: Pick<Config, 'conductor' | 'DEFAULT'>
  clock: Clock
  log: Log
  hostname: string
  context(node: Node, signal: AbortSignal): Promise<NodeContext>
  /** Starts a power change of a node that is still as it was seen; does nothing when it is not, or is held. */
  setPower(seen: Watched, wanted: 'power on' | 'power off'): Promise<void>
}

/** In these states the machine is the business of a flow, or of nobody yet. */
const unwatched = provisionStates.filter(
  state => provision[state].kind === 'wait' || state === 'enroll' || state === 'adopt failed',
)

/** How often new nodes are looked for. */
const enlistEveryMs = 10_000

export class Watch {
  readonly #world: WatchWorld
  readonly #looks: Turns
  #enlistedMs = Number.NEGATIVE_INFINITY

  constructor(world: WatchWorld) {
    this.#world = world
    this.#looks = new Turns(world)
  }

  /** Looks at what is due, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { conductor } = this.#world.config
    await this.#looks.run(() => this.turn(signal), {
      signal,
      limit: () => conductor.sync_power_state_workers,
      failed: 'cannot read which nodes are to be looked at; trying again soon',
    })
  }

  /** Begins looks at what is due, as many as may run at a time. */
  async turn(signal: AbortSignal): Promise<void> {
    const { db, clock, config } = this.#world
    const { sync_power_state_interval: syncS, power_failure_recovery_interval: recoveryS } = config.conductor
    const nowMs = clock.now()
    if (syncS > 0 && nowMs - this.#enlistedMs >= enlistEveryMs) {
      await enlist(db, { nowMs, everyMs: syncS * 1000 })
      this.#enlistedMs = nowMs
    }
    // Another group's BMCs may be out of reach from here.
    const group = config.conductor.conductor_group.toLowerCase()
    await this.#begin({ for: 'sync', group, except: unwatched }, syncS, signal)
    await this.#begin({ for: 'recovery', group }, recoveryS, signal)
  }

  /** Resolves when no look is under way. */
  async settled(): Promise<void> {
    await this.#looks.settled()
  }

  async #begin(purpose: Purpose, everyS: number, signal: AbortSignal): Promise<void> {
    const { db, clock, config } = this.#world
    const free = this.#looks.free(config.conductor.sync_power_state_workers)
    if (everyS <= 0 || free <= 0) return
    for (const seen of await takeDue(db, purpose, { nowMs: clock.now(), everyMs: everyS * 1000, limit: free })) {
      const look = purpose.for === 'sync' ? this.#sync(seen, signal) : this.#recover(seen, signal)
      this.#looks.begin(look, { signal, node: seen.node.uuid, failed: 'looking at a node failed with a bug' })
    }
  }

  async #sync(seen: Watched, signal: AbortSignal): Promise<void> {
    const { db, config, log } = this.#world
    const { node } = seen
    const ctx = await this.#world.context(node, signal)
    // Without anybody who could switch it back there is nothing to keep in step.
    if (!isSwitchable(ctx)) return
    const read = await readPower(ctx)
    if ('problem' in read) {
      await this.#failed(seen, null, read)
      return
    }
    const extras = await this.#extras(ctx)
    const { state } = read
    if (node.power_state === null || node.power_state === state || seen.hearsay) {
      if (seen.failures > 0 || seen.hearsay) await countFailures(db, node.uuid, 0)
      await this.#write(seen, { power_state: state, ...extras })
      return
    }
    if (!config.conductor.force_power_state_during_sync || node.disable_power_off) {
      if (!(await this.#write(seen, { power_state: state, ...extras }))) return
      await this.#event(node, 'power seen', { from: node.power_state, state })
      return
    }
    const problem = `the machine is in "${state}" though "${node.power_state}" was asked for`
    if (!(await this.#failed(seen, state, { problem, code: 'power-out-of-step' }))) return
    log.warn({ node: node.uuid, state }, `putting a machine back to "${node.power_state}"`)
    await this.#world.setPower(seen, node.power_state === 'power on' ? 'power on' : 'power off')
  }

  /** Counts a failure; the last one that is borne puts the node in maintenance. Tells whether it is borne. */
  async #failed(seen: Watched, state: PowerState | null, { problem, code }: Problem): Promise<boolean> {
    const { db, config, log } = this.#world
    const { node } = seen
    const limit = config.conductor.power_state_sync_max_retries
    const failures = seen.failures + 1
    log.debug({ node: node.uuid, failures }, `reading the power state: ${problem}`)
    await countFailures(db, node.uuid, failures, seen)
    if (failures <= limit) return true
    const reason = `The power state could not be kept in step in ${failures} looks; the last time: ${problem}`
    const told = reason.slice(0, config.DEFAULT.log_in_db_max_size)
    const patch: NodePatch = {
      power_state: state,
      maintenance: true,
      maintenance_reason: told,
      fault: 'power failure',
      last_error: told,
    }
    if (await observe(db, seen, patch)) {
      log.warn({ node: node.uuid }, `a node went into maintenance: ${told}`)
      await this.#event(node, 'power failure', { error: told, code })
    }
    return false
  }

  /** Takes a node out of the maintenance that a failed power sync put it in, once its BMC answers. */
  async #recover(seen: Watched, signal: AbortSignal): Promise<void> {
    const { db, log } = this.#world
    const { node } = seen
    const read = await readPower(await this.#world.context(node, signal))
    if ('problem' in read) return
    await countFailures(db, node.uuid, 0)
    const healed: NodePatch = { power_state: read.state, maintenance: false, maintenance_reason: null, fault: null }
    const own = node.last_error === node.maintenance_reason ? { last_error: null } : {}
    if (!(await observe(db, seen, { ...healed, ...own }))) return
    log.info({ node: node.uuid }, 'the BMC answers again: the node leaves maintenance')
    await this.#event(node, 'power recovered', { state: read.state })
  }

  /** What comes along with a power state; what a BMC does not tell stays as it is known. */
  async #extras(ctx: NodeContext): Promise<NodePatch> {
    const { management } = ctx.interfaces
    const { node } = ctx
    const boot_mode = await told(() => management.getBootMode(ctx))
    const health = this.#world.config.conductor.enable_health_monitoring
      ? await told(() => management.getHealth(ctx))
      : undefined
    const vendor = node.properties.vendor === undefined ? await told(() => management.getVendor(ctx)) : undefined
    return {
      ...(boot_mode ? { boot_mode } : {}),
      ...(health === undefined ? {} : { health }),
      ...(vendor ? { properties: { ...node.properties, vendor } } : {}),
    }
  }

  /** Writes what differs from the row; tells whether the node is still the one that was seen. */
  async #write(seen: Watched, patch: NodePatch): Promise<boolean> {
    const changed = Object.entries(patch).filter(([name, value]) => seen.node[name as keyof NodePatch] !== value)
    if (changed.length === 0) return true
    return observe(this.#world.db, seen, Object.fromEntries(changed))
  }

  async #event(node: Node, kind: string, data: Record<string, unknown>): Promise<void> {
    const { db, clock, hostname } = this.#world
    const all = { ...data, ...standing(node), conductor: hostname }
    await appendEvent(db, { nowMs: clock.now(), node_uuid: node.uuid, kind, data: all })
  }
}

interface Problem {
  problem: string
  /** Of the fault. */
  code: string
}

/** The power state, or why there is none. */
async function readPower(ctx: NodeContext): Promise<{ state: PowerState } | Problem> {
  try {
    const state = await ctx.interfaces.power.get(ctx)
    return state === null ? { problem: 'the BMC tells no power state', code: 'power-failure' } : { state }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { problem: messageOf(error), code: error.code }
  }
}
