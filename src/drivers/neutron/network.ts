/**
 * The network interface `neutron`: the switch ports of a machine follow its purpose. For a ramdisk its ports get Neutron
 * ports of their own in the network of that purpose, which go afterwards; for its instance the ports that were attached to
 * it (VIFs) are bound to it.
 *
 * Source: networking facts, section 1 (ironic/drivers/modules/network/neutron.py restated). Smart NICs are not there.
 */
import { InvalidInput } from '#lib/fault.ts'
import type { NetworkInterface } from '../driver.ts'
import { neutronOf } from './client.ts'
import { addPorts, bind, networkOf, networkOfVif, plug, removePorts, setDhcpOptions, unbind, unplug } from './wiring.ts'

export default {
  async validate(ctx) {
    const neutron = neutronOf(ctx)
    for (const mode of ['clean', 'deploy'] as const) await networkOf(ctx, neutron, mode)
    if (ctx.ports.length > 0) return
    throw new InvalidInput(`Cannot connect node ${ctx.node.uuid} to a network: it has no ports; expected at least one`)
  },

  setDhcpOptions,

  networkOfVif: (ctx, id) => networkOfVif(ctx, neutronOf(ctx), id),
  vifAttached: (ctx, vif) => plug(ctx, neutronOf(ctx), vif),
  vifDetached: (ctx, vif) => unplug(ctx, neutronOf(ctx), vif),

  async attach(ctx, purpose) {
    const neutron = neutronOf(ctx)
    if (purpose === 'tenant') await bind(ctx, neutron)
    else await addPorts(ctx, neutron, purpose)
  },

  async detach(ctx, purpose) {
    const neutron = neutronOf(ctx)
    if (purpose === 'tenant') await unbind(ctx, neutron)
    else await removePorts(ctx, neutron, purpose)
  },
} satisfies NetworkInterface
