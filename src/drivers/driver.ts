/**
 * What a driver is. A hardware type is a table of interfaces, in order of preference; an interface is a small object of
 * functions that ask one machine for a state. Only the conductor calls them. They keep nothing in themselves: what must
 * outlive a call is in the node's row or in a flow's record, connections live in `ctx.shared`.
 *
 * Every function may be called twice for one intention (a crash may fall between an effect and its record), so each
 * asks for a state ("be off", "boot from disk next time"), never for a change ("toggle").
 */
import type { Config } from '#config/options.ts'
import type { Agent } from '#db/agents.ts'
import type { Db } from '#db/database.ts'
import type { Node, NodePatch } from '#db/nodes.ts'
import type { Portgroup } from '#db/portgroups.ts'
import type { Port } from '#db/ports.ts'
import type { Volumes } from '#db/volumes.ts'
import type { Clock } from '#lib/clock.ts'
import { Fault } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import type { BiosSetting, FirmwareComponent } from '#protocol/firmware.ts'
import type { InterfaceType } from '#protocol/interfaces.ts'
import type { Progress } from '#protocol/progress.ts'
import type { ConsoleInterface, ManagementInterface, PowerInterface } from './bmc-interfaces.ts'
import type { BootInterface, InstanceBoot, RamdiskMode, StorageInterface } from './boot-interfaces.ts'
import type { DeployPart, PowerChange, Step, StepKind, StepSpec, StepsContext } from './step.ts'

/** What every call gets: the node as it was when the call began, and the world. */
export interface NodeContext {
  readonly node: Node
  readonly ports: readonly Port[]
  /** The node's own implementations, loaded, for one that needs another: boot sets the boot device. */
  readonly interfaces: Interfaces
  /** What the agent in the node's ramdisk told of itself; null when none ever called. */
  readonly agent: Agent | null
  readonly config: Config
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  /** The node's volumes, as they are now. */
  volumes(): Promise<Volumes>
  /** The node's ports were changed: DHCP and boot files follow. */
  portsChanged(): Promise<void>
  /**
   * Something made once per process (a pool of BMC connections, say), by key. Where it has `[Symbol.asyncDispose]`,
   * that is called when the process ends.
   */
  shared<T extends object>(key: symbol, make: () => T): T
}

/** The machine's firmware, BMC or driver cannot do what was asked. */
export class Unsupported extends Fault {
  readonly status = 400
  readonly code = 'unsupported'
}

/** The BMC refused, failed or could not be reached. The message names address, request and answer, never a secret. */
export class HardwareFault extends Fault {
  readonly status = 500
  readonly code: string = 'hardware'
  /** The same request may succeed a little later. */
  get mayPass(): boolean {
    return false
  }
}

/** What all interfaces have. */
export interface Validated {
  /** Asked once, when the service starts. @throws InvalidInput naming the option that makes no sense for it */
  checkConfig?(config: Config): void
  /** What it offers to deploying, cleaning, servicing, verifying. */
  readonly steps?: readonly Step[]
  /** Steps that differ from node to node, read anew at each call. @throws InvalidInput when they cannot be read */
  stepsOf?(ctx: StepsContext, kind: StepKind): readonly Step[]
  /** @throws InvalidInput naming the missing or wrong setting; Unsupported when the interface is a "no-…" one */
  validate(ctx: NodeContext): Promise<void>
}

/** What DHCP is to tell a machine. */
export interface DhcpOption {
  number: number
  value: string
  family: 4 | 6
  /** In the notation of dnsmasq, `!ipxe` say: only those that (do not) have it are told. */
  tag?: string
}

/** What is known of the network that a VIF belongs to. */
export interface VifNetwork {
  name: string | null
  tags: readonly string[]
  /** Empty: any, or not told. */
  physical_networks: readonly string[]
}

/** A VIF, and the node's port groups: it may be on one of them. */
export interface AttachedVif {
  id: string
  groups: readonly Portgroup[]
}

export interface NetworkInterface extends Validated {
  /** Has the DHCP server of the node's networks tell its ports so. Absent where none is told through it. */
  setDhcpOptions?(ctx: NodeContext, options: readonly DhcpOption[]): Promise<void>
  /** Null where nobody knows of VIFs. Absent: always. @throws InvalidInput where there is no such VIF, and what asking throws */
  networkOfVif?(ctx: NodeContext, id: string): Promise<VifNetwork | null>
  /**
   * A VIF was attached to the node's ports, or is taken off, while no flow is at it: at once where its instance runs.
   * Absent where nobody is told of VIFs. @throws InvalidInput, and what asking throws
   */
  vifAttached?(ctx: NodeContext, vif: AttachedVif): Promise<void>
  vifDetached?(ctx: NodeContext, vif: AttachedVif): Promise<void>
  /** Connects the node's ports to the network of this purpose. */
  attach(ctx: FlowContext, network: RamdiskMode | 'tenant'): Promise<void>
  detach(ctx: FlowContext, network: RamdiskMode | 'tenant'): Promise<void>
}

/** A wait, declared: which events end it early, how often to look, when to give up. */
export interface Wait {
  /** Events that wake the flow: `heartbeat`, `inspection data`, … */
  on?: readonly string[]
  /** Look again after this many milliseconds even if nothing woke the flow. */
  everyMs: number
  /** Give up after this many milliseconds since the wait began; 0 never gives up. */
  timeoutMs: number
  /** What the operator reads when it gave up: what was awaited, what was seen instead. */
  onTimeout: () => Fault | Promise<Fault>
  /** The agent is awaited: the node moves to its "wait" state and its reservation is free meanwhile. */
  release?: boolean
}

/**
 * A flow's hand on the world. The function of a flow runs again from the top after every wait, restart or takeover;
 * what is recorded answers at once. Names are unique within a flow and stored. Results are JSON values.
 */
export interface Flow {
  readonly id: number
  readonly nodeUuid: string
  /** Does the work unless its result is recorded; the work may happen twice, so it asks for a state. */
  once<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Waits until `look` returns something other than undefined; the wait survives the process. */
  until<T>(name: string, wait: Wait, look: () => Promise<T | undefined>): Promise<T>
  /** Keeps the node in its "hold" state, free for everybody, until an operator lets it go on. */
  hold(name: string): Promise<void>
  /** What a step answered before, while undoing one of the run; undefined when it has not run. */
  recall<T>(name: string): T | undefined
  /** The same hand on a node that this one contains; `prefix` keeps the names of its steps apart. */
  child(uuid: string, prefix: string): Flow
  /** Writes fields of the node under the flow's lease; call it inside `once`, else a later pass repeats it. */
  write(patch: NodePatch): Promise<void>
  /** Moves the node along the state table, once. */
  move(name: string, event: string, patch?: NodePatch): Promise<void>
  /** Tells how far the running step is; null when nothing is to be told. */
  progress(progress: Progress | null): Promise<void>
  /** The node as it is now. */
  node(): Promise<Node>
  /** Adds to the log of what happened: inside `once` together with the record of that step, so never twice. */
  event(kind: string, data: Record<string, unknown>): Promise<void>
  /** Adds to the log while a step that lasts is at it; once more if it has to run again. */
  tell(kind: string, data: Record<string, unknown>): Promise<void>
}

/** What a step or a flow's helper gets: fresh node and ports at each call of `fresh`. */
export interface FlowContext extends NodeContext {
  readonly flow: Flow
  /** For what belongs to the node but not to its row: ports, agent, inventory, events. */
  readonly db: Db
  /** Versions of the agent's hardware managers when it told its steps; null before, or without an agent. */
  readonly agentVersions: Record<string, string> | null
  /** The ramdisk that boots again whenever the machine is started in the step that runs now; null, absent: none. */
  readonly ramdisk?: 'deploy' | 'clean' | 'service' | null
  /** Of the step that runs now, unique in the flow and the same in every pass: a step may be listed twice. */
  readonly stepId?: string
  /** The same context with the node and its ports as they are now. */
  fresh(): Promise<FlowContext>
  /** The context of a node that this one contains, for work that belongs to this flow. */
  child(uuid: string, prefix: string): Promise<FlowContext>
}

export interface DeployInterface extends Validated {
  readonly steps: readonly Step[]
  /** What a part will do to the power, in order, for plans; `after service`: with the instance back. Absent: not known. */
  plannedPower?(ctx: NodeContext, part: DeployPart): readonly PowerChange[]
  /** Before the first step: power, network, image, ramdisk boot. */
  prepare(ctx: FlowContext): Promise<void>
  /** After success, failure or abort: boot files, networks, published images. Never touches the disk. */
  cleanUp(ctx: FlowContext): Promise<void>
  /** At undeploy, before cleaning. */
  tearDown(ctx: FlowContext): Promise<void>
  /** Boots the ramdisk for cleaning, and puts everything back afterwards. */
  prepareCleaning(ctx: FlowContext): Promise<void>
  tearDownCleaning(ctx: FlowContext, options: { powerOff: boolean; fastTrack?: boolean }): Promise<void>
  /** Takes the instance down and boots the ramdisk for servicing. */
  prepareService(ctx: FlowContext): Promise<void>
  /** Removes the ramdisk; with `instance` the machine runs its instance again afterwards. */
  tearDownService(ctx: FlowContext, options: { instance: boolean; powerOff: boolean }): Promise<void>
  /** Takes over a machine that runs an instance already: boot files, never power or disk. */
  adopt(ctx: FlowContext): Promise<void>
  /** Is an agent asked for its steps when cleaning and servicing? */
  readonly usesAgent: boolean
  /** Is it asked when deploying? Default: as for the others. */
  readonly deploysByAgent?: boolean
  /** Kernel parameters that its ramdisk needs beside those of every agent. @throws InvalidInput */
  ramdiskParameters?(ctx: NodeContext): Promise<Readonly<Record<string, string>>>
  /**
   * Looks at what the agent is to do, highest priority first, before it does the first of it.
   * @throws InvalidInput where nothing would come of it
   */
  checkAgentSteps?(ctx: NodeContext, steps: readonly StepSpec[]): void
  /** Is it the one for what instance_info asks for? Asked by `autodetect`; absent: never. */
  supportsDeploy?(ctx: NodeContext): Promise<boolean>
  /** It deploys nothing itself: another one is chosen for each deployment. */
  readonly choosesAnother?: boolean
  /**
   * What the instance boots; absent where that is its disk.
   * @throws InvalidInput naming what instance_info lacks
   */
  instanceBoot?(ctx: NodeContext): InstanceBoot
}

export interface InspectInterface extends Validated {
  /** What an inspection will do to the power, in order, for plans. Absent: not known. */
  plannedPower?(ctx: NodeContext): Promise<readonly PowerChange[]>
  /** Finds out what the machine is and writes it down: properties, ports, inventory. */
  inspect(ctx: FlowContext): Promise<void>
  /** Makes properties and ports of what a ramdisk posted of a machine that nobody inspected. Absent where none posts. */
  process?(ctx: FlowContext): Promise<void>
  /** Puts boot and power back after a failure or an abort. */
  cleanUp(ctx: FlowContext): Promise<void>
}

/** Booting a machine beside its instance, for a user who cannot get in any more. */
export interface RescueInterface extends Validated {
  /** What it will do to the power, in order, for plans. Absent: not known. */
  plannedPower?(ctx: NodeContext, part: 'rescue' | 'unrescue'): readonly PowerChange[]
  /** Boots the rescue ramdisk, gives it the password, and connects it where the instance was. */
  rescue(ctx: FlowContext, secret: RescueSecret): Promise<void>
  /** Boots the instance again. */
  unrescue(ctx: FlowContext): Promise<void>
  /** After a failure or an abort, and before the instance goes: boot files and network of the ramdisk. */
  cleanUp(ctx: FlowContext): Promise<void>
}

/** The password of the user `rescue`. */
export interface RescueSecret {
  /** As crypt(3) writes it. */
  hash: string
  /** For agents that take no hash; only where [conductor] require_rescue_password_hashed is off. */
  clear?: string
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** A call that only one driver has; the API passes it on. */
export interface VendorMethod {
  readonly http_methods: readonly HttpMethod[]
  readonly description: string
  /** Answered without a result: what it did shows elsewhere. */
  readonly async: boolean
  /** Nobody else may work on the node meanwhile. */
  readonly require_exclusive_lock: boolean
  /** @throws InvalidInput for arguments that make no sense */
  run(ctx: NodeContext, args: Readonly<Record<string, unknown>>): Promise<unknown>
}

export interface VendorInterface extends Validated {
  readonly methods?: Readonly<Record<string, VendorMethod>>
}

/** Interfaces that have nothing but their steps. */
export interface PlainInterface extends Validated {}

export interface BiosInterface extends Validated {
  /** The settings of the machine's firmware and what is known of them. Absent where there are none to read. */
  readSettings?(ctx: NodeContext): Promise<readonly BiosSetting[]>
}

export interface FirmwareInterface extends Validated {
  /** Parts of the machine that have firmware, with its versions. Absent where there are none to read. */
  readComponents?(ctx: NodeContext): Promise<readonly FirmwareComponent[]>
}

export interface RaidInterface extends Validated {
  /** Checks a configuration that an operator wants. @throws InvalidInput */
  validateConfig?(ctx: NodeContext, config: Record<string, unknown>): void
}

export interface Interfaces {
  bios: BiosInterface
  boot: BootInterface
  console: ConsoleInterface
  deploy: DeployInterface
  firmware: FirmwareInterface
  inspect: InspectInterface
  management: ManagementInterface
  network: NetworkInterface
  power: PowerInterface
  raid: RaidInterface
  rescue: RescueInterface
  storage: StorageInterface
  vendor: VendorInterface
}

/** One setting that a driver reads from `driver_info`. */
export interface Property {
  description: string
  required?: boolean
  /** Masked in answers and logs. */
  secret?: boolean
}

export interface HardwareType {
  readonly name: string
  /** What it reads from driver_info: for validation, masking, GET /v1/drivers/{name}/properties, forms. */
  readonly driverInfo: Readonly<Record<string, Property>>
  /** For each type of interface the implementations that fit, the preferred one first. */
  readonly interfaces: {
    readonly [T in InterfaceType]: Readonly<Record<string, () => Promise<{ default: Interfaces[T] }>>>
  }
  /** Any enabled implementation fits (fake-hardware). */
  readonly anyInterface?: boolean
}
