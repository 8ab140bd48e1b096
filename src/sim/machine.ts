/**
 * One simulated machine: hardware with its BMC, firmware that boots from network or disk, and whatever runs then: the
 * ramdisk's agent, an instance, or nothing. What boots is decided by the boot override at power-on and by what is on
 * the disk and behind the boot server, never by looking into the service.
 */
import type { BootTarget, HardwareFacts } from '#lab/redfish/hardware.ts'
import { messageOf } from '#lib/fault.ts'
import { type AgentWorld, SimAgent } from './agent.ts'
import type { Chance } from './chance.ts'
import { SimHardware } from './hardware.ts'
import type { WrittenImage } from './image.ts'
import { inventoryOf } from './inventory.ts'
import { type KernelParameters, type Loaded, netboot } from './netboot.ts'
import type { BmcAccess, Rack } from './rack.ts'
import type { Body } from './ramdisk-commands.ts'

/**
 * How a network boot finds its ramdisk: by the boot scripts that the service serves, or, for services whose boot server
 * is not simulated, by assuming the parameters that it would give.
 */
export type BootSource = { kind: 'scripts'; url: () => string } | { kind: 'assumed'; apiUrl: () => string }

export interface MachineWorld extends AgentWorld {
  rack: Rack
  boot: BootSource
  /** Told of everything that happens on any machine. */
  onEvent(machine: SimMachine, event: MachineEvent): void
}

export type MachineEvent =
  | { kind: 'power'; on: boolean }
  | { kind: 'running'; what: Running }
  | { kind: 'looked up'; nodeUuid: string }
  | { kind: 'heartbeat'; outcome: 'accepted' | 'failed'; ms: number }
  | { kind: 'step'; step: string }
  | { kind: 'note'; text: string }

/** `stuck`: on, but nothing that could be booted was found, or what ran has hung. */
export type Running = 'off' | 'firmware' | 'ramdisk' | 'instance' | 'stuck'

export class SimMachine {
  readonly name: string
  readonly facts: HardwareFacts
  readonly hardware: SimHardware
  readonly bmc: BmcAccess
  readonly #world: MachineWorld
  readonly #chance: Chance
  #running: Running = 'off'
  #disk: WrittenImage | null = null
  #agent: SimAgent | null = null
  #instance: Loaded | { kind: 'disk' } | null = null
  /** Ends with the power. */
  #boot = new AbortController()

  constructor(name: string, facts: HardwareFacts, world: MachineWorld, chance: Chance) {
    this.name = name
    this.facts = facts
    this.#world = world
    this.#chance = chance
    this.hardware = new SimHardware({
      facts,
      clock: world.clock,
      chance: chance.fork('power'),
      delayMs: world.settings.delayMs,
      circuit: {
        poweredOn: target => this.#poweredOn(target),
        poweredOff: () => this.#poweredOff(),
        obeysButton: () => this.#running === 'instance',
      },
    })
    this.bmc = world.rack.add(name, this.hardware, chance.fork('bmc'))
  }

  get macs(): string[] {
    return this.facts.nics.map(nic => nic.mac)
  }

  get running(): Running {
    return this.#running
  }

  /** What is on the root disk. */
  get disk(): WrittenImage | null {
    return this.#disk
  }

  /** What the instance that runs, or ran last, was started from. */
  get instance(): Loaded | { kind: 'disk' } | null {
    return this.#instance
  }

  #poweredOn(target: BootTarget): void {
    this.#tell({ kind: 'power', on: true })
    this.#boot = new AbortController()
    const { signal } = this.#boot
    this.#start(target, signal).catch(error => {
      if (signal.aborted) return
      this.#tell({ kind: 'note', text: `the boot ended: ${messageOf(error)}` })
      this.#run('stuck')
    })
  }

  #poweredOff(): void {
    this.#boot.abort()
    this.#agent?.stop()
    this.#agent = null
    if (this.#running === 'off') return
    this.#run('off')
    this.#tell({ kind: 'power', on: false })
  }

  async #start(target: BootTarget, signal: AbortSignal): Promise<void> {
    const { clock, settings } = this.#world
    const { delayMs, rate } = settings
    this.#run('firmware')
    await clock.sleep(this.#chance.within(delayMs.firmware), signal)
    if (target === 'Cd') return this.#run('stuck') // there is no virtual media in this simulation
    // Without an override the disk comes first where it boots, as in the usual boot order.
    const network = target === 'Pxe' || target === 'UefiHttp' || (target === 'None' && this.#disk === null)
    const hangs = this.#chance.happens(rate.bootHangs)
    if (network && hangs) {
      this.#tell({ kind: 'note', text: 'the network boot hangs' })
      return this.#run('stuck')
    }
    const loaded = network ? await this.#netboot(signal) : null
    if (loaded?.kind === 'kernel' && hasAgent(loaded.parameters)) {
      await clock.sleep(this.#chance.within(delayMs.ramdisk), signal)
      return this.#startAgent(loaded.parameters)
    }
    if (loaded === null && this.#disk === null) return this.#run('stuck')
    await clock.sleep(this.#chance.within(delayMs.instance), signal)
    this.#instance = loaded ?? { kind: 'disk' }
    this.#run('instance')
  }

  async #netboot(signal: AbortSignal): Promise<Loaded | null> {
    const { boot, network, clock, settings } = this.#world
    if (boot.kind === 'scripts') {
      const { bootPauseMs } = settings.agent
      return await netboot({ bootUrl: boot.url(), macs: this.macs, network, clock, signal, pauseMs: bootPauseMs })
    }
    // A service that does not wait for inspection data refuses them, and the agent goes on.
    const url = boot.apiUrl()
    const inspection = `${url.replace(/\/+$/, '')}/v1/continue_inspection`
    const parameters = new Map([
      ['ipa-api-url', url],
      ['ipa-inspection-callback-url', inspection],
      ['BOOTIF', this.macs[0] ?? ''],
    ])
    return { kind: 'kernel', parameters }
  }

  #startAgent(parameters: KernelParameters): void {
    const agent = new SimAgent({
      world: this.#world,
      body: this.#body(parameters.get('BOOTIF') ?? null),
      macs: this.macs,
      parameters,
      chance: this.#chance.fork(`agent ${this.hardware.powerOns}`),
      events: {
        lookedUp: nodeUuid => this.#tell({ kind: 'looked up', nodeUuid }),
        heartbeat: (outcome, ms) => this.#tell({ kind: 'heartbeat', outcome, ms }),
        step: (kind, step) => this.#tell({ kind: 'step', step: `${kind}.${step}` }),
        note: text => this.#tell({ kind: 'note', text }),
      },
    })
    this.#agent = agent
    this.#run('ramdisk')
    agent.start()
  }

  /** The machine as the ramdisk finds it, for one boot. */
  #body(bootMac: string | null): Body {
    const machine = this
    return {
      inventory: inventoryOf(this.facts, bootMac),
      get disk() {
        return machine.#disk
      },
      set disk(image: WrittenImage | null) {
        machine.#disk = image
      },
      powerOff: () => this.hardware.switchOff(),
      restart: () => this.hardware.restart(),
      hang: () => {
        this.#tell({ kind: 'note', text: 'the machine hangs' })
        this.#agent?.stop()
        this.#run('stuck')
      },
      leaveNetwork: () => this.#agent?.stop(),
    }
  }

  #run(what: Running): void {
    if (this.#running === what) return
    this.#running = what
    this.#tell({ kind: 'running', what })
  }

  #tell(event: MachineEvent): void {
    this.#world.onEvent(this, event)
  }
}

/** A ramdisk that is told nothing of an API has no agent: it is somebody's instance. */
const hasAgent = (parameters: KernelParameters) =>
  parameters.has('ipa-api-url') || parameters.has('ipa-inspection-callback-url')
