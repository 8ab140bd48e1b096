/**
 * A fleet of simulated machines in this process: BMCs over real HTTPS and agents over real HTTP. It knows no node: whoever enrols its machines gives the service what an operator would know of them.
 */
import type { HardwareFacts } from '#lab/redfish/hardware.ts'
import type { Clock } from '#lib/clock.ts'
import { agentCertificate } from './agent.ts'
import { Chance } from './chance.ts'
import { Doors } from './doors.ts'
import { type BootSource, type MachineEvent, SimMachine } from './machine.ts'
import { Network } from './network.ts'
import { Rack } from './rack.ts'
import { RamdiskApi } from './ramdisk-api.ts'
import type { Settings } from './settings.ts'

export interface FleetOptions {
  nodes: number
  /** Machines are called `<prefix>-1` and so on. */
  prefix?: string
  /** That BMCs and agents listen on, and are reached at. Default: the loopback. */
  address?: string
  boot: BootSource
  settings: Settings
  clock: Clock
  onEvent?: (machine: SimMachine, event: MachineEvent) => void
}

/** What happened on all machines since the start. */
export interface Counters {
  power_ons: number
  ramdisk_boots: number
  instance_boots: number
  lookups: number
  heartbeats: number
  failed_heartbeats: number
  steps: number
}

export class Fleet {
  readonly machines: readonly SimMachine[]
  readonly counters: Counters
  /** Of the certificate that all BMCs present: what `redfish_verify_ca` must hold. */
  readonly bmcCertificatePem: string
  readonly #rack: Rack
  readonly #doors: Doors
  readonly #network: Network

  private constructor(parts: {
    machines: SimMachine[]
    counters: Counters
    rack: Rack
    doors: Doors
    network: Network
  }) {
    this.machines = parts.machines
    this.counters = parts.counters
    this.bmcCertificatePem = parts.rack.certPem
    this.#rack = parts.rack
    this.#doors = parts.doors
    this.#network = parts.network
  }

  /** All machines are switched off, with empty disks. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const { nodes, prefix = 'sim', address = '127.0.0.1', boot, settings, clock, onEvent } = options
    const rack = await Rack.open(settings, clock, address)
    const doors = new Doors(address)
    const network = new Network()
    const counters: Counters = {
      power_ons: 0,
      ramdisk_boots: 0,
      instance_boots: 0,
      lookups: 0,
      heartbeats: 0,
      failed_heartbeats: 0,
      steps: 0,
    }
    const world = {
      settings,
      clock,
      network,
      doors,
      address,
      rack,
      boot,
      api: new RamdiskApi(network),
      certificate: settings.agent.sharedCertificate ? agentCertificate(address, clock.now()) : null,
      onEvent: (machine: SimMachine, event: MachineEvent) => {
        count(counters, event)
        onEvent?.(machine, event)
      },
    }
    const chance = new Chance(settings.seed)
    const machines = Array.from({ length: nodes }, (_, index) => {
      const name = `${prefix}-${index + 1}`
      return new SimMachine(
        name,
        factsOf(name, index, settings.seed, chance.fork(`facts ${name}`)),
        world,
        chance.fork(name),
      )
    })
    return new Fleet({ machines, counters, rack, doors, network })
  }

  /** @throws when there is none of that name */
  machine(name: string): SimMachine {
    const found = this.machines.find(machine => machine.name === name)
    if (found === undefined) throw new Error(`The fleet has no machine ${name}`)
    return found
  }

  /** All power goes, and nothing listens any more. */
  async stop(): Promise<void> {
    for (const machine of this.machines) machine.hardware.unplug()
    this.#doors.closeAll()
    await this.#rack.close()
    await this.#network.close()
  }
}

function count(counters: Counters, event: MachineEvent): void {
  if (event.kind === 'power' && event.on) counters.power_ons += 1
  if (event.kind === 'running' && event.what === 'ramdisk') counters.ramdisk_boots += 1
  if (event.kind === 'running' && event.what === 'instance') counters.instance_boots += 1
  if (event.kind === 'looked up') counters.lookups += 1
  if (event.kind === 'heartbeat') counters[event.outcome === 'accepted' ? 'heartbeats' : 'failed_heartbeats'] += 1
  if (event.kind === 'step') counters.steps += 1
}

/** The seed stands in the MAC addresses, so that fleets with different seeds can be enrolled side by side. */
function factsOf(name: string, index: number, seed: number, chance: Chance): HardwareFacts {
  const serial = chance.hex(12).toUpperCase()
  const bytes = [seed & 0xff, (index >> 16) & 0xff, (index >> 8) & 0xff, index & 0xff]
  const tail = bytes.map(byte => byte.toString(16).padStart(2, '0')).join(':')
  const uuid = [chance.hex(8), chance.hex(4), `4${chance.hex(3)}`, `8${chance.hex(3)}`, chance.hex(12)].join('-')
  return {
    name,
    uuid,
    manufacturer: 'Ferrite',
    model: 'Simulated Machine',
    serialNumber: serial,
    assetTag: `${name}-asset`,
    biosVersion: '1.0',
    bootMode: 'UEFI',
    bootTargets: ['None', 'Pxe', 'Hdd', 'Cd'],
    cpus: 8,
    memoryMb: 32_768,
    // The bit 2 of the first byte says: locally administered.
    nics: [{ mac: `02:5e:${tail}` }, { mac: `06:5e:${tail}` }],
    disks: [{ name: 'disk0', sizeBytes: 480 * 10 ** 9, serial: `${serial}0`, protocol: 'NVMe' }],
  }
}
