/** The kinds of firmware that cells are tried on. */
import type { MachineOptions } from '#lab/plan.ts'
import type { Firmware } from '#lab/state.ts'

export interface FirmwareKind {
  readonly firmware: Firmware
  readonly machine: MachineOptions
  /** Capabilities that the instance asks for. */
  readonly capabilities: Readonly<Record<string, string>>
  /** The BMC protocols that can bring it about; absent: any. */
  readonly bmcs?: readonly string[]
  /** What the kernel says on a machine that is as it should be; absent where it says nothing of that. */
  readonly kernelSays?: RegExp
}

export const firmwareKinds = {
  BIOS: { firmware: 'bios', machine: {}, capabilities: { boot_mode: 'bios' } },
  UEFI: { firmware: 'uefi', machine: {}, capabilities: { boot_mode: 'uefi' } },
  // The instance asks for it, and the BMC is told to turn it on.
  'UEFI, secure boot': {
    firmware: 'uefi',
    machine: {},
    bmcs: ['redfish'],
    capabilities: { boot_mode: 'uefi', secure_boot: 'true' },
    kernelSays: /secureboot: Secure boot enabled/,
  },
} satisfies Readonly<Record<string, FirmwareKind>>

export type FirmwareName = keyof typeof firmwareKinds
