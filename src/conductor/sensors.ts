/**
 * Reads what BMCs measure (temperatures, fans, power supplies, drives), node after node at their interval, and keeps the
 * latest of each; a sensor whose health changed is told in the log of events. It holds no node and changes none. A BMC
 * that does not answer is the business of the watch over power.
 *
 * Source: [sensor_data] (ironic/conductor/manager.py, sensor data restated; Ironic sends what it reads to a message bus).
 */
import type { Config } from '#config/options.ts'
import type { Db } from '#db/database.ts'
import { appendEvent } from '#db/events.ts'
import type { Node } from '#db/nodes.ts'
import { enlistSensors, type Measured, takeDueSensors, writeSensors } from '#db/sensors.ts'
import type { NodeContext } from '#drivers/driver.ts'
import type { Clock } from '#lib/clock.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import { linkedSignal } from '#lib/linked-signal.ts'
import type { Log } from '#lib/log.ts'
import { type SensorData, type SensorType, sensorTypes } from '#protocol/sensors.ts'
import { standing } from './told.ts'
import { Turns } from './turns.ts'

export interface SensorWorld {
  db: Db
  config: Pick<Config, 'conductor' | 'sensor_data'>
  clock: Clock
  log: Log
  hostname: string
  context(node: Node, signal: AbortSignal): Promise<NodeContext>
}

/** How often new nodes are looked for. */
const enlistEveryMs = 10_000
/** Sensors of a node that change their health at once are told one by one up to here. */
const toldAtOnce = 20

export class SensorWatch {
  readonly #world: SensorWorld
  readonly #reads: Turns
  #enlistedMs = Number.NEGATIVE_INFINITY

  constructor(world: SensorWorld) {
    this.#world = world
    this.#reads = new Turns(world)
  }

  /** Reads what is due, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { sensor_data } = this.#world.config
    await this.#reads.run(() => this.turn(signal), {
      signal,
      limit: () => sensor_data.workers,
      failed: 'cannot read whose sensors are due; trying again soon',
    })
  }

  /** Begins reads of what is due, as many as may run at a time. */
  async turn(signal: AbortSignal): Promise<void> {
    const { db, clock, config } = this.#world
    const { send_sensor_data, enable_for_nodes, enable_for_undeployed_nodes, interval, workers } = config.sensor_data
    const free = this.#reads.free(workers)
    if (!send_sensor_data || !enable_for_nodes || free <= 0) return
    const nowMs = clock.now()
    const everyMs = interval * 1000
    if (nowMs - this.#enlistedMs >= enlistEveryMs) {
      await enlistSensors(db, { nowMs, everyMs })
      this.#enlistedMs = nowMs
    }
    // Another group's BMCs may be out of reach from here.
    const group = config.conductor.conductor_group.toLowerCase()
    const states = enable_for_undeployed_nodes ? undefined : (['active'] as const)
    for (const measured of await takeDueSensors(db, { group, states }, { nowMs, everyMs, limit: free })) {
      const failed = 'reading sensors failed with a bug'
      this.#reads.begin(this.#read(measured, signal), { signal, node: measured.node.uuid, failed })
    }
  }

  /** Resolves when no read is under way. */
  async settled(): Promise<void> {
    await this.#reads.settled()
  }

  async #read({ node, before }: Measured, stop: AbortSignal): Promise<void> {
    const { db, clock, config, log, context } = this.#world
    const { wait_timeout: limitS, data_types: types } = config.sensor_data
    const late = new AbortController()
    using linked = linkedSignal(stop, late.signal)
    const limit = limitS > 0 ? setTimeout(() => late.abort(), limitS * 1000) : undefined
    try {
      const ctx = await context(node, linked.signal)
      const all = await ctx.interfaces.management.getSensors?.(ctx)
      if (!all) return
      const data = ofTypes(all, types)
      await writeSensors(db, node.uuid, { readAtMs: clock.now(), data })
      await this.#tellChanges(node, before, data)
    } catch (error) {
      if (stop.aborted || (!(error instanceof Fault) && !late.signal.aborted)) throw error
      const told = late.signal.aborted ? `it took more than ${limitS} s` : messageOf(error)
      log.debug({ node: node.uuid }, `sensors could not be read: ${told}`)
      await writeSensors(db, node.uuid, { error: told })
    } finally {
      clearTimeout(limit)
    }
  }

  async #tellChanges(node: Node, before: SensorData, now: SensorData): Promise<void> {
    const { db, clock, hostname } = this.#world
    for (const change of changesOf(before, now).slice(0, toldAtOnce)) {
      const data = { ...change, ...standing(node), conductor: hostname }
      await appendEvent(db, { nowMs: clock.now(), node_uuid: node.uuid, kind: 'sensor health', data })
    }
  }
}

/** What [sensor_data] data_types wants of it; the case of a type does not count. */
export function ofTypes(data: SensorData, types: readonly string[]): SensorData {
  const wanted = new Set(types.map(type => type.toLowerCase()))
  if (wanted.has('all')) return data
  return Object.fromEntries(Object.entries(data).filter(([type]) => wanted.has(type.toLowerCase())))
}

interface HealthChange {
  type: SensorType
  sensor: string
  from: string | null
  to: string
}

/** Sensors whose health is another than before; one that is seen for the first time counts unless it is well. */
function changesOf(before: SensorData, now: SensorData): HealthChange[] {
  return sensorTypes.flatMap(type =>
    Object.entries(now[type] ?? {}).flatMap(([sensor, { health: to }]) => {
      const from = before[type]?.[sensor]?.health ?? null
      if (to === undefined || to === (from ?? 'OK')) return []
      return [{ type, sensor, from, to }]
    }),
  )
}
