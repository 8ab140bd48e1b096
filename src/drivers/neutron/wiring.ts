/**
 * What network interfaces do with Neutron: ports of a ramdisk made in the network of its purpose and removed, ports of an
 * instance (VIFs) bound and freed, DHCP told. What was done is asked of Neutron, by network and MAC address, so all may
 * happen twice.
 *
 * Source: networking facts, sections 1 to 3 (ironic/drivers/modules/network/common.py, ironic/common/neutron.py restated).
 */
import type { Portgroup } from '#db/portgroups.ts'
import { portgroupsOf } from '#db/portgroups.ts'
import type { Port } from '#db/ports.ts'
import { InvalidInput } from '#lib/fault.ts'
import { isTrue } from '#lib/truth.ts'
import { vifOf } from '#protocol/port.ts'
import type { RamdiskMode } from '../boot-interfaces.ts'
import type { AttachedVif, DhcpOption, FlowContext, NodeContext, VifNetwork } from '../driver.ts'
import { type Neutron, type NeutronPort, NeutronRefused, neutronOf } from './client.ts'

/** What the network of a ramdisk, and its security groups, are called in driver_info and [neutron]. */
const keys = {
  deploy: { network: 'provisioning_network', groups: 'provisioning_network_security_groups' },
  clean: { network: 'cleaning_network', groups: 'cleaning_network_security_groups' },
  rescue: { network: 'rescuing_network', groups: 'rescuing_network_security_groups' },
  inspect: { network: 'inspection_network', groups: 'inspection_network_security_groups' },
  service: { network: 'servicing_network', groups: 'servicing_network_security_groups' },
} as const

/** Has Neutron's DHCP tell the ports of the node's cards so. @throws NeutronRefused where it has none of them */
export async function setDhcpOptions(ctx: NodeContext, options: readonly DhcpOption[]): Promise<void> {
  const { node, ports } = ctx
  const neutron = neutronOf(ctx)
  const macs = macsOf(ports.filter(port => port.pxe_enabled))
  const there = macs.length === 0 ? [] : await neutron.portsOf(macs)
  if (there.length === 0) {
    throw new NeutronRefused(
      `Cannot have DHCP boot node ${node.uuid}: Neutron has no port of ${macs.join(', ') || 'a port with pxe_enabled'}`,
    )
  }
  const wanted = options.map(({ number, value, family, tag }) => {
    return { opt_name: `${tag === undefined ? '' : `tag:${tag},`}${number}`, opt_value: value, ip_version: family }
  })
  const isNamed = ({ opt_name }: { opt_name: string }) => wanted.some(option => option.opt_name === opt_name)
  for (const { id, extra_dhcp_opts: present = [] } of there) {
    // Others stay: who the card is, say.
    const kept = present.filter(option => !isNamed(option))
    await neutron.updatePort(id, { extra_dhcp_opts: [...kept, ...wanted] })
  }
}

/** @throws InvalidInput when nobody has named it, or Neutron has none of that name */
export async function networkOf({ node, config }: NodeContext, neutron: Neutron, mode: RamdiskMode): Promise<string> {
  const { network: key } = keys[mode]
  const own = node.driver_info[key]
  const isOwn = typeof own === 'string' && own !== ''
  const name = isOwn ? own : config.neutron[key]
  if (name !== null && name !== '') return neutron.networkId(name, isOwn ? `driver_info ${key}` : `[neutron] ${key}`)
  throw new InvalidInput(
    `Cannot connect node ${node.uuid} to its ${key}: none is named; expected driver_info ${key} or [neutron] ${key}`,
  )
}

/** Gives a ramdisk's cards Neutron ports in the network of its purpose. */
export async function addPorts(ctx: FlowContext, neutron: Neutron, mode: RamdiskMode): Promise<void> {
  const { node, config } = ctx
  const network = await networkOf(ctx, neutron, mode)
  const wanted = config.neutron.add_all_ports ? ctx.ports : ctx.ports.filter(port => port.pxe_enabled)
  if (wanted.length === 0) {
    throw new InvalidInput(
      `Cannot connect node ${node.uuid} to its ${keys[mode].network}: none of its ports boots from the network (pxe_enabled)`,
    )
  }
  const there = await neutron.portsWith(network, macsOf(ctx.ports))
  // What an earlier flow left would keep its address and be bound to nothing.
  for (const { id } of there) await neutron.deletePort(id)
  const groups = config.neutron[keys[mode].groups]
  for (const port of wanted) {
    const made = await neutron.createPort({
      network_id: network,
      mac_address: port.address,
      admin_state_up: true,
      device_owner: 'baremetal:none',
      device_id: node.instance_uuid ?? node.uuid,
      ...(groups.length > 0 ? { security_groups: groups } : {}),
      ...bindingOf(node.uuid, [port], null),
    })
    checkBound(ctx, made)
  }
}

/** Takes those away again. */
export async function removePorts(ctx: FlowContext, neutron: Neutron, mode: RamdiskMode): Promise<void> {
  const network = await networkOf(ctx, neutron, mode)
  for (const { id } of await neutron.portsWith(network, macsOf(ctx.ports))) await neutron.deletePort(id)
}

/** Binds the VIFs of an instance to the switch ports that they are attached to. */
export async function bind(ctx: FlowContext, neutron: Neutron): Promise<void> {
  const places = await placesOf(ctx)
  if (places.length === 0) {
    throw new InvalidInput(
      `Cannot connect node ${ctx.node.uuid} to the networks of its instance: no VIF is attached to it; expected at least one`,
    )
  }
  for (const { vif, address, members, group } of places) {
    const bound = await neutron.updatePort(vif, {
      ...(address === null ? {} : { mac_address: address }),
      ...bindingOf(ctx.node.uuid, members, group),
    })
    if (!bound) {
      throw new NeutronRefused(
        `Cannot connect node ${ctx.node.uuid}: Neutron has no port ${vif}, which is attached to it`,
      )
    }
    checkBound(ctx, bound)
  }
}

export async function unbind(ctx: FlowContext, neutron: Neutron): Promise<void> {
  for (const { vif } of await placesOf(ctx)) {
    await neutron.updatePort(vif, freed)
  }
}

/** @throws InvalidInput, NeutronRefused */
export async function networkOfVif({ node }: NodeContext, neutron: Neutron, id: string): Promise<VifNetwork> {
  const network = await neutron.networkOfPort(id)
  if (network) return network
  throw new InvalidInput(`Cannot attach VIF ${id} to node ${node.uuid}: Neutron has no such port`)
}

/** Tells of a VIF that was attached: all of it where the instance runs, else whose it is. @throws InvalidInput, NeutronRefused */
export async function plug(ctx: NodeContext, neutron: Neutron, { id, groups }: AttachedVif): Promise<void> {
  const { node } = ctx
  for (const { vif, address, members, group } of placesIn(ctx.ports, groups)) {
    if (vif !== id) continue
    const seed = { 'binding:host_id': node.uuid, 'binding:profile': {} }
    const told = await neutron.updatePort(id, {
      ...(address === null ? {} : { mac_address: address }),
      ...(node.provision_state === 'active' ? bindingOf(node.uuid, members, group) : seed),
    })
    if (!told) throw new InvalidInput(`Cannot attach VIF ${id} to node ${node.uuid}: Neutron has no such port`)
    if (node.provision_state === 'active') checkBound(ctx, told)
  }
}

/** Frees a VIF that is taken off, and the card's MAC address for the next one, but for flows that do it themselves. */
export async function unplug({ node }: NodeContext, neutron: Neutron, { id }: AttachedVif): Promise<void> {
  if (!['active', 'deleting', 'available'].includes(node.provision_state)) return
  // First: Neutron refuses another MAC address while the port is bound, also where the same request frees it.
  if (await neutron.updatePort(id, freed)) await neutron.updatePort(id, { mac_address: null })
}

const freed = { 'binding:host_id': '', 'binding:profile': {} }

/** Where VIFs are attached, and which switch ports that is. */
interface Place {
  vif: string
  address: string | null
  members: readonly Port[]
  group: Portgroup | null
}

async function placesOf(ctx: FlowContext): Promise<Place[]> {
  return placesIn(ctx.ports, await portgroupsOf(ctx.db, ctx.node.uuid))
}

function placesIn(ports: readonly Port[], groups: readonly Portgroup[]): Place[] {
  const ofPorts = ports.map(port => ({ vif: vifOf(port), address: port.address, members: [port], group: null }))
  const ofGroups = groups.map(group => ({
    vif: vifOf(group),
    address: group.address,
    members: ports.filter(port => port.portgroup_uuid === group.uuid),
    group,
  }))
  return [...ofPorts, ...ofGroups].flatMap(place => (place.vif === null ? [] : [{ ...place, vif: place.vif }]))
}

function bindingOf(host: string, members: readonly Port[], group: Portgroup | null): Record<string, unknown> {
  const links = members.map(port => port.local_link_connection).filter(link => Object.keys(link).length > 0)
  const [physical] = members.flatMap(port => port.physical_network ?? [])
  const clientId = members.map(port => port.extra['client-id']).find(id => typeof id === 'string')
  return {
    'binding:vnic_type': 'baremetal',
    'binding:host_id': host,
    'binding:profile': {
      local_link_information: links,
      ...(group ? { local_group_information: groupInformation(group) } : {}),
      ...(physical === undefined ? {} : { physical_network: physical }),
    },
    ...(clientId === undefined ? {} : { extra_dhcp_opts: [{ opt_name: '61', opt_value: clientId }] }),
  }
}

function groupInformation(group: Portgroup): Record<string, unknown> {
  return { id: group.uuid, name: group.name, bond_mode: group.mode, bond_properties: group.properties }
}

/** @throws NeutronRefused unless a port without its switch port may do */
function checkBound({ node, config }: NodeContext, port: NeutronPort): void {
  if (port['binding:vif_type'] !== 'binding_failed') return
  const fatal = isTrue(node.driver_info.fail_on_binding_failure) ?? config.neutron.fail_on_port_binding_failure
  if (!fatal) return
  throw new NeutronRefused(
    `Neutron could not bind the port ${port.id} (${port.mac_address}) of node ${node.uuid}: no mechanism driver knows its ` +
      "switch; check the port's local_link_connection, and Neutron's log",
  )
}

const macsOf = (ports: readonly Port[]) => ports.map(port => port.address)
