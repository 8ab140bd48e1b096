/**
 * Addresses of a node's BMC, by which a ramdisk that tells the address of its own BMC is known.
 *
 * Source: Ironic ironic/drivers/modules/inspect_utils.py, _get_bmc_addresses (behaviour restated).
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { messageOf } from '#lib/fault.ts'
import type { FlowContext } from '../driver.ts'

/** Notes them with the node, inside a step of a flow; takes them away where there are none. */
export async function noteLookupAddresses({ flow, node, log }: FlowContext): Promise<void> {
  const bridged = ![undefined, null, '', 'no'].includes(node.driver_info.ipmi_bridging as string | undefined | null) // or anything else
  const found = new Set<string>()
  for (const [name, value] of Object.entries(node.driver_info)) {
    // Behind a bridge there are several BMCs with one address.
    if (!name.endsWith('_address') || (name.startsWith('ipmi_') && bridged) || typeof value !== 'string') continue
    const host = hostOf(value)
    if (host === '') continue
    try {
      const addresses = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host }]
      for (const { address } of addresses) if (!isLoopback(address)) found.add(address)
    } catch (error) {
      log.warn({ node: node.uuid }, `the name in ${name} cannot be resolved to know a ramdisk by: ${messageOf(error)}`)
    }
  }
  await writeLookupAddresses(flow, [...found])
}

export async function forgetLookupAddresses({ flow }: FlowContext): Promise<void> {
  await writeLookupAddresses(flow, [])
}

async function writeLookupAddresses(flow: FlowContext['flow'], addresses: readonly string[]): Promise<void> {
  const { lookup_bmc_addresses: known, ...internal } = (await flow.node()).driver_internal_info
  if (known === undefined && addresses.length === 0) return
  const more = addresses.length === 0 ? {} : { lookup_bmc_addresses: addresses }
  await flow.write({ driver_internal_info: { ...internal, ...more } })
}

/** Of `https://host:8000`, `[2001:db8::1]`, `192.0.2.1`. */
function hostOf(value: string): string {
  const host = value.includes('//') ? (URL.parse(value)?.hostname ?? '') : value
  return host.replace(/^\[|\]$/g, '')
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}
