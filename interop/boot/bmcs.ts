/** The BMC protocols that cells are tried over. */
import type { Sections } from '#lab/service-process.ts'
import type { LabMachine } from '#lab/state.ts'

export interface Bmc {
  /** Fields of the node that differ from those of a node of `redfish`. */
  node(machine: LabMachine): Readonly<Record<string, unknown>>
  readonly config: Sections
}

export const bmcs: Readonly<Record<string, Bmc>> = {
  redfish: { node: () => ({}), config: {} },
  ipmi: {
    node: ({ bmc }) => ({
      driver: 'ipmi',
      driver_info: { ipmi_address: bmc.address, ipmi_username: bmc.username, ipmi_password: bmc.password },
    }),
    config: {},
  },
}
