/**
 * What the API asks of the conductor: everything that touches a machine or its course. The API checks and writes rows
 * through the named queries; whatever needs a driver, a lease or a flow goes through here.
 */
import type { Duplex } from 'node:stream'
import type { Found } from '#db/inspections.ts'
import type { Node, NodePatch } from '#db/nodes.ts'
import type { Port } from '#db/ports.ts'
import type { AttachedImage, VirtualMedia } from '#drivers/bmc-interfaces.ts'
import type { VifNetwork } from '#drivers/driver.ts'
import type { CommandHeader } from '#protocol/agent.ts'
import type { InterfaceType } from '#protocol/interfaces.ts'
import type { Indicator, MediaDevice } from '#protocol/management.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BootDevice, BootMode, PowerTarget, Verb } from '#protocol/states.ts'
import type { Explanation } from '#protocol/why.ts'

/** Who asked. */
export interface Caller {
  /** ID of the user, or the name where there is no ID; null with noauth. */
  user: string | null
  /** ID of the project that the request is made for; null where there is none. */
  project: string | null
  requestId: string | null
  /** Has the role admin, in whatever scope. */
  admin?: boolean
}

/** A short piece of work that the node's history tells. */
export interface Action {
  /** Of the lease. */
  purpose: string
  /** As a command: `set boot device to "pxe"`. No secrets. */
  told: string
  caller: Caller
}

/** A vendor method as it is listed. */
export interface VendorMethodView {
  http_methods: readonly string[]
  async: boolean
  attach: boolean
  require_exclusive_lock: boolean
  description: string
}

export interface VendorCall {
  method: string
  httpMethod: string
  args: Readonly<Record<string, unknown>>
}

export interface ProvisionRequest {
  configdrive?: string | Record<string, unknown>
  deploy_steps?: Record<string, unknown>[]
  clean_steps?: Record<string, unknown>[]
  service_steps?: Record<string, unknown>[]
  rescue_password?: string
  disable_ramdisk?: boolean
  runbook?: string
}

/** As the API tells it. */
export interface StoredImages {
  host: string
  /** Room that they may take. */
  limit_bytes: number
  images: {
    id: string
    source: string
    format: string | null
    size_bytes: number
    stored_bytes: number
    chunked: boolean
    in_use: boolean
    used_at: string
  }[]
}

export interface ConductorService {
  readonly hostname: string

  /**
   * Starts a verb. When it returns, the new provision state, its target and the cleared last_error are stored; the
   * work goes on. Drivers are validated first.
   * @throws InvalidInput the verb is impossible in this state, in maintenance, or the drivers are not set up
   * @throws NodeLocked somebody works on the node
   */
  provision(node: Node, verb: Verb, request: ProvisionRequest, caller: Caller): Promise<void>

  /**
   * What a verb would do, without doing it: nothing is written, no machine is asked to change. What speaks against it is
   * told and not thrown. @param options.runbook the steps of the request are those of this runbook
   */
  plan(
    node: Node,
    verb: Verb,
    request: ProvisionRequest,
    options: { caller: Caller; runbook?: string | undefined },
  ): Promise<Plan>

  /** Starts a power change; target_power_state is stored when it returns. @throws NodeLocked, InvalidInput */
  power(node: Node, target: PowerTarget, options: { timeoutS: number | null }, caller: Caller): Promise<void>

  /** Asks every interface of the node; `result` null where the interface is a "no-…" one. */
  validate(node: Node, caller?: Caller): Promise<Record<InterfaceType, { result: boolean | null; reason?: string }>>

  bootDevice(node: Node): Promise<{ boot_device: BootDevice | null; persistent: boolean | null }>
  setBootDevice(node: Node, device: BootDevice, options: { persistent: boolean }, caller: Caller): Promise<void>
  supportedBootDevices(node: Node): Promise<readonly BootDevice[]>
  injectNmi(node: Node, caller: Caller): Promise<void>

  /** Lights of the machine; none where its driver knows of none. */
  indicators(node: Node): Promise<readonly Indicator[]>
  /** @throws InvalidInput for a light or state that is not there */
  setIndicator(node: Node, wanted: Pick<Indicator, 'component' | 'name' | 'state'>, caller: Caller): Promise<void>

  /** Refuses a RAID configuration that the node's driver cannot make. @throws InvalidInput */
  checkRaid(node: Node, config: Record<string, unknown>): Promise<void>

  /** Slots for virtual media, and whether they hold something. @throws Unsupported, InvalidInput */
  virtualMedia(node: Node): ReturnType<VirtualMedia['list']>
  /** @throws Unsupported, NodeLocked, HardwareFault */
  attachMedia(node: Node, image: AttachedImage & { device: MediaDevice }, caller: Caller): Promise<void>
  /** `devices` null: all. @throws Unsupported, NodeLocked, HardwareFault */
  detachMedia(node: Node, devices: readonly MediaDevice[] | null, caller: Caller): Promise<void>

  /** What the node's network knows of a VIF; null where it knows none. @throws InvalidInput, and what asking throws */
  networkOfVif(node: Node, vif: string): Promise<VifNetwork | null>
  /** Tells the node's network of a VIF that was attached, or is taken off, by who holds the node. @throws InvalidInput, and what asking throws */
  vifAttached(node: Node, vif: string): Promise<void>
  vifDetached(node: Node, vif: string): Promise<void>

  /**
   * Takes a node from whoever holds it: what the former holder does counts no more, and recorded work goes on from its
   * record. Tells who held it, for what, since when. @throws Conflict when nobody does
   */
  unlock(node: Node, caller: Caller): Promise<{ holder: string; purpose: string; since: string }>

  /** Why the node is where it is: the first thing that is not as it should be, or what is waited for. */
  why(node: Node): Promise<Explanation>

  /**
   * Starts a change of the boot mode, or of secure boot; the outcome lands in the node's field of that name, or in
   * last_error.
   * @throws Conflict while the node is on its way to another state; Unsupported; NodeLocked
   */
  setBootMode(node: Node, mode: BootMode, caller: Caller): Promise<void>
  setSecureBoot(node: Node, enabled: boolean, caller: Caller): Promise<void>

  /** Where the console is found; null while it is off. @throws Unsupported */
  consoleOf(node: Node): Promise<{ type: string; url: string } | null>
  /** Lets somebody look and type; null while it is off, or another conductor offers it. @throws Unsupported */
  consoleStream(node: Node): Promise<((person: Duplex) => void) | null>
  /** Switches the console on or off; console_enabled says so when it returns. @throws Unsupported, NodeLocked */
  setConsole(node: Node, enabled: boolean, caller: Caller): Promise<void>

  /** Calls that only the node's driver has, by name. */
  vendorMethods(node: Node): Promise<Readonly<Record<string, VendorMethodView>>>
  /**
   * Makes one of them. `async`: it has no result to tell.
   * @throws InvalidInput naming the method or argument that is wrong; NodeLocked
   */
  callVendor(node: Node, call: VendorCall, caller: Caller): Promise<{ async: boolean; result: unknown }>

  /**
   * Does a piece of work under the node's lease, which lasts as long as that, with the node as it is under it. `write`
   * changes fields.
   * Retries a taken lease as [conductor] node_locked_retry_* say. An `Action` gets an entry in the node's history.
   * @throws NodeLocked
   */
  withNode<T>(
    uuid: string,
    purpose: string | Action,
    work: (held: { node: Node; write(patch: NodePatch): Promise<void>; delete(): Promise<void> }) => Promise<T>,
  ): Promise<T>

  /**
   * Chooses the interfaces of a node: those given, else the defaults of the hardware type.
   * @throws InvalidInput naming hardware type or interface, and what is enabled
   */
  interfacesFor(
    driver: string,
    given: Partial<Record<`${InterfaceType}_interface`, string | null>>,
  ): Record<`${InterfaceType}_interface`, string>

  /** Settings of a hardware type that are read from driver_info: name to description. */
  driverProperties(driver: string): Promise<Record<string, { description: string; required: boolean }>>
  /** Keys of driver_info (of this hardware type; of all, without) that are secrets. */
  secretKeys(driver?: string): ReadonlySet<string>

  /** What the last inspection of a node found; undefined where nothing is kept. */
  inventory(nodeUuid: string): Promise<Found | undefined>
  /** Data from a ramdisk's inspection (POST /v1/continue_inspection): finds the node, stores, wakes its flow. */
  inspectionData(data: Record<string, unknown>, nodeUuid: string | null): Promise<{ uuid: string }>

  /** The images in the store of this host, the one used last first. */
  storedImages(): Promise<StoredImages>

  /** An allocation was stored that needs a node; the search goes on by itself. */
  allocate(allocationUuid: string): void

  /**
   * The agent of a node called under the token that is known of it, and told nothing new: that is noted soon, together
   * with others, and its flow is woken. `command`: whether one runs, where the agent says so; while one does, the flow
   * is woken now and then only.
   */
  agentCalled(nodeUuid: string, token: string, command?: CommandHeader): Promise<void>

  /** A row changed that a flow may wait for. */
  wake(nodeUuid: string, event: 'heartbeat' | 'inspection data'): Promise<void>

  /** MAC addresses were added, changed or removed: boot files and DHCP follow. */
  portsChanged(node: Node, ports: readonly Port[]): Promise<void>
}
