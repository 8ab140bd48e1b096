/**
 * What a hardware manager is: knowledge about one kind of hardware, offered as methods and steps. Several can be present
 * at once; the one with the highest support level that has a method answers, and may decline with
 * IncompatibleHardwareMethodError so that the next one is asked. Everything passes as JSON values, so that a manager can
 * be a module or another program.
 *
 * Source: openstack/ironic-python-agent `hardware.py`.
 */
import type { AgentNode, AgentStep, Inventory, StepKind } from '#protocol/agent.ts'
import type { AgentContext, RunContext } from '../context.ts'
import type { BlockDevice } from './block-devices.ts'

/** 0: not this hardware. 1: generic. 2: known device. 3: a provider's own. Higher for third parties. */
export type SupportLevel = number

export interface HardwareMethods {
  listHardwareInfo(): Promise<Inventory>
  /** Whole disks, in the order in which the kernel shows them. */
  listBlockDevices(): Promise<BlockDevice[]>
  /** The disk to write the operating system to. */
  osInstallDevice(node: AgentNode | null): Promise<BlockDevice>
  /** MACs of all interfaces that have one: what the lookup sends. */
  listMacAddresses(): Promise<string[]>
  /** Everything written is on the disks afterwards. */
  fullSync(): Promise<void>
}

export interface StepRun extends RunContext {
  node: AgentNode
  ports: readonly Record<string, unknown>[]
  hardware: Hardware
}

/** A step beside the function that runs it. What a kind of operation does not list, it does not offer. */
export interface Step {
  readonly step: string
  readonly interface: string
  readonly offered: Partial<Record<StepKind, { priority: number; abortable?: boolean }>>
  readonly rebootRequested?: boolean
  readonly argsinfo?: NonNullable<AgentStep['argsinfo']>
  /** @returns a JSON value for the conductor */
  run(args: Record<string, unknown>, context: StepRun): Promise<unknown>
}

export interface HardwareManager {
  /** Key of its steps in the answers. */
  readonly className: string
  readonly version: { readonly name: string; readonly version: string }
  readonly steps: readonly Step[]
  readonly methods: Partial<HardwareMethods>
  evaluate(context: AgentContext): Promise<SupportLevel>
  /** Called once, best manager first, before anything else. */
  initialize?(context: AgentContext): Promise<void>
}

/** The managers that fit this machine, as one. */
export interface Hardware {
  readonly managers: readonly HardwareManager[]
  /** Name to version; equal maps mean equal steps. */
  versions(): Record<string, string>
  /** By manager, without the duplicates that a better manager overrides. */
  offeredSteps(kind: StepKind): Record<string, AgentStep[]>
  runStep(name: string, args: Record<string, unknown>, context: Omit<StepRun, 'hardware'>): Promise<unknown>
  /** Asks the best manager that has the method and does not decline. */
  call<M extends keyof HardwareMethods>(
    method: M,
    ...args: Parameters<HardwareMethods[M]>
  ): Promise<Awaited<ReturnType<HardwareMethods[M]>>>
}
