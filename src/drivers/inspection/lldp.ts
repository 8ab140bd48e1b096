/**
 * Hooks parse-lldp and local-link-connection: what switches said of themselves becomes plugin_data.parsed_lldp, and the
 * ports' local_link_connection.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/parse_lldp.py, local_link_connection.py (behaviour restated).
 */
import { updatePort } from '#db/ports.ts'
import { type Hook, objectIn, objectsIn, type Plain, textIn } from './hook.ts'
import { chassisId, parseLldp, portId, readTlvs, utf8 } from './lldp-tlvs.ts'
import { keptInterfaces, macIn } from './network-interfaces.ts'

/** Each frame belongs to a real interface, and no machine has more. */
const mostInterfaces = 64

export const parseLldpHook: Hook = {
  run({ ctx, inventory, pluginData }) {
    const interfaces = objectsIn(inventory.interfaces)
    if (interfaces.length > mostInterfaces) {
      const found = { node: ctx.node.uuid, interfaces: interfaces.length }
      ctx.log.warn(found, `LLDP frames of the first ${mostInterfaces} network interfaces only are read`)
    }
    const parsed: Record<string, unknown> = {}
    for (const one of interfaces.slice(0, mostInterfaces)) {
      const name = textIn(one.name)
      if (name === undefined || name === '__proto__') continue
      const found = parseLldp(tlvsOf(one, name, pluginData))
      if (Object.keys(found).length > 0) parsed[name] = found
    }
    if (Object.keys(parsed).length > 0) pluginData.parsed_lldp = { ...objectIn(pluginData.parsed_lldp), ...parsed }
  },
}

/** What a collector told counts before what the inventory has. */
function tlvsOf(one: Readonly<Plain>, name: string, pluginData: Readonly<Plain>): unknown {
  const raw = objectIn(pluginData.lldp_raw)
  return (Object.hasOwn(raw, name) ? raw[name] : undefined) ?? one.lldp
}

export const localLinkConnection: Hook = {
  needs: ['validate-interfaces'],
  async run({ ctx, inventory, pluginData, ports }) {
    const known = keptInterfaces(pluginData, 'all_interfaces')
    const byAddress = new Map((await ports()).map(port => [port.address, port]))
    for (const one of objectsIn(inventory.interfaces)) {
      const name = textIn(one.name)
      const port = byAddress.get(macIn(one.mac_address) ?? '')
      if (name === undefined || !Object.hasOwn(known, name) || !port) continue
      const found = linkOf(tlvsOf(one, name, pluginData))
      // What is known already may have been set by people.
      const missing = Object.entries(found).filter(([key]) => !Object.hasOwn(port.local_link_connection, key))
      if (missing.length === 0) continue
      const local_link_connection = { ...port.local_link_connection, ...Object.fromEntries(missing) }
      await updatePort(ctx.db, port.uuid, { local_link_connection }, ctx.clock.now())
    }
  },
}

/** A switch is known by its MAC address only. */
function linkOf(tlvs: unknown): Record<string, string> {
  const link: Record<string, string> = {}
  for (const { type, data } of readTlvs(tlvs)) {
    const switchId = type === 1 ? chassisId(data) : undefined
    const port = type === 2 ? portId(data) : undefined
    const name = type === 5 ? utf8(data) : undefined
    if (switchId?.isMac) link.switch_id = switchId.value
    if (port !== undefined) link.port_id = port
    if (name !== undefined) link.switch_info = name
  }
  return link
}
