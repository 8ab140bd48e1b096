/**
 * What a case of `npm run interop:why` is: something that is broken, the cause that `why` must name, and what its answer
 * must mention besides, so that an operator could have found it. The files of faults/ hold them, by where the fault is.
 */
import type { MachineOptions } from '#lab/plan.ts'
import type { Sections } from '#lab/service-process.ts'
import type { Firmware } from '#lab/state.ts'
import type { Explanation } from '#protocol/why.ts'
import type { World } from '../../test/vm/world.ts'
import type { Bench } from './bench.ts'

interface Judged {
  /** As on the command line. */
  readonly name: string
  /** What is broken, as one would say it who knows. */
  readonly broken: string
  /** The right cause. */
  readonly cause: string
  /** Somewhere in summary, evidence or actions. */
  readonly names: RegExp
}

/** A machine without QEMU proves as much. */
export interface BenchFault extends Judged {
  readonly on: 'bench'
  /** Of the service, where it is to be another than the bench's own. */
  readonly config?: Sections
  /** Breaks something, and returns what `why` said when the node came to rest, or waited in vain. */
  explained(bench: Bench): Promise<Explanation>
}

/** What is told of a fault, beside how it is made. */
export type Told = Pick<BenchFault, 'name' | 'broken' | 'cause' | 'names' | 'config'>

/** The firmware, the kernel or the disk is what matters. */
export interface MachineFault extends Judged {
  readonly on: 'machine'
  readonly config?: Sections
  /** Default: bios. */
  readonly firmware?: Firmware
  /** What else is special about the machine. */
  readonly machine?: MachineOptions
  explained(world: World): Promise<Explanation>
}

export type FaultCase = BenchFault | MachineFault
