/**
 * Takes simulated machines through the life of a node, many at a time, and measures how long each takes: the operator
 * of a simulation. It knows the public API alone, so any service that speaks it will do. A service that is away is
 * waited for; what a node rests in instead of the state asked for is a failure that is counted, never repaired.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, ApiError } from '#cli/client.ts'
import { Unreachable } from '#cli/http.ts'
import { messageOf } from '#lib/fault.ts'
import { isProvisionState, isUnstable } from '#protocol/states.ts'
import { type Latencies, latenciesOf } from './figures.ts'
import type { SimMachine } from './machine.ts'

export const phases = ['enrol', 'manage', 'inspect', 'clean', 'deploy', 'undeploy', 'remove'] as const
export type Phase = (typeof phases)[number]

/** The verb of a phase, and the state it ends in. Cleaning is what `provide` does on its way. */
const verbs = {
  manage: { target: 'manage', state: 'manageable' },
  inspect: { target: 'inspect', state: 'manageable' },
  clean: { target: 'provide', state: 'available' },
  deploy: { target: 'active', state: 'active' },
  undeploy: { target: 'deleted', state: 'available' },
} satisfies Partial<Record<Phase, { target: string; state: string }>>

export interface PhaseResult extends Latencies {
  phase: Phase
  seconds: number
  /** Machines that got through, in an hour at this pace. */
  per_hour: number
  failed: number
  /** The first few, in words. */
  failures: string[]
  /** How often the API was asked again because it was away, busy, or somebody held the node. */
  retries: number
}

export interface CampaignOptions {
  api: Api
  /** What the API was asked again for so far: the client counts its retries there. */
  retries: () => number
  machines: readonly SimMachine[]
  /** Machines under way at a time. */
  concurrency: number
  /** Fields of a node to enrol. */
  enrolment(machine: SimMachine): Record<string, unknown>
  /** `instance_info` of a node to deploy. */
  instanceInfo: Record<string, unknown>
  signal: AbortSignal
  /** Told how far a phase is. */
  onProgress?: (phase: Phase, done: number, of: number) => void
}

type Node = Readonly<Record<string, unknown>>

interface Awaited {
  uuid: string
  state: string
  sinceMs: number
  resolve(node: Node): void
}

/** States that nodes are in between a verb and its end. */
const usualWay = ['verifying', 'inspecting', 'inspect wait', 'cleaning', 'clean wait', 'deploying', 'wait call-back']
/** How soon the service is looked at again; longer when a look takes long. */
const LOOK_MS = 250
/** The pause after the slowest look: with all nodes of a wave through, the next wave waits for it. */
const LOOK_AT_LEAST_EVERY_MS = 1000
/** How long a service may be away. */
const AWAY_LIMIT_MS = 120_000

export class Campaign {
  readonly #options: CampaignOptions
  readonly #uuids = new Map<SimMachine, string>()
  readonly #awaited = new Map<string, Awaited>()
  /** States in which nodes are on their way, or were met there: a list for each is less work than a look at each node. */
  readonly #underWay = new Set<string>(usualWay)
  #among: Readonly<Record<string, string>> = {}
  #isWatching = false

  constructor(options: CampaignOptions) {
    this.#options = options
  }

  uuidOf(machine: SimMachine): string | undefined {
    return this.#uuids.get(machine)
  }

  /**
   * Runs one phase on all machines (or the given ones); rejects when interrupted, or when the service stays away.
   * @param among picks their nodes from the list of nodes, where the service has many others
   */
  async run(
    phase: Phase,
    machines = this.#options.machines,
    among: Readonly<Record<string, string>> = {},
  ): Promise<PhaseResult> {
    this.#among = among
    const { concurrency, signal, retries, onProgress } = this.#options
    const ms: number[] = []
    const failures: string[] = []
    const retriesBefore = retries()
    const began = performance.now()
    const queue = [...machines]
    const worker = async () => {
      for (let machine = queue.shift(); machine !== undefined; machine = queue.shift()) {
        signal.throwIfAborted()
        const startMs = performance.now()
        try {
          await this.#one(phase, machine)
          ms.push(performance.now() - startMs)
        } catch (error) {
          // Whatever broke off: it was the interruption.
          signal.throwIfAborted()
          failures.push(`${machine.name}: ${messageOf(error)}`)
        }
        onProgress?.(phase, ms.length + failures.length, machines.length)
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, machines.length) }, worker))
    const seconds = (performance.now() - began) / 1000
    return {
      phase,
      seconds: Math.round(seconds * 100) / 100,
      per_hour: Math.round((ms.length / seconds) * 3600),
      ...latenciesOf(ms),
      failed: failures.length,
      failures: failures.slice(0, 5),
      retries: retries() - retriesBefore,
    }
  }

  /** Starts a cleaning of these steps and does not wait for its end. */
  async beginCleaning(machine: SimMachine, steps: readonly { interface: string; step: string }[]): Promise<void> {
    await this.#ask(this.#uuid(machine), { target: 'clean', clean_steps: steps })
  }

  async #one(phase: Phase, machine: SimMachine): Promise<void> {
    const { api, instanceInfo } = this.#options
    if (phase === 'enrol') return await this.#enrol(machine)
    const uuid = this.#uuid(machine)
    if (phase === 'remove') return await this.#remove(uuid)
    const patch = [{ op: 'replace', path: '/instance_info', value: instanceInfo }]
    if (phase === 'deploy') await this.#patiently(() => api.patch(`/v1/nodes/${uuid}`, patch))
    const { target, state } = verbs[phase]
    await this.#ask(uuid, { target })
    const node = await this.#reached(uuid, state)
    if (node.provision_state !== state) throw new Error(`${node.provision_state}: ${node.last_error}`)
  }

  async #enrol(machine: SimMachine): Promise<void> {
    const { api, enrolment } = this.#options
    const node = await api.create('/v1/nodes', { name: machine.name, ...enrolment(machine) })
    const uuid = String(node.uuid)
    await api.create('/v1/ports', { node_uuid: uuid, address: machine.macs[0] })
    this.#uuids.set(machine, uuid)
  }

  async #remove(uuid: string): Promise<void> {
    const { api } = this.#options
    // In maintenance a node can be deleted whatever its state.
    await this.#patiently(() => api.put(`/v1/nodes/${uuid}/maintenance`, { reason: 'the end of a simulation' }))
    await this.#patiently(() => api.delete(`/v1/nodes/${uuid}`))
  }

  #uuid(machine: SimMachine): string {
    const uuid = this.#uuids.get(machine)
    if (uuid === undefined) throw new Error('it was not enrolled')
    return uuid
  }

  /** Asks for a change of state, once: when the answer was lost, the node tells whether it was heard. */
  async #ask(uuid: string, body: { target: string; clean_steps?: unknown }): Promise<void> {
    const { api } = this.#options
    const before = await this.#patiently(() => api.get(`/v1/nodes/${uuid}`, { fields: 'provision_state' }))
    await this.#patiently(async isRepeated => {
      if (isRepeated) {
        const now = await api.get(`/v1/nodes/${uuid}`, { fields: 'provision_state' })
        if (now.provision_state !== before.provision_state) return
      }
      await api.put(`/v1/nodes/${uuid}/states/provision`, body)
    })
  }

  /** Tries again while the service is away. */
  async #patiently<T>(work: (isRepeated: boolean) => Promise<T>): Promise<T> {
    const until = performance.now() + AWAY_LIMIT_MS
    for (let isRepeated = false; ; isRepeated = true) {
      try {
        return await work(isRepeated)
      } catch (error) {
        const isAway = error instanceof Unreachable || (error instanceof ApiError && [502, 504].includes(error.status))
        if (!isAway || performance.now() > until) throw error
        await sleep(LOOK_MS, undefined, { signal: this.#options.signal })
      }
    }
  }

  /** The node once it is in `state`, or rests in another. */
  #reached(uuid: string, state: string): Promise<Node> {
    const { promise, resolve } = Promise.withResolvers<Node>()
    this.#awaited.set(uuid, { uuid, state, sinceMs: performance.now(), resolve })
    if (!this.#isWatching) void this.#watch()
    return promise
  }

  /** One watcher for all: nodes under way are listed by their states, and only those that left them are asked for. */
  async #watch(): Promise<void> {
    const { signal } = this.#options
    this.#isWatching = true
    let failedSinceMs: number | undefined
    while (this.#awaited.size > 0) {
      const beganMs = performance.now()
      try {
        await this.#look(beganMs)
        failedSinceMs = undefined
      } catch (error) {
        failedSinceMs ??= beganMs
        if (beganMs - failedSinceMs > AWAY_LIMIT_MS) this.#giveUp(messageOf(error))
      }
      if (signal.aborted) this.#giveUp('interrupted')
      const tookMs = performance.now() - beganMs
      await sleep(Math.max(LOOK_MS, Math.min(4 * tookMs, LOOK_AT_LEAST_EVERY_MS)), undefined, { signal }).catch(
        () => {},
      )
    }
    this.#isWatching = false
  }

  async #look(beganMs: number): Promise<void> {
    const { api } = this.#options
    const candidates = new Map([...this.#awaited].filter(([, { sinceMs }]) => sinceMs <= beganMs))
    if (candidates.size > 20) {
      for (const provision_state of this.#underWay) {
        const query = { ...this.#among, provision_state, fields: 'uuid' }
        for (const node of await api.list('/v1/nodes', 'nodes', { query, limit: 0 }))
          candidates.delete(String(node.uuid))
      }
    }
    const queue = [...candidates.values()]
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await this.#check(next)
    }
    await Promise.all(Array.from({ length: 8 }, worker))
  }

  async #check(awaited: Awaited): Promise<void> {
    const node = await this.#options.api.get(`/v1/nodes/${awaited.uuid}`, { fields: 'uuid,provision_state,last_error' })
    const state = String(node.provision_state)
    const rests = state === awaited.state || !isProvisionState(state) || !isUnstable(state)
    if (!rests) {
      this.#underWay.add(state)
      return
    }
    this.#awaited.delete(awaited.uuid)
    awaited.resolve(node)
  }

  #giveUp(why: string): void {
    for (const { uuid, resolve } of this.#awaited.values()) {
      resolve({ uuid, provision_state: 'unknown', last_error: why })
    }
    this.#awaited.clear()
  }
}
