/**
 * The network interface `flat`: one network for provisioning and tenants alike, so nothing is moved. Where [neutron] says
 * how to reach a Neutron, it has to know who is on that network: the ports that were attached to the node (VIFs) are bound
 * to it while its ramdisk deploys it as while its instance runs, and cleaning and inspection have ports of their own.
 * Without a Neutron, connecting is nobody's work; what can be wrong is a node whose ports nothing could ever connect.
 *
 * Source: networking facts, section 1 (ironic/drivers/modules/network/flat.py restated).
 */
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { RamdiskMode } from '../boot-interfaces.ts'
import type { NetworkInterface } from '../driver.ts'
import { neutronOf } from './client.ts'
import { addPorts, bind, networkOf, networkOfVif, plug, removePorts, setDhcpOptions, unbind, unplug } from './wiring.ts'

/** For whom the network is not that of the instance. */
const ownPorts: readonly (RamdiskMode | 'tenant')[] = ['clean', 'inspect']

export default {
  async validate(ctx) {
    if (ctx.ports.length === 0) {
      throw new InvalidInput(
        `Cannot connect node ${ctx.node.uuid} to the network: it has no ports; expected at least one`,
      )
    }
    if (hasNeutron(ctx.config)) await networkOf(ctx, neutronOf(ctx), 'clean')
  },

  async setDhcpOptions(ctx, options) {
    if (hasNeutron(ctx.config)) await setDhcpOptions(ctx, options)
    else await ctx.portsChanged()
  },

  networkOfVif: async (ctx, id) => (hasNeutron(ctx.config) ? await networkOfVif(ctx, neutronOf(ctx), id) : null),

  async vifAttached(ctx, vif) {
    if (hasNeutron(ctx.config)) await plug(ctx, neutronOf(ctx), vif)
  },

  async vifDetached(ctx, vif) {
    if (hasNeutron(ctx.config)) await unplug(ctx, neutronOf(ctx), vif)
  },

  async attach(ctx, purpose) {
    if (!hasNeutron(ctx.config)) return
    if (ownPorts.includes(purpose))
      await addPorts(ctx, neutronOf(ctx), purpose as RamdiskMode) // one of the two
    else await bind(ctx, neutronOf(ctx))
  },

  async detach(ctx, purpose) {
    if (!hasNeutron(ctx.config)) return
    if (ownPorts.includes(purpose))
      await removePorts(ctx, neutronOf(ctx), purpose as RamdiskMode) // one of the two
    // The ramdisk of a deployment goes; the instance stays on the same ports.
    else if (purpose === 'tenant') await unbind(ctx, neutronOf(ctx))
  },
} satisfies NetworkInterface

const hasNeutron = ({ neutron }: Config) => neutron.auth_url !== null || neutron.endpoint_override !== null
