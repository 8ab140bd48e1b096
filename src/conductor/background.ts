/**
 * What a conductor does without being asked: it watches power and sensors, keeps instances and consoles going, hands out
 * places, tells those outside what happened, and throws away what is old. What needs a node goes the way of any request,
 * and gives way to whoever asked for something.
 */

import type { PxeFilter } from '#boot/pxe-filter.ts'
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import type { Node, NodePatch } from '#db/nodes.ts'
import type { Watched } from '#db/watches.ts'
import type { NodeContext } from '#drivers/driver.ts'
import type { Registry } from '#drivers/registry.ts'
import { cleanImageStore } from '#images/instance.ts'
import type { Clock } from '#lib/clock.ts'
import { Conflict, NodeLocked } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { RunMemory } from '#timeline/remember.ts'
import { handOutAll } from './admission.ts'
import type { Allocator } from './allocations.ts'
import { Notifications, sendsNotifications } from './bus/notifications.ts'
import type { Caller } from './conductor.ts'
import { keepConsoles } from './consoles.ts'
import type { FlowEngine } from './engine.ts'
import { keepInstanceBoots, takeOver } from './instance-boots.ts'
import type { Membership } from './membership.ts'
import { type PeriodicTask, runPeriodically } from './periodic.ts'
import { prune, pruneHistories } from './prune.ts'
import { SensorWatch } from './sensors.ts'
import type { Shared } from './shared.ts'
import { Watch } from './watch.ts'
import { deliverWebhook } from './webhook.ts'

export interface BackgroundWorld {
  db: Db
  config: Config
  registry: Registry
  clock: Clock
  log: Log
  hostname: string
  shared: Shared
  engine: FlowEngine
  membership: Membership
  allocator: Allocator
  filter: PxeFilter
  context(node: Node, signal?: AbortSignal): Promise<NodeContext>
}

export class Background {
  readonly #world: BackgroundWorld
  readonly #stop = new AbortController()
  readonly #notifications: Notifications | undefined
  #running: Promise<unknown> | undefined

  constructor(world: BackgroundWorld) {
    this.#world = world
    this.#notifications = sendsNotifications(world.config) ? new Notifications(world) : undefined
  }

  start(): void {
    const { clock, log, filter } = this.#world
    const { signal } = this.#stop
    // Not left to their turn: until then machines would boot nothing, or something else.
    const first = (work: Promise<unknown>, what: string) =>
      work.catch(error => log.error({ err: error }, `cannot ${what}; trying again in time`))
    const watch = new Watch({ ...this.#world, setPower: (seen, wanted) => this.#setPower(seen, wanted) })
    this.#running = Promise.all([
      first(this.#keepBoots(signal), 'look for instances that boot from the network'),
      first(this.#keepConsoles(signal), 'look for consoles that are switched on'),
      first(filter.sync(), 'filter network boots'),
      runPeriodically(this.#tasks(), { clock, log, signal }),
      watch.run(signal),
      new SensorWatch(this.#world).run(signal),
    ])
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#notifications?.close()
  }

  #tasks(): PeriodicTask[] {
    const { db, config, clock, log, hostname, shared, engine, allocator, filter } = this.#world
    const world = { db, config, clock, log, hostname }
    const notifications = this.#notifications
    const runMemory = new RunMemory({ db, clock })
    return [
      {
        name: 'image cache clean-up',
        everyS: () => config.conductor.cache_clean_up_interval,
        run: () => cleanImageStore({ config, log, shared: shared.get }),
      },
      {
        name: 'places that are free',
        everyS: () => 1,
        run: async () => {
          for (const host of await handOutAll(world)) engine.call(host)
        },
      },
      {
        name: 'filter of network boots',
        everyS: () => (config.pxe_filter.dhcp_hostsdir === null ? 0 : config.pxe_filter.sync_period),
        run: () => filter.sync(),
      },
      { name: 'allocations left over', everyS: () => 10, run: () => allocator.resume() },
      {
        name: 'instances that boot from the network',
        everyS: () => config.conductor.sync_local_state_interval,
        run: signal => this.#keepBoots(signal),
      },
      {
        name: 'consoles that are switched on',
        everyS: () => config.conductor.sync_local_state_interval,
        run: signal => this.#keepConsoles(signal),
      },
      {
        name: 'how long runs took',
        everyS: () => 2,
        run: signal => runMemory.round({ isOurs: conductor => conductor === hostname, signal }),
      },
      { name: 'events to a webhook', everyS: () => 1, run: signal => deliverWebhook(world, signal) },
      {
        name: 'notifications on a message bus',
        everyS: () => (notifications ? 1 : 0),
        run: async signal => notifications?.round(signal),
      },
      { name: 'old events', everyS: () => 3600, run: signal => prune(world, signal) },
      {
        name: 'long histories',
        everyS: () => config.conductor.node_history_cleanup_interval,
        run: signal => pruneHistories(world, signal),
      },
    ]
  }

  readonly #isOurs = (node: Node): boolean => this.#world.membership.ownerOf(node) === this.#world.hostname

  #keepConsoles(signal: AbortSignal): Promise<void> {
    return keepConsoles({ ...this.#world, shared: this.#world.shared.get, isOurs: this.#isOurs }, signal)
  }

  #keepBoots(signal: AbortSignal): Promise<void> {
    const takesOver = (node: Node) =>
      this.#begin(node, { kind: takeOver.kind, args: {}, user: 'take-over', patch: {} }, now => {
        if (now.provision_state !== 'active') throw new Conflict(`Node ${node.uuid} is not what it was any more`)
      })
    return keepInstanceBoots({ ...this.#world, isOurs: this.#isOurs, takeOver: takesOver }, signal)
  }

  /** Of a node that is still as it was seen. */
  #setPower({ node, token }: Watched, wanted: 'power on' | 'power off'): Promise<void> {
    const request = {
      kind: 'power',
      args: { target: wanted },
      user: 'power sync',
      patch: { target_power_state: wanted },
    }
    return this.#begin(node, request, now => {
      if (now.lease?.token !== token + 1) throw new Conflict(`Node ${node.uuid} is not what it was any more`)
    })
  }

  /** Starts what nobody asked for; a node that somebody works on, or that is another by now, is left alone. */
  async #begin(
    node: Node,
    { kind, args, user, patch }: { kind: string; args: Record<string, unknown>; user: string; patch: NodePatch },
    check: (now: Node) => void,
  ): Promise<void> {
    const caller: Caller = { user, project: null, requestId: null }
    const request = {
      ...{ nodeUuid: node.uuid, kind, args, event: null, caller, check },
      // Nobody asked for this: what failed last stays told.
      patch: ({ last_error }: Node) => ({ ...patch, last_error }),
    }
    await this.#world.engine.begin(request).catch(error => {
      if (!(error instanceof Conflict || error instanceof NodeLocked)) throw error
    })
  }
}
