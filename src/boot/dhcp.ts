/**
 * Tells DHCP about a node that is to boot from the network. With `[dhcp] dhcp_provider = none` that is the dnsmasq that
 * Ferrite runs, if it runs one, which follows the ports and boot interfaces of nodes. With `dnsmasq` it is one of the
 * operator's: a file of options for each node and a file for each NIC, in directories that it watches; a NIC that is to be
 * told nothing any more stays, with `ignore`, because that dnsmasq does not notice a file that goes. With `neutron` the
 * node's network interface has the DHCP server of its networks told.
 *
 * Source: boot facts, "DHCP providers" (ironic/dhcp/dnsmasq.py, neutron.py, ironic/common/pxe_utils.py restated); dnsmasq(8),
 * dhcp-optsdir, dhcp-hostsdir; the option number 255 stands for the address of the next server.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import type { Config } from '#config/options.ts'
import type { Port } from '#db/ports.ts'
import type { DhcpOption, NodeContext } from '#drivers/driver.ts'
import { InvalidInput, messageOf } from '#lib/fault.ts'
import { checkBootFile, loaderName, type WayName } from './boot-files.ts'
import { deployBootMode } from './boot-mode.ts'

/** @throws InvalidInput when the files cannot be written, or the loader is not configured or has too long a name */
export async function tellDhcp(ctx: NodeContext, way: WayName, ports: readonly Port[]): Promise<void> {
  const { config, node } = ctx
  const { dhcp_provider: provider } = config.dhcp
  const setDhcpOptions = provider === 'neutron' ? ctx.interfaces.network.setDhcpOptions : undefined
  if (provider !== 'dnsmasq' && !setDhcpOptions) return ctx.portsChanged()
  const arch = typeof node.properties.cpu_arch === 'string' ? node.properties.cpu_arch : 'x86_64'
  const mode = await deployBootMode(ctx)
  const loader = loaderName(config, way, { arch, mode })
  if (loader === null) {
    throw new InvalidInput(
      `Cannot boot node ${node.uuid} by ${way}: no loader is configured for ${arch}-${mode}; expected one in [pxe] ${way.includes('ipxe') ? 'ipxe' : 'pxe'}_bootfile_name_by_arch`,
    )
  }
  const options = dhcpOptions(config, way, loader)
  if (setDhcpOptions) return setDhcpOptions(ctx, options)
  const macs = ports.map(port => port.address.toLowerCase())
  const lines = options.map(option => `tag:${node.uuid},${inDnsmasq(option)}\n`)
  await put(
    join(config.dnsmasq.dhcp_optsdir, `ironic-${node.uuid}.conf`),
    `${MACS}${macs.join(' ')}\n${lines.join('')}`,
  )
  for (const { address, extra } of ports) {
    const mac = address.toLowerCase()
    const clientId = extra?.['client-id']
    const id = clientId === undefined ? '' : `id:${clientId},`
    await put(hostFile(config, mac), `${mac},${id}set:${node.uuid},set:ironic\n`)
  }
}

/** Tells the operator's dnsmasq nothing of the node any more. */
export async function forgetNode(config: Config, uuid: string): Promise<void> {
  if (config.dhcp.dhcp_provider !== 'dnsmasq') return
  const options = join(config.dnsmasq.dhcp_optsdir, `ironic-${uuid}.conf`)
  const text = await readFile(options, 'utf8').catch(() => '')
  const macs = text.split('\n', 1)[0]?.slice(MACS.length).split(' ') ?? []
  for (const mac of macs) {
    const file = hostFile(config, mac)
    // Another node may have the card by now.
    if ((await readFile(file, 'utf8').catch(() => '')).includes(`,set:${uuid},`)) await put(file, `${mac},ignore\n`)
  }
  await rm(options, { force: true })
}

/** The options of one node: IPv4 and IPv6. */
export function dhcpOptions({ deploy, pxe }: Config, way: WayName, loader: string): DhcpOption[] {
  const server = pxe.tftp_server
  const script = checkBootFile(`${deploy.http_url}/boot.ipxe`)
  const overHttp = way === 'http' || way === 'http-ipxe'
  const isIpxe = way === 'ipxe' || way === 'http-ipxe'
  const first = checkBootFile(overHttp ? `${deploy.http_url}/${loader}` : loader)
  const first6 = overHttp ? first : `tftp://${isIPv6(server) ? `[${server}]` : server}/${loader}`
  const option = (number: number, value: string, family: 4 | 6 = 4): DhcpOption => ({ number, value, family })
  return [
    ...(isIpxe
      ? [
          { ...option(67, first), tag: '!ipxe' },
          { ...option(67, script), tag: 'ipxe' },
          { ...option(59, first6, 6), tag: '!ipxe6' },
          { ...option(59, script, 6), tag: 'ipxe6' },
        ]
      : [option(67, first), option(59, first6, 6)]),
    ...(overHttp ? [option(60, 'HTTPClient')] : []),
    ...(overHttp || isIPv6(server) ? [] : [66, 150, 255].map(number => option(number, server))),
  ]
}

function inDnsmasq({ number, value, family, tag }: DhcpOption): string {
  return `${tag === undefined ? '' : `tag:${tag},`}${family === 6 ? 'option6:' : ''}${number},${value}`
}

const MACS = '# MAC addresses: '

const hostFile = (config: Config, mac: string) =>
  join(config.dnsmasq.dhcp_hostsdir, `ironic-${mac.replaceAll(':', '-')}.conf`)

/** dnsmasq reads a file when it is closed; it would take a temporary name for another one. */
async function put(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o644 })
  } catch (error) {
    throw new InvalidInput(
      `Cannot tell dnsmasq of a network boot: ${messageOf(error)}; expected [dnsmasq] dhcp_optsdir and dhcp_hostsdir to be directories that this service may write to`,
      {
        cause: error,
      },
    )
  }
}
