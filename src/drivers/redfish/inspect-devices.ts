/**
 * Network interfaces, PCI devices, and the switches that network ports see, as a BMC knows them.
 *
 * Source: DMTF DSP2046, EthernetInterface, PCIeDevice, PCIeFunction, NetworkAdapter, Port; Ironic
 * ironic/drivers/modules/redfish/inspect.py (names; behaviour restated).
 */
import { macIn } from '../inspection/network-interfaces.ts'
import type { Asker } from './asker.ts'
import {
  amountOf,
  anyResource,
  known,
  linkOf,
  listOf,
  membersOf,
  objectOf,
  type Plain,
  textOf,
} from './inspect-resource.ts'

/** Those with a MAC address, by the BMC's own names. */
export async function readInterfaces(asker: Asker, system: Plain): Promise<Plain[]> {
  const found = await membersOf(asker, system.EthernetInterfaces)
  return found.flatMap(one => {
    const mac_address = macIn(one.MACAddress) ?? macIn(one.PermanentMACAddress)
    const name = textOf(one.Id) ?? textOf(one.Name)
    if (mac_address === undefined || name === undefined) return []
    const link = textOf(one.LinkStatus)
    const has_carrier = link === undefined ? undefined : link === 'LinkUp'
    return [{ mac_address, name, ...known({ speed_mbps: amountOf(one.SpeedMbps), has_carrier }) }]
  })
}

/** Each function of each device, as the BMC writes its ids: `0x8086`. */
export async function readPciDevices(asker: Asker, system: Plain): Promise<Plain[]> {
  const found: Plain[] = []
  for (const device of await membersOf(asker, system.PCIeDevices)) {
    const links = objectOf(device.Links).PCIeFunctions
    for (const one of await membersOf(asker, device.PCIeFunctions ?? links)) {
      const told = known({
        class: textOf(one.DeviceClass),
        product_id: textOf(one.DeviceId),
        vendor_id: textOf(one.VendorId),
        subsystem_id: textOf(one.SubsystemId),
        subsystem_vendor_id: textOf(one.SubsystemVendorId),
        revision: textOf(one.RevisionId),
      })
      if (Object.keys(told).length > 0) found.push(told)
    }
  }
  return found
}

/** As an agent tells PCI devices, for the hooks that know them so: `8086`. A BMC knows no bus address. */
export function asCollected(devices: readonly Plain[]): Plain[] {
  const plain = (id: unknown) => (typeof id === 'string' ? id.toLowerCase().replace(/^0x/, '') : null)
  return devices.map(one => ({
    ...one,
    vendor_id: plain(one.vendor_id),
    product_id: plain(one.product_id),
    bus: null,
  }))
}

/** By the name of the port: what its switch says of itself, by the names of the hook parse-lldp. */
export async function readLldp(asker: Asker, system: Plain): Promise<Record<string, Plain>> {
  const found: Record<string, Plain> = {}
  for (const link of listOf(objectOf(system.Links).Chassis)) {
    const chassis = await asker.linked(linkOf(link), anyResource)
    for (const adapter of await membersOf(asker, chassis?.NetworkAdapters)) {
      // Older adapters have NetworkPorts, which know nothing of LLDP.
      for (const port of await membersOf(asker, adapter.Ports)) {
        const lldp = objectOf(objectOf(port.Ethernet).LLDPReceive)
        const told = known({
          switch_chassis_id: textOf(lldp.ChassisId),
          switch_port_id: textOf(lldp.PortId),
          switch_system_name: textOf(lldp.SystemName),
          switch_system_description: textOf(lldp.SystemDescription),
          switch_vlan_id: amountOf(lldp.ManagementVlanId),
        })
        const name = textOf(port.Id)
        if (name !== undefined && name !== '__proto__' && Object.keys(told).length > 0) found[name] = told
      }
    }
  }
  return found
}
