/**
 * A world for one file of tests over real machines: ramdisk, a lab that ends with the tests, the service in it, and an
 * operator who enrols the lab's first machine and waits for what he asked for. It checks nothing but that a wait ends.
 */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Lab, labUp } from '#lab/lab.ts'
import type { MachineOptions } from '#lab/plan.ts'
import { driverInfoOf, LabService } from '#lab/service.ts'
import type { Sections } from '#lab/service-process.ts'
import type { Firmware, LabMachine } from '#lab/state.ts'
import type { MachineStatus } from '#lab/supervisor.ts'
import { buildRamdisk, type RamdiskBuild } from '#ramdisk/build.ts'
import type { Feature } from '#ramdisk/features.ts'
import { type DiskImage, instanceInfoOf } from './disk-image.ts'

export type Node = Readonly<Record<string, unknown>>

export interface WorldOptions {
  name: string
  firmware: Firmware
  /** What else is special about the machine. */
  machine?: MachineOptions
  /** What its ramdisk has beside what every one has. */
  features?: readonly Feature[]
  /** How long the machine takes to switch on or off; long ones can be looked into. Default 300. */
  powerDelayMs?: number
  /** Directories of images besides the world's own. */
  imageFolders?: readonly string[]
  config?: Sections
}

/** A boot of the ramdisk without KVM, on a host that does other things and may be held up by them for minutes. */
export const bootLimitMs = 900_000

export class World {
  readonly directory: string
  readonly imageFolder: string
  readonly lab: Lab
  readonly machine: LabMachine
  readonly #ramdisk: RamdiskBuild
  readonly #options: WorldOptions
  #service: LabService | undefined
  /** UUID of the node, once it is enrolled. */
  #uuid = ''

  private constructor(directory: string, lab: Lab, ramdisk: RamdiskBuild, options: WorldOptions) {
    this.directory = directory
    this.imageFolder = join(directory, 'images')
    this.lab = lab
    const [machine] = lab.state.machines
    assert.ok(machine)
    this.machine = machine
    this.#ramdisk = ramdisk
    this.#options = options
  }

  static async open(options: WorldOptions): Promise<World> {
    const { name, firmware, machine, features = [], powerDelayMs = 300 } = options
    const ramdisk = await buildRamdisk({ features, log: line => console.log(line) })
    const directory = await mkdtemp(join(tmpdir(), `ferrite-${name}-`))
    const lab = await labUp({
      name,
      directory: join(directory, 'lab'),
      attached: true,
      firmware,
      memoryMb: 1024,
      disks: [{ sizeGib: 4 }],
      ...machine,
      powerDelayMs,
      log: line => console.log(line),
    })
    const world = new World(directory, lab, ramdisk, options)
    try {
      await mkdir(world.imageFolder)
      await world.startService()
    } catch (error) {
      await world.close()
      throw error
    }
    return world
  }

  async close(): Promise<void> {
    await this.#service?.stop()
    await this.lab.down()
    await rm(this.directory, { recursive: true, force: true })
  }

  get service(): LabService {
    assert.ok(this.#service, 'the service was started')
    return this.#service
  }

  /** Starts the service, or starts it anew with other options, on the same state. */
  async startService(config: Sections = {}): Promise<void> {
    await this.#service?.stop()
    const { imageFolders = [], config: own = {} } = this.#options
    const sections = new Set([...Object.keys(own), ...Object.keys(config)])
    this.#service = await LabService.start({
      lab: this.lab,
      ramdisk: this.#ramdisk,
      imageFolders: [this.imageFolder, ...imageFolders],
      config: Object.fromEntries([...sections].map(name => [name, { ...own[name], ...config[name] }])),
    })
  }

  /** Makes the machine known. @param driverInfo differences from how it really is reached */
  async enrol(driverInfo: Record<string, string> = {}): Promise<void> {
    const created = await this.service.api.create('/v1/nodes', {
      name: this.machine.name,
      driver: 'redfish',
      driver_info: { ...driverInfoOf(this.machine), ...driverInfo },
    })
    this.#uuid = String(created.uuid)
  }

  get uuid(): string {
    return this.#uuid
  }

  node(): Promise<Node> {
    return this.service.api.get(`/v1/nodes/${this.#uuid}`)
  }

  async change(path: string, value: unknown): Promise<void> {
    await this.service.api.patch(`/v1/nodes/${this.#uuid}`, [{ op: 'add', path, value }])
  }

  async ask(target: string, more: object = {}): Promise<void> {
    await this.service.api.put(`/v1/nodes/${this.#uuid}/states/provision`, { target, ...more })
  }

  /** Waits for a state; one that the node rests in instead ends the wait with its last_error. */
  async reached(state: string, limitMs = bootLimitMs): Promise<Node> {
    const isThere = (node: Node) => {
      if (node.provision_state === state) return true
      const rests = node.target_provision_state === null || String(node.provision_state).endsWith(' failed')
      assert.ok(!rests, `the node came to rest in ${node.provision_state}, not ${state}: ${node.last_error}`)
      return false
    }
    return (await this.seen(`state ${state}`, isThere, limitMs)).node
  }

  async bring(target: string, state: string, more: object = {}): Promise<Node> {
    await this.ask(target, more)
    return this.reached(state)
  }

  /** Looks at node and machine until they are as `wanted`. A service that is away is waited for. */
  async seen(
    what: string,
    wanted: (node: Node, machine: MachineStatus) => boolean,
    limitMs = bootLimitMs,
  ): Promise<{ node: Node; machine: MachineStatus }> {
    const end = performance.now() + limitMs
    for (;;) {
      const node = await this.node().catch(() => undefined)
      const machine = await this.status()
      if (node && wanted(node, machine)) return { node, machine }
      if (performance.now() > end) {
        const { provision_state, deploy_step, last_error } = node ?? {}
        const found = JSON.stringify({ provision_state, deploy_step, last_error, power: machine.power })
        const said = (await this.lab.serialText(this.machine.name)).text.slice(-1500)
        throw new Error(`${what} was not seen within ${limitMs} ms; found ${found}; the console says:\n${said}`)
      }
      await sleep(50)
    }
  }

  /** What the machine does now, as the lab knows it: never what its BMC tells. */
  async status(): Promise<MachineStatus> {
    const found = (await this.lab.status()).machines.find(({ name }) => name === this.machine.name)
    assert.ok(found)
    return found
  }

  async chooseImage(image: DiskImage): Promise<void> {
    await this.change('/instance_info', instanceInfoOf(image))
  }

  /** The raw file that is the machine's disk. */
  get disk(): string {
    const [disk] = this.machine.disks
    assert.ok(disk)
    return disk.file
  }

  /** Waits for words of the machine. @param from look only behind this byte of what it wrote */
  says(pattern: RegExp, from: number, limitMs = bootLimitMs): Promise<RegExpExecArray> {
    return this.lab.waitForSerial(this.machine.name, pattern, { from, timeoutMs: limitMs })
  }

  serialSize(): Promise<number> {
    return this.lab.serialSize(this.machine.name)
  }
}
