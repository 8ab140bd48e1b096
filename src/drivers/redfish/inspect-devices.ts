/**
 * Network interfaces, PCI devices, and the switches that network ports see, as a BMC knows them.
 *
 * Source: DMTF DSP2046, EthernetInterface, PCIeDevice, PCIeFunction, NetworkAdapter, Port; Ironic
 * ironic/drivers/modules/redfish/inspect.py (names; behaviour restated).
 */

import { objectIn, textIn } from '../inspection/hook.ts'
import { macIn } from '../inspection/network-interfaces.ts'
import type { Asker } from './asker.ts'
import { amountOf, anyResource, known, linkOf, listOf, membersOf, type Plain } from './inspect-resource.ts'

/** Those with a MAC address, by the BMC's own names. */
export async function readInterfaces(asker: Asker, system: Plain): Promise<Plain[]> {
  const found = await membersOf(asker, system.EthernetInterfaces)
  return found.flatMap(one => {
    const mac_address = macIn(one.MACAddress) ?? macIn(one.PermanentMACAddress)
    const name = textIn(one.Id) ?? textIn(one.Name)
    if (mac_address === undefined || name === undefined) return []
    const link = textIn(one.LinkStatus)
    const has_carrier = link === undefined ? undefined : link === 'LinkUp'
    return [{ mac_address, name, ...known({ speed_mbps: amountOf(one.SpeedMbps), has_carrier }) }]
  })
}

/** Each function of each device, as the BMC writes its ids: `0x8086`. */
export async function readPciDevices(asker: Asker, system: Plain): Promise<Plain[]> {
  const found: Plain[] = []
  for (const device of await membersOf(asker, system.PCIeDevices)) {
    const links = objectIn(device.Links).PCIeFunctions
    for (const one of await membersOf(asker, device.PCIeFunctions ?? links)) {
      const told = known({
        class: textIn(one.DeviceClass),
        product_id: textIn(one.DeviceId),
        vendor_id: textIn(one.VendorId),
        subsystem_id: textIn(one.SubsystemId),
        subsystem_vendor_id: textIn(one.SubsystemVendorId),
        revision: textIn(one.RevisionId),
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

/** A network port that hears its switch. */
export interface HeardPort {
  readonly name: string
  /** Of the interfaces behind it, in lower case. */
  readonly macs: readonly string[]
  /** What the switch says of itself, by the names of the hook parse-lldp. */
  readonly parsed: Plain
  /** The same as an agent tells it: types and hex of TLVs. */
  readonly tlvs: readonly (readonly [type: number, hex: string])[]
}

export async function readLldp(asker: Asker, system: Plain): Promise<HeardPort[]> {
  const found: HeardPort[] = []
  for (const link of listOf(objectIn(system.Links).Chassis)) {
    const chassis = await asker.linked(linkOf(link), anyResource)
    for (const adapter of await membersOf(asker, chassis?.NetworkAdapters)) {
      // Older adapters have NetworkPorts, which know nothing of LLDP.
      for (const port of await membersOf(asker, adapter.Ports)) {
        const { LLDPReceive, AssociatedMACAddresses } = objectIn(port.Ethernet)
        const lldp = objectIn(LLDPReceive)
        const parsed = known({
          switch_chassis_id: textIn(lldp.ChassisId),
          switch_port_id: textIn(lldp.PortId),
          switch_system_name: textIn(lldp.SystemName),
          switch_system_description: textIn(lldp.SystemDescription),
          switch_vlan_id: amountOf(lldp.ManagementVlanId),
        })
        const name = textIn(port.Id)
        if (name === undefined || name === '__proto__' || Object.keys(parsed).length === 0) continue
        const macs = listOf(AssociatedMACAddresses).map(macIn)
        found.push({ name, macs: macs.filter(one => one !== undefined), parsed, tlvs: tlvsOf(lldp) })
      }
    }
  }
  return found
}

/** Source: IEEE 802.1AB, clause 8.5 (types, subtypes). */
function tlvsOf(lldp: Plain): [number, string][] {
  const hex = (text: string) => Buffer.from(text).toString('hex')
  const identity = (value: unknown, subtypes: { mac: string; text: string }) => {
    const text = textIn(value)
    const mac = macIn(text)
    if (mac !== undefined) return subtypes.mac + mac.replaceAll(':', '')
    return text === undefined ? undefined : subtypes.text + hex(text)
  }
  const [name, description] = [textIn(lldp.SystemName), textIn(lldp.SystemDescription)]
  const tlvs: [number, string | undefined][] = [
    [1, identity(lldp.ChassisId, { mac: '04', text: '07' })],
    [2, identity(lldp.PortId, { mac: '03', text: '05' })],
    [5, name && hex(name)],
    [6, description && hex(description)],
  ]
  return tlvs.flatMap(([type, value]): [number, string][] => (value === undefined ? [] : [[type, value]]))
}
