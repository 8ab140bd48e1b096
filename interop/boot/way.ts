/**
 * What a file of `ways/` is: one boot interface, on each kind of firmware that it boots. The kinds of firmware and the
 * BMC protocols are tables of their own (`firmware.ts`, `bmcs.ts`), so that a new one is a line there and no change here.
 */
import type { MachineOptions } from '#lab/plan.ts'
import type { Sections } from '#lab/service-process.ts'
import type { FirmwareName } from './firmware.ts'

export interface Way {
  /** The boot interface; the file's name without its suffix. */
  readonly name: string
  /** By the kind of firmware, how the machine gets there, in a line of the table; what is not named cannot be. */
  readonly firmware: Readonly<Partial<Record<FirmwareName, FirmwareWay>>>
  /** The BMC protocols that it needs; absent: any. */
  readonly bmcs?: readonly string[]
  /** The service's configuration besides. */
  readonly config?: Sections
}

export interface FirmwareWay {
  /** Which programs take the machine from its firmware to the kernel, and from where. */
  readonly title: string
  /** What the machine must be like. */
  readonly machine?: MachineOptions
}
