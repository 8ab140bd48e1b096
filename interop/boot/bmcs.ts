/** The BMC protocols that cells are tried over. */
import type { Sections } from '#lab/service-process.ts'

export interface Bmc {
  /** Fields of the node that differ from those of a node of `redfish`. */
  readonly node: Readonly<Record<string, string>>
  readonly config: Sections
}

export const bmcs: Readonly<Record<string, Bmc>> = {
  redfish: { node: {}, config: {} },
}
