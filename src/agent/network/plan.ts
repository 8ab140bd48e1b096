/**
 * Static addresses for a network without DHCP: from `network_data` as the conductor puts it on virtual media to the
 * commands of `ip`. Pure: it neither looks at cards nor changes them.
 *
 * Source: OpenStack's metadata service, network_data.json; ip(8).
 */
import { isIPv4 } from 'node:net'
import type { Static } from 'typebox'
import type { NetworkData } from '#protocol/network-data.ts'

type Whole = Extract<Static<typeof NetworkData>, { links: unknown }>
type Link = Whole['links'][number]
type Network = Whole['networks'][number]

export interface NetworkPlan {
  /** Arguments of `ip`, in order. */
  commands: string[][]
  nameServers: string[]
  /** Cards whose address comes from DHCP after all. */
  dhcp: string[]
  /** What cannot be done, and why. */
  problems: string[]
}

/** @param nicOfMac name of the machine's card by its MAC address, lower case */
export function planNetwork(data: Static<typeof NetworkData>, nicOfMac: ReadonlyMap<string, string>): NetworkPlan {
  const plan: NetworkPlan = { commands: [], nameServers: [], dhcp: [], problems: [] }
  if (!('links' in data)) return plan
  const names = new Map<string, string>()
  // Cards first, then what is made of them.
  const rank = (link: Link) => (link.type === 'vlan' ? 2 : link.type === 'bond' ? 1 : 0)
  for (const link of [...data.links].sort((a, b) => rank(a) - rank(b))) addLink(plan, link, names, nicOfMac)
  for (const network of data.networks) addNetwork(plan, network, names)
  const services = [...data.services, ...data.networks.flatMap(network => network.services ?? [])]
  plan.nameServers.push(...new Set(services.map(service => service.address)))
  return plan
}

function addLink(
  plan: NetworkPlan,
  link: Link,
  names: Map<string, string>,
  nicOfMac: ReadonlyMap<string, string>,
): void {
  const { commands, problems } = plan
  const lacking = (id: string) => problems.push(`link ${link.id} is made of ${id}, which is not there`)
  let name: string | undefined
  if (link.type === 'vlan') {
    const parent = names.get(link.vlan_link)
    if (parent === undefined) return void lacking(link.vlan_link)
    name = `${parent.slice(0, 9)}.${link.vlan_id}`
    commands.push(['link', 'add', 'link', parent, 'name', name, 'type', 'vlan', 'id', `${link.vlan_id}`])
  } else if (link.type === 'bond') {
    name = `bond${[...names.values()].filter(one => one.startsWith('bond')).length}`
    commands.push(['link', 'add', name, 'type', 'bond', 'mode', link.bond_mode])
    for (const id of link.bond_links) {
      const member = names.get(id)
      if (member === undefined) return void lacking(id)
      commands.push(['link', 'set', 'dev', member, 'down'], ['link', 'set', 'dev', member, 'master', name])
    }
  } else {
    name = nicOfMac.get(link.ethernet_mac_address.toLowerCase())
    if (name === undefined) {
      return void problems.push(`link ${link.id} is the card ${link.ethernet_mac_address}, which is not there`)
    }
  }
  names.set(link.id, name)
  if (typeof link.mtu === 'number') commands.push(['link', 'set', 'dev', name, 'mtu', `${link.mtu}`])
  commands.push(['link', 'set', 'dev', name, 'up'])
}

function addNetwork(plan: NetworkPlan, network: Network, names: ReadonlyMap<string, string>): void {
  const name = names.get(network.link)
  if (name === undefined)
    return void plan.problems.push(`network ${network.id} is on link ${network.link}, which is not there`)
  if (network.type === 'ipv4_dhcp') return void plan.dhcp.push(name)
  if (network.type === 'ipv6_dhcp' || network.type === 'ipv6_slaac') return // the kernel takes what routers advertise
  const { ip_address: address, netmask } = network
  const prefix = address?.includes('/') ? '' : prefixOf(netmask)
  if (address === undefined || prefix === undefined) {
    return void plan.problems.push(`network ${network.id} has address ${address} and netmask ${netmask}, expected both`)
  }
  plan.commands.push(['addr', 'replace', `${address}${prefix}`, 'dev', name])
  for (const route of network.routes ?? []) {
    const length = prefixOf(route.netmask)
    if (length === undefined) {
      plan.problems.push(`network ${network.id} has a route to ${route.network} with netmask ${route.netmask}`)
      continue
    }
    const to = length === '/0' ? 'default' : `${route.network}${length}`
    // A gateway outside of the subnet is reached on the link.
    const family = route.gateway.includes(':') ? ['-6'] : []
    plan.commands.push([...family, 'route', 'replace', to, 'via', route.gateway, 'dev', name, 'onlink'])
  }
}

/** `/24` of 24, 255.255.255.0 or ffff:ff00::. */
function prefixOf(netmask: string | undefined): string | undefined {
  if (netmask === undefined) return undefined
  if (/^\d{1,3}$/.test(netmask)) return `/${netmask}`
  if (isIPv4(netmask)) {
    const bits = netmask
      .split('.')
      .map(part => Number(part).toString(2).padStart(8, '0'))
      .join('')
    return /^1*0*$/.test(bits) ? `/${bits.indexOf('0') < 0 ? 32 : bits.indexOf('0')}` : undefined
  }
  const groups =
    netmask
      .split('::')[0]
      ?.split(':')
      .filter(group => group !== '') ?? []
  if (!netmask.includes(':') || !groups.every(group => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  const bits = groups.map(group => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('')
  return /^1*0*$/.test(bits) ? `/${bits.includes('0') ? bits.indexOf('0') : bits.length}` : undefined
}
