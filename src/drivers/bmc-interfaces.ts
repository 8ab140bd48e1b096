/**
 * The interfaces of a driver that ask a machine's BMC: power, management with what BMCs show and set besides, and consoles.
 * What holds for every function of theirs is said in `driver.ts`.
 */
import type { Duplex } from 'node:stream'
import type { Indicator, MediaDevice } from '#protocol/management.ts'
import type { SensorData } from '#protocol/sensors.ts'
import type { BootDevice, BootMode, PowerState, PowerTarget } from '#protocol/states.ts'
import type { FlowContext, NodeContext, Validated } from './driver.ts'

export interface PowerInterface extends Validated {
  readonly supported: readonly PowerTarget[]
  /**
   * How a machine is restarted that cannot be switched on or off; `name` is unique in the flow. When it returns the
   * machine is going down, and its agent is forgotten. Nobody watches the power of such a machine. Absent: `set` does it.
   */
  restart?(ctx: FlowContext, name: string): Promise<void>
  /** Asks the BMC; `null` when it does not tell. */
  get(ctx: NodeContext): Promise<PowerState | null>
  /**
   * Asks for the state and returns when the BMC accepted; it does not wait for the machine to get there. A machine that
   * is there already is no error. `reset` is for machines that must never be off.
   */
  set(ctx: NodeContext, target: 'power on' | 'power off' | 'soft power off' | 'reset'): Promise<void>
}

export type Health = 'OK' | 'Warning' | 'Critical'

/** An image that somebody attaches by hand. */
export interface AttachedImage {
  url: string
  /** Through this host, else by the BMC from where it is. Undefined: through this host where it can be fetched here. */
  local?: boolean | undefined
}

/** Images that the BMC shows the machine as drives. */
export interface VirtualMedia {
  /** What there are slots for, and whether something is in them. */
  list(ctx: NodeContext): Promise<readonly { media_types: readonly string[]; inserted: boolean }[]>
  attach(ctx: NodeContext, device: MediaDevice, image: AttachedImage): Promise<void>
  /** Takes out what is in slots of these kinds; null: of all. */
  detach(ctx: NodeContext, devices: readonly MediaDevice[] | null): Promise<void>
  /** The node goes: nothing is sent to its BMC any longer, which is not asked. Absent: nothing ever is. */
  forget?(ctx: NodeContext): void
}

/** What the BMC sees of the machine's firmware at work; null: it does not tell. */
export interface FirmwareState {
  /** Whether it starts nothing that is not signed, since the machine was started last. */
  secureBoot: boolean | null
  /** How far its boot has come. Source: DMTF DSP0268, ComputerSystem.BootProgressTypes */
  progress: string | null
}

export interface ManagementInterface extends Validated {
  supportedBootDevices(ctx: NodeContext): Promise<readonly BootDevice[]>
  getBootDevice(ctx: NodeContext): Promise<{ boot_device: BootDevice | null; persistent: boolean | null }>
  setBootDevice(ctx: NodeContext, device: BootDevice, options: { persistent: boolean }): Promise<void>
  getBootMode(ctx: NodeContext): Promise<BootMode | null>
  setBootMode(ctx: NodeContext, mode: BootMode): Promise<void>
  /** Absent where secure boot cannot be set. It counts from the next boot on. */
  setSecureBoot?(ctx: NodeContext, enabled: boolean): Promise<void>
  injectNmi(ctx: NodeContext): Promise<void>
  /** Absent where there are no lights to see. */
  getIndicators?(ctx: NodeContext): Promise<readonly Indicator[]>
  /** @throws InvalidInput for a light that is not there, or a state that it cannot show */
  setIndicator?(ctx: NodeContext, wanted: Pick<Indicator, 'component' | 'name' | 'state'>): Promise<void>
  /** Absent where the BMC shows no images. */
  readonly virtualMedia?: VirtualMedia
  /** As the BMC sums it up; `null` when it does not tell. */
  getHealth(ctx: NodeContext): Promise<Health | null>
  /** Absent where nothing is measured. */
  getSensors?(ctx: NodeContext): Promise<SensorData>
  /** Who made the machine, as the BMC says it; `null` when it does not tell. */
  getVendor(ctx: NodeContext): Promise<string | null>
  /** MAC addresses of the machine's NICs as the BMC knows them, lower case; empty when it does not tell. */
  macAddresses(ctx: NodeContext): Promise<readonly string[]>
  /** Those of them that have no link, as the BMC of a machine that is on knows it. Absent where it does not tell. */
  macsWithoutLink?(ctx: NodeContext): Promise<readonly string[]>
  /** Absent where the BMC sees nothing of it. */
  firmwareState?(ctx: NodeContext): Promise<FirmwareState>
}

/** A way to the machine's screen or serial line. */
export interface ConsoleInterface extends Validated {
  start(ctx: NodeContext): Promise<void>
  stop(ctx: NodeContext): Promise<void>
  /** Where to find it once it is started; null when there is nothing to find. */
  access(ctx: NodeContext): Promise<{ type: string; url: string } | null>
  /**
   * Lets somebody look and type by another way than `access` tells; null while this process does not offer it. Absent
   * where the console is no stream of bytes.
   */
  stream?(ctx: NodeContext): ((person: Duplex) => void) | null
}
