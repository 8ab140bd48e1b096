/**
 * Hook validate-interfaces: which network interfaces the machine has, and for which of them ports are made, as
 * [inspector] add_ports says. Kept as all_interfaces, valid_interfaces and macs of the plugin data.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/validate_interfaces.py (behaviour restated).
 */
import { isIP } from 'node:net'
import type { FlowContext } from '../driver.ts'
import { type Hook, InspectionFailed, objectIn, objectsIn, type Plain, textIn } from './hook.ts'

/** As it was told, with `pxe_enabled`, its MAC address in lower case and its IPv6 address without scope. */
export type ValidInterface = Readonly<Plain> & {
  readonly name: string
  readonly mac_address: string
  readonly pxe_enabled: boolean
  readonly ipv4_address?: unknown
  readonly ipv6_address?: unknown
  readonly client_id?: unknown
}

/** By name. */
export type Interfaces = Readonly<Record<string, ValidInterface>>

export const validateInterfaces: Hook = {
  preprocess({ ctx, inventory, pluginData }) {
    const pxeMac = pxeMacOf(inventory, pluginData)
    const all = namedInterfaces(ctx, inventory, pxeMac)
    const valid = chosen(ctx, all, pxeMac)
    pluginData.all_interfaces = all
    pluginData.valid_interfaces = valid
    pluginData.macs = Object.values(valid).map(one => one.mac_address)
  },
}

/** What validate-interfaces has kept: hooks that need it come after it. */
export function keptInterfaces(pluginData: Readonly<Plain>, which: 'all_interfaces' | 'valid_interfaces'): Interfaces {
  return pluginData[which] as Interfaces // as validateInterfaces wrote it
}

const mac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

/** A usable MAC address in lower case; undefined for others. */
export function macIn(value: unknown): string | undefined {
  const address = typeof value === 'string' ? value.toLowerCase().replaceAll('-', ':') : ''
  return mac.test(address) && address !== '00:00:00:00:00:00' ? address : undefined
}

/** Of the interface that the firmware booted from; `01-52-54-00-aa-bb-cc`, as PXE loaders write it, and plain alike. */
function pxeMacOf(inventory: Readonly<Plain>, pluginData: Readonly<Plain>): string | undefined {
  const told = textIn(objectIn(inventory.boot).pxe_interface) ?? textIn(pluginData.boot_interface)
  return macIn(told?.length === 20 ? told.slice(3) : told)
}

function namedInterfaces(
  { log, node }: FlowContext,
  inventory: Readonly<Plain>,
  pxeMac: string | undefined,
): Interfaces {
  const found: Record<string, ValidInterface> = Object.create(null)
  for (const one of objectsIn(inventory.interfaces)) {
    const [name, address] = [textIn(one.name), macIn(one.mac_address)]
    if (name === undefined || address === undefined) {
      const told = { node: node.uuid, name: one.name, mac: one.mac_address }
      log.warn(told, 'a network interface without a name or a valid MAC address is passed over')
      continue
    }
    const ipv6 = textIn(one.ipv6_address)?.split('%')[0] ?? null
    found[name] = { ...one, name, mac_address: address, pxe_enabled: address === pxeMac, ipv6_address: ipv6 }
  }
  if (Object.keys(found).length === 0) {
    throw new InspectionFailed('no network interface with a name and a valid MAC address was found')
  }
  return { ...found }
}

function chosen({ config, log, node }: FlowContext, all: Interfaces, pxeMac: string | undefined): Interfaces {
  const { add_ports } = config.inspector
  if (pxeMac === undefined && add_ports === 'pxe') {
    log.warn({ node: node.uuid }, 'the interface that booted is not known, so all interfaces get ports')
  }
  const valid = Object.entries(all).filter(([name, one]) => {
    const ip = textIn(one.ipv4_address) ?? textIn(one.ipv6_address)
    // What the firmware booted from leads somewhere, whatever its address is.
    if (name === 'lo' || (isLoopback(ip) && !one.pxe_enabled)) return false
    if (add_ports === 'pxe' && pxeMac !== undefined) return one.pxe_enabled
    return add_ports !== 'active' || ip !== undefined
  })
  if (valid.length > 0) return Object.fromEntries(valid)
  const names = Object.keys(all).join(', ')
  throw new InspectionFailed(
    `none of the network interfaces ${names} is one that [inspector] add_ports = ${add_ports} makes a port for`,
  )
}

function isLoopback(ip: string | undefined): boolean {
  return ip !== undefined && isIP(ip) !== 0 && (ip.startsWith('127.') || ip === '::1')
}
