/**
 * What a scenario of `npm run interop:deploy` is: one file of scenarios/, whose default export names one way to deploy a
 * machine with real components, and goes that way from an enrolled node to the login prompt of the deployed system.
 */
import type { WorldOptions } from '../../test/vm/world.ts'
import type { DeployWorld } from './world.ts'

export interface Scenario {
  /** As on the command line; the file's name without its suffix. */
  readonly name: string
  /** What is real about it, in a line: interface, source, components. */
  readonly title: string
  /** Debian packages beyond those of the lab; installed where that is possible, else the scenario is skipped. */
  readonly packages: readonly string[]
  /** The machine and the service's first configuration; a machine with UEFI when it does not say. */
  readonly machine?: Partial<Omit<WorldOptions, 'name'>>
  /** Throws, with what was seen and what was expected, when anything is not as it should be. */
  run(world: DeployWorld): Promise<void>
}
