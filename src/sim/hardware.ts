/**
 * Simulated hardware as its BMC sees it: power states that take their time, boot overrides that a boot uses up, and a
 * count of what was done. What runs on the machine is told of power coming and going, and decides by itself.
 *
 * Source: DMTF DSP2046, ComputerSystem.Reset and Boot (behaviour).
 */
import type {
  BootOverride,
  BootTarget,
  Hardware,
  HardwareFacts,
  Media,
  PowerState,
  ResetType,
  Sensors,
} from '#lab/redfish/hardware.ts'
import type { Clock } from '#lib/clock.ts'
import type { Chance } from './chance.ts'
import type { Settings } from './settings.ts'

/** What the machine does when its power changes. */
export interface Circuit {
  /** Power is there; `target` is what the override says for this boot. */
  poweredOn(target: BootTarget): void
  /** Power is gone: nothing runs from now on. */
  poweredOff(): void
  /** The button was pressed, or the operating system asked to go down; true when something will obey. */
  obeysButton(): boolean
}

export interface SimHardwareOptions {
  facts: HardwareFacts
  circuit: Circuit
  clock: Clock
  chance: Chance
  delayMs: Pick<Settings['delayMs'], 'powerOn' | 'powerOff'>
}

export class SimHardware implements Hardware {
  readonly facts: HardwareFacts
  /** Times that power came, by whatever cause; and every reset that was accepted, in order. */
  powerOns = 0
  readonly resets: ResetType[] = []
  readonly #options: SimHardwareOptions
  #power: PowerState = 'Off'
  #boot: BootOverride = { enabled: 'Disabled', target: 'None' }
  #media: Media | null = null
  /** Of the power change under way; a newer change makes it void. */
  #change = new AbortController()

  constructor(options: SimHardwareOptions) {
    this.#options = options
    this.facts = options.facts
  }

  power(): PowerState {
    return this.#power
  }

  reset(type: ResetType): void {
    this.resets.push(type)
    const isOn = this.#power === 'On' || this.#power === 'PoweringOn'
    switch (type) {
      case 'On':
      case 'ForceOn':
        if (!isOn) this.#switchOn()
        break
      case 'ForceOff':
        if (this.#power !== 'Off') this.switchOff()
        break
      case 'GracefulShutdown':
        if (this.#options.circuit.obeysButton()) this.switchOff()
        break
      case 'PushPowerButton':
        if (!isOn) this.#switchOn()
        else if (this.#options.circuit.obeysButton()) this.switchOff()
        break
      case 'GracefulRestart':
      case 'ForceRestart':
      case 'PowerCycle':
        this.restart()
        break
      case 'Nmi':
        break
    }
  }

  /** Everything stops at once; the BMC tells so a little later. For the operating system's own power-off, too. */
  switchOff(): void {
    this.#options.circuit.poweredOff()
    this.#begin('PoweringOff', this.#options.delayMs.powerOff, () => {
      this.#power = 'Off'
    })
  }

  /** A warm start: the BMC never sees the machine off. */
  restart(): void {
    this.#options.circuit.poweredOff()
    this.#begin('On', this.#options.delayMs.powerOff, () => this.#start())
  }

  boot(): BootOverride {
    return this.#boot
  }

  async setBoot(override: BootOverride): Promise<void> {
    this.#boot = override
  }

  media(): Media | null {
    return this.#media
  }

  async insertMedia(image: string): Promise<void> {
    this.#media = { image }
  }

  async ejectMedia(): Promise<void> {
    this.#media = null
  }

  linkUp(): boolean {
    return this.#power === 'On'
  }

  /** Warm while it runs, at room temperature else; half of the fleet has BMCs of the older kind. */
  sensors(): Sensors {
    const { serialNumber } = this.facts
    const luck = Number.parseInt(serialNumber.slice(-2), 16) || 0
    const isOn = this.#power !== 'Off'
    return {
      hasSubsystems: luck % 2 === 0,
      temperatures: [
        { name: 'Inlet', context: 'Intake', celsius: 20 + (luck % 5) },
        { name: 'CPU1', context: 'CPU', celsius: (isOn ? 45 : 21) + (luck % 10) },
      ],
      fans: [1, 2].map(number => ({ name: `Fan ${number}`, rpm: isOn ? 4000 + luck * 10 : 0, health: 'OK' })),
      supplies: [{ name: 'PSU1', watts: isOn ? 180 + luck : 9, capacityWatts: 800, health: 'OK' }],
    }
  }

  /** Pulls the plug and forgets what was under way; for the end of the simulation. */
  unplug(): void {
    this.#change.abort()
    this.#power = 'Off'
    this.#options.circuit.poweredOff()
  }

  #switchOn(): void {
    this.#begin('PoweringOn', this.#options.delayMs.powerOn, () => this.#start())
  }

  #start(): void {
    this.#power = 'On'
    this.powerOns += 1
    const { target, enabled } = this.#boot
    if (enabled === 'Once') this.#boot = { enabled: 'Disabled', target: 'None' }
    this.#options.circuit.poweredOn(target)
  }

  #begin(meanwhile: PowerState, delay: Settings['delayMs']['powerOn'], then: () => void): void {
    this.#change.abort()
    this.#change = new AbortController()
    this.#power = meanwhile
    const { clock, chance } = this.#options
    clock.sleep(chance.within(delay), this.#change.signal).then(then, () => {}) // rejects only when made void
  }
}
