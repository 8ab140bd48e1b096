/**
 * `network_data` of a node: static network configuration that its ramdisk is given, in the form of OpenStack's metadata
 * service. Only what a reader depends on is demanded; further keys pass.
 *
 * Source: REST API reference, "The node object" (network_data).
 */
import { Type } from 'typebox'

const Id = Type.String({ minLength: 1 })
const common = {
  id: Id,
  mtu: Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])),
  vif_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
}

const PhysicalLink = Type.Object({
  ...common,
  type: Type.Enum(['bridge', 'dvs', 'hw_veb', 'hyperv', 'ovs', 'tap', 'vhostuser', 'vif', 'phy']),
  ethernet_mac_address: Type.String(),
})
const BondLink = Type.Object({
  ...common,
  type: Type.Literal('bond'),
  ethernet_mac_address: Type.Optional(Type.String()),
  bond_mode: Type.String(),
  bond_links: Type.Array(Id),
})
const VlanLink = Type.Object({
  ...common,
  type: Type.Literal('vlan'),
  vlan_mac_address: Type.String(),
  vlan_id: Type.Integer({ minimum: 0, maximum: 4095 }),
  vlan_link: Id,
})

const Service = Type.Object({ type: Type.Literal('dns'), address: Type.String({ minLength: 1 }) })
const Route = Type.Object({
  network: Type.String(),
  netmask: Type.String(),
  gateway: Type.String(),
  services: Type.Optional(Type.Array(Service)),
})
const Network = Type.Object({
  id: Id,
  link: Id,
  network_id: Type.Optional(Type.String()),
  type: Type.Enum(['ipv4', 'ipv4_dhcp', 'ipv6', 'ipv6_dhcp', 'ipv6_slaac']),
  ip_address: Type.Optional(Type.String()),
  netmask: Type.Optional(Type.String()),
  routes: Type.Optional(Type.Array(Route)),
  services: Type.Optional(Type.Array(Service)),
})

/** Empty, or links, networks and services together. */
export const NetworkData = Type.Union([
  Type.Object({}, { additionalProperties: false }),
  Type.Object({
    links: Type.Array(Type.Union([PhysicalLink, BondLink, VlanLink])),
    networks: Type.Array(Network),
    services: Type.Array(Service),
  }),
])
