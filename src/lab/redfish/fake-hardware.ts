/**
 * Hardware without a machine: it changes its power state after a delay and remembers what was done to it. For tests and
 * for fleets of simulated BMCs; the lab's real machines are in ../machine.ts.
 */
import type {
  BootOverride,
  Hardware,
  HardwareFacts,
  HardwareSerial,
  Media,
  MediaLogin,
  PowerState,
  ResetType,
  Sensors,
} from './hardware.ts'

export class FakeHardware implements Hardware {
  readonly facts: HardwareFacts
  /** Every reset that was accepted, in order. */
  readonly resets: ResetType[] = []
  /** What `sensors` tells; null: nothing but that it could. */
  measured: Sensors | null = null
  /** With which the last image was to be fetched; null: with none. */
  mediaLogin: MediaLogin | null = null
  readonly serial = new FakeSerial()
  readonly #delayMs: number
  #power: PowerState = 'Off'
  #boot: BootOverride = { enabled: 'Disabled', target: 'None' }
  #media: Media | null = null

  /** @param delayMs how long a power change takes */
  constructor(facts: Partial<HardwareFacts> = {}, delayMs = 0) {
    this.facts = { ...defaultFacts, ...facts }
    this.#delayMs = delayMs
  }

  power(): PowerState {
    return this.#power
  }

  reset(type: ResetType): void {
    this.resets.push(type)
    const off = ['ForceOff', 'GracefulShutdown'].includes(type) || (type === 'PushPowerButton' && this.#power === 'On')
    if (type === 'Nmi') return
    const restarts = !off && this.#power === 'On'
    this.#change(off ? 'PoweringOff' : restarts ? 'On' : 'PoweringOn', off ? 'Off' : 'On')
    // A boot uses up an override for one boot.
    if (!off && this.#boot.enabled === 'Once') this.#boot = { enabled: 'Disabled', target: 'None' }
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

  async insertMedia(image: string, login?: MediaLogin): Promise<void> {
    this.#media = { image }
    this.mediaLogin = login ?? null
  }

  async ejectMedia(): Promise<void> {
    this.#media = null
  }

  sensors(): Sensors {
    return this.measured ?? { hasSubsystems: true, temperatures: [], fans: [], supplies: [] }
  }

  linkUp(): boolean {
    return this.#power === 'On'
  }

  #change(meanwhile: PowerState, then: PowerState): void {
    if (this.#delayMs === 0) {
      this.#power = then
      return
    }
    this.#power = meanwhile
    setTimeout(() => {
      this.#power = then
    }, this.#delayMs).unref()
  }
}

/** A serial port without a machine: what is typed is kept, what a test wants is written. */
export class FakeSerial implements HardwareSerial {
  typed = ''
  readonly #listeners = new Set<(characters: Buffer) => void>()

  type(characters: Buffer): void {
    this.typed += characters.toString('latin1')
  }

  listen(heard: (characters: Buffer) => void): () => void {
    this.#listeners.add(heard)
    return () => void this.#listeners.delete(heard)
  }

  write(text: string): void {
    for (const heard of this.#listeners) heard(Buffer.from(text, 'latin1'))
  }
}

const defaultFacts: HardwareFacts = {
  name: 'fake-0',
  uuid: '5d3b6c1e-3d5c-4d0e-9a55-0a7d1f6f2b01',
  manufacturer: 'Ferrite',
  model: 'Fake Machine',
  serialNumber: 'FAKE0',
  assetTag: 'FAKE0-A',
  biosVersion: '1.0',
  bootMode: 'UEFI',
  bootTargets: ['None', 'Pxe', 'Hdd', 'Cd'],
  cpus: 2,
  memoryMb: 2048,
  nics: [{ mac: '52:54:00:00:00:01' }, { mac: '52:54:00:00:00:02' }],
  disks: [{ name: 'disk0', sizeBytes: 8 * 1024 ** 3, serial: 'FAKE0D0', protocol: 'NVMe' }],
}
