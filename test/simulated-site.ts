/** For scenarios over simulated machines: a site in a directory of its own, a record of its events, and waiting for nodes. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sections } from '../src/lab/service-process.ts'
import type { MachineEvent, SimMachine } from '../src/sim/machine.ts'
import { brisk, type Settings } from '../src/sim/settings.ts'
import { Site } from '../src/sim/site.ts'

export type Node = Readonly<Record<string, unknown>>

/** Writing takes long enough to be watched, or killed. */
export const watchable: Settings = { ...brisk, delayMs: { ...brisk.delayMs, write: [700, 900] } }

type Listener = (machine: SimMachine, event: MachineEvent) => void

/** What happened on the machines, and who wants to hear of it. */
export class EventRecord {
  readonly #events = new Map<string, MachineEvent[]>()
  readonly #listeners = new Set<Listener>()

  readonly add: Listener = (machine, event) => {
    this.of(machine).push(event)
    for (const listener of this.#listeners) listener(machine, event)
  }

  of(machine: SimMachine): MachineEvent[] {
    const events = this.#events.get(machine.name) ?? []
    this.#events.set(machine.name, events)
    return events
  }

  /** Steps that the machine's agents began, in order. */
  steps(machine: SimMachine): string[] {
    return this.of(machine).flatMap(event => (event.kind === 'step' ? [event.step] : []))
  }

  /** Resolves when such an event happens from now on. */
  next(isWanted: (event: MachineEvent, machine: SimMachine) => boolean, limitMs = 30_000): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(new Error(`nothing of the kind happened within ${limitMs} ms`)), limitMs)
    const listener: Listener = (machine, event) => isWanted(event, machine) && resolve()
    this.#listeners.add(listener)
    return promise.finally(() => {
      clearTimeout(timer)
      this.#listeners.delete(listener)
    })
  }
}

/** A site that is gone, with its directory, at the end of the scope, or when it is disposed of. */
export async function openSite(options: { nodes: number; settings?: Settings; config?: Sections }) {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-simulated-'))
  const record = new EventRecord()
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  const site = await Site.start({
    directory,
    nodes: options.nodes,
    settings: options.settings ?? watchable,
    imageSizeBytes: 4 * 2 ** 20,
    config: { ...options.config, ferrite: { poll_interval_ms: 100, ...options.config?.ferrite } },
    onEvent: record.add,
  })
  opened.defer(() => site.stop())
  const held = opened.move()
  return Object.assign(new Operator(site, record), { [Symbol.asyncDispose]: () => held.disposeAsync() })
}

/** Machines, an image for them, and a service that knows them. */
export type Ground = Pick<Site, 'fleet' | 'image' | 'enrol' | 'instanceInfo'> & {
  service: Pick<Site['service'], 'api'>
}

/** Asks the service for things and waits until they are so. */
export class Operator<S extends Ground = Site> {
  readonly site: S
  readonly record: EventRecord

  constructor(site: S, record: EventRecord) {
    this.site = site
    this.record = record
  }

  get machines(): readonly SimMachine[] {
    return this.site.fleet.machines
  }

  machineNo(index: number): SimMachine {
    const machine = this.machines[index]
    assert.ok(machine, `there is no machine ${index}`)
    return machine
  }

  node(machine: SimMachine): Promise<Node> {
    return this.site.service.api.get(`/v1/nodes/${machine.name}`)
  }

  async ask(machine: SimMachine, target: string, more: object = {}): Promise<void> {
    await this.site.service.api.put(`/v1/nodes/${machine.name}/states/provision`, { target, ...more })
  }

  /** Asks for `target`, and waits for `state`. */
  async go(machine: SimMachine, target: string, state: string, more: object = {}): Promise<Node> {
    await this.ask(machine, target, more)
    return this.reached(machine, state)
  }

  /** Sets fields of the node, by their paths. */
  async patch(machine: SimMachine, values: Record<string, unknown>): Promise<void> {
    const changes = Object.entries(values).map(([path, value]) => ({ op: 'add', path, value }))
    await this.site.service.api.patch(`/v1/nodes/${machine.name}`, changes)
  }

  /** Makes its node and its port. @returns the node's UUID */
  async enrol(machine: SimMachine): Promise<string> {
    const node_uuid = await this.site.enrol(machine)
    await this.site.service.api.create('/v1/ports', { node_uuid, address: machine.macs[0] })
    return node_uuid
  }

  /** Asks all machines for `target` and waits until each is in `state`. */
  async bring(target: string, state: string, more: object = {}): Promise<void> {
    await Promise.all(this.machines.map(machine => this.ask(machine, target, more)))
    await Promise.all(this.machines.map(machine => this.reached(machine, state)))
  }

  /**
   * Waits for a state; one that a node rests in instead ends the wait with its last_error. A service that is away is
   * waited for. @param seen is told every look
   */
  async reached(machine: SimMachine, state: string, seen: (node: Node) => void = () => {}): Promise<Node> {
    const end = performance.now() + 60_000
    for (;;) {
      const node = await this.node(machine).catch(() => undefined)
      if (node) {
        seen(node)
        if (node.provision_state === state) return node
        const resting = node.target_provision_state === null || String(node.provision_state).endsWith(' failed')
        assert.ok(!resting, `${machine.name} came to rest in ${node.provision_state}: ${node.last_error}`)
      }
      assert.ok(performance.now() < end, `${machine.name} did not get to ${state}: it is ${node?.provision_state}`)
      await sleep(100)
    }
  }

  /** Sets instance_info to the site's image, with changes. */
  async chooseImage(machine: SimMachine, more: Record<string, unknown> = {}): Promise<void> {
    const info = { ...this.site.instanceInfo(), ...more }
    const patch = [{ op: 'replace', path: '/instance_info', value: info }]
    await this.site.service.api.patch(`/v1/nodes/${machine.name}`, patch)
  }

  /** Waits until the machine runs what is on its disk. */
  async instanceRuns(machine: SimMachine): Promise<void> {
    for (let left = 100; left > 0 && machine.running !== 'instance'; left--) await sleep(50)
    assert.equal(machine.running, 'instance')
  }

  /** From unknown to available, without inspection. */
  async makeAvailable(): Promise<void> {
    for (const machine of this.machines) await this.enrol(machine)
    await this.bring('manage', 'manageable')
    await this.bring('provide', 'available')
  }
}
