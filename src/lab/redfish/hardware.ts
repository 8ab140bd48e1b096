/**
 * What a BMC can see of and do to the machine behind it. The Redfish emulator knows hardware by this interface alone,
 * so a QEMU machine of the lab, a fake of a test and a simulated rack look the same to a client.
 */
import type { Duplex } from 'node:stream'

export type PowerState = 'On' | 'Off' | 'PoweringOn' | 'PoweringOff'

/** The values of ComputerSystem.Reset that we honour. Source: DMTF DSP2046, Resource.ResetType */
export const resetTypes = [
  'On',
  'ForceOn',
  'ForceOff',
  'GracefulShutdown',
  'GracefulRestart',
  'ForceRestart',
  'PowerCycle',
  'PushPowerButton',
  'Nmi',
] as const
export type ResetType = (typeof resetTypes)[number]

export type BootTarget = 'None' | 'Pxe' | 'Hdd' | 'Cd' | 'UefiHttp'
export type BootEnabled = 'Disabled' | 'Once' | 'Continuous'

/** `Disabled` always goes with `None`. */
export interface BootOverride {
  enabled: BootEnabled
  target: BootTarget
  /** What firmware fetches for `UefiHttp`; absent: what DHCP tells it. */
  url?: string
}

export interface HardwareFacts {
  name: string
  uuid: string
  manufacturer: string
  model: string
  serialNumber: string
  assetTag: string
  biosVersion: string
  /** A machine has one firmware and cannot change it. */
  bootMode: 'UEFI' | 'Legacy'
  bootTargets: readonly BootTarget[]
  cpus: number
  memoryMb: number
  nics: readonly { mac: string }[]
  disks: readonly { name: string; sizeBytes: number; serial: string; protocol: string }[]
}

/** What a machine measures of itself. */
export interface Sensors {
  /** As BMCs of today show it, a resource for each part; false: as older ones do, one for all. */
  hasSubsystems: boolean
  temperatures: readonly { name: string; context: string; celsius: number }[]
  fans: readonly { name: string; rpm: number; health: SensorHealth }[]
  supplies: readonly { name: string; watts: number; capacityWatts: number; health: SensorHealth }[]
}
export type SensorHealth = 'OK' | 'Warning' | 'Critical'

export interface Media {
  /** The URL as the client gave it; null for what somebody sends. */
  image: string | null
}

/** Who asks a server or share for an image. */
export interface MediaLogin {
  username: string
  password: string
}

/** A machine's serial port, as what is plugged into it sees it. */
export interface HardwareSerial {
  type(characters: Buffer): void
  /** Hears what the machine writes from now on, until the returned function is called. */
  listen(heard: (characters: Buffer) => void): () => void
}

export interface Hardware {
  readonly facts: HardwareFacts
  power(): PowerState
  /** Begins the change and returns: what the machine does shows in `power()`. */
  reset(type: ResetType): void
  boot(): BootOverride
  /** In force for the next boot once this resolves, whatever causes that boot. */
  setBoot(override: BootOverride): Promise<void>
  /** What is in the CD slot. */
  media(): Media | null
  /** Fetches the image and puts it in the slot. @throws Fault when it cannot be fetched */
  insertMedia(image: string, login?: MediaLogin): Promise<void>
  /**
   * Puts in the slot what the sender of this stream serves by NBD, until it goes. Absent: nothing can be sent.
   * @throws Fault when it is no image
   */
  streamMedia?(stream: Duplex): Promise<void>
  ejectMedia(): Promise<void>
  /** Whether the cable of a card, counted from 0, is plugged. */
  linkUp(nic: number): boolean
  /** Absent where nobody has plugged a cable. */
  readonly serial?: HardwareSerial
  /** A connection to what shows the machine's screen by RFB. Absent: nothing does. @throws Fault while it has no power */
  openScreen?(): Duplex
  /** Absent where nothing is measured. */
  sensors?(): Sensors
  /** How the switch stands, and how it stood when the machine was last switched on. Absent: there is none. */
  secureBoot?(): { enabled: boolean; current: boolean }
  /** Counts from the next power-on. */
  setSecureBoot?(enabled: boolean): void
}
