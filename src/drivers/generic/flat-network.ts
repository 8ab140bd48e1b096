/**
 * The network interface of sites with one network for provisioning and tenants alike. Without a network service to ask,
 * connecting is nobody's work; what can be wrong is a node whose ports nothing could ever connect.
 */
import { InvalidInput } from '#lib/fault.ts'
import type { NetworkInterface } from '../driver.ts'

const flat: NetworkInterface = {
  async validate(ctx) {
    if (ctx.ports.length > 0) return
    throw new InvalidInput(
      `Cannot connect node ${ctx.node.uuid} to the network: it has no ports; expected at least one`,
    )
  },
  attach: async () => {},
  detach: async () => {},
}

export default flat
