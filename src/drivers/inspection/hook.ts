/**
 * What an inspection hook is: a value with a name that reads what was found of a machine and makes something of it. All
 * run twice over: first each one's `preprocess`, then each one's `run`. Each asks for a state, so it may run again.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/base.py (behaviour restated).
 */
import type { Config } from '#config/options.ts'
import type { Port } from '#db/ports.ts'
import { type FlowContext, HardwareFault } from '../driver.ts'

export type Plain = Record<string, unknown>

export interface HookContext {
  readonly ctx: FlowContext
  /** As a ramdisk or a BMC told it, which is to say: anything. Hooks leave it as it is. */
  readonly inventory: Readonly<Plain>
  /** Everything else that was told; hooks add to it and take away. */
  readonly pluginData: Plain
  /** The node's; written when all hooks are done. */
  readonly properties: Plain
  /** What the inspection before this one kept; undefined when there was none. */
  previous(): Promise<Readonly<Plain> | undefined>
  /** The node's ports as they are now. */
  ports(): Promise<readonly Port[]>
}

export interface Hook {
  /** Hooks that must come before it in the list. */
  readonly needs?: readonly string[]
  /** @throws InvalidInput naming the option that makes no sense; asked when the service starts */
  checkConfig?(config: Config): void
  preprocess?(of: HookContext): void
  run?(of: HookContext): void | Promise<void>
}

/** What was found is not enough, or speaks against the machine. */
export class InspectionFailed extends HardwareFault {
  override readonly code = 'inspection'
}

/** An object, or an empty one where something else was told. */
export function objectIn(value: unknown): Readonly<Plain> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : {} // as just asked
}

/** The objects of a list; what else is in there is left out. */
export function objectsIn(value: unknown): readonly Readonly<Plain>[] {
  return Array.isArray(value) ? value.filter(one => Object.keys(objectIn(one)).length > 0) : []
}

/** A text that is not empty. */
export function textIn(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
