/**
 * Lists the machine's network interfaces: hardware ones, VLANs and bonds, with address, link and PCI identity. Reads
 * /sys and the kernel's address list; nothing is brought up or changed.
 *
 * Source: openstack/ironic-python-agent `hardware.py`, `netutils.py`.
 */
import { existsSync } from 'node:fs'
import { readdir, realpath } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { run } from '#lib/run.ts'
import type { NetworkInterface } from '#protocol/agent.ts'
import { linkName, readOrNull, trimmed } from './sys-files.ts'

export async function listNetworkInterfaces(): Promise<NetworkInterface[]> {
  const names = (await readdir('/sys/class/net')).filter(isReal).sort()
  const found = await Promise.all(names.map(describe))
  return found.filter(({ mac_address }) => mac_address !== '' && !mac_address.startsWith('fa:'))
}

function isReal(name: string): boolean {
  const sys = `/sys/class/net/${name}`
  return existsSync(`${sys}/device`) || existsSync(`${sys}/bonding`) || /^.+\.\d+$/.test(name)
}

async function describe(name: string): Promise<NetworkInterface> {
  const sys = `/sys/class/net/${name}`
  const addresses = networkInterfaces()[name] ?? []
  const infiniband = await infinibandIdentity(sys)
  return {
    name,
    mac_address: infiniband?.mac ?? (await permanentAddress(name)) ?? trimmed(await readOrNull(`${sys}/address`)) ?? '',
    ipv4_address: addresses.find(({ family }) => family === 'IPv4')?.address ?? null,
    ipv6_address: addresses.find(({ family }) => family === 'IPv6')?.address ?? null,
    has_carrier: trimmed(await readOrNull(`${sys}/carrier`)) === '1',
    lldp: null,
    vendor: trimmed(await readOrNull(`${sys}/device/vendor`)),
    product: trimmed(await readOrNull(`${sys}/device/device`)),
    client_id: infiniband?.clientId ?? null,
    biosdevname: await biosName(name),
    speed_mbps: await speedMbps(name),
    pci_address: await pciAddress(sys),
    driver: await linkName(`${sys}/device/driver`),
  }
}

/** A bond changes its members' addresses; the burnt-in one is what the node's ports have. */
async function permanentAddress(name: string): Promise<string | null> {
  if (!existsSync(`/sys/class/net/${name}/device`)) return null
  try {
    const { stdout } = await run('ethtool', ['-P', name])
    const address = /([0-9a-f]{2}(:[0-9a-f]{2}){5})\s*$/i.exec(stdout)?.[1]?.toLowerCase()
    return address === undefined || address === '00:00:00:00:00:00' ? null : address
  } catch {
    return null
  }
}

/** What the card can do at most, else what the link does now. */
async function speedMbps(name: string): Promise<number | null> {
  const now = Number(trimmed(await readOrNull(`/sys/class/net/${name}/speed`)) ?? -1)
  const stdout = await run('ethtool', [name]).then(
    done => done.stdout,
    () => '',
  )
  const most = fastestMode(stdout)
  return most ?? (now > 0 ? now : null)
}

/** Mbit/s of the fastest of the modes that ethtool lists as supported. */
export function fastestMode(ethtool: string): number | null {
  const section = /Supported link modes:((?:.|\n\s{20,})*)/.exec(ethtool)?.[1] ?? ''
  const speeds = [...section.matchAll(/\b(\d+)base/g)].map(([, speed]) => Number(speed))
  return speeds.length === 0 ? null : Math.max(...speeds)
}

/** The name that the firmware has for a card; null without the program, and in virtual machines. */
async function biosName(name: string): Promise<string | null> {
  if (/\.\d+$/.test(name)) return null
  return await run('biosdevname', ['-i', name]).then(
    ({ stdout }) => trimmed(stdout),
    () => null,
  )
}

const INFINIBAND = '32'

/**
 * An InfiniBand card's address has 20 bytes. Ports are known by a MAC made of six of the last eight, DHCP by all of these.
 * Source: openstack/ironic-python-agent `hardware_managers/mlnx.py`.
 */
async function infinibandIdentity(sys: string): Promise<{ mac: string; clientId: string } | null> {
  if (trimmed(await readOrNull(`${sys}/type`)) !== INFINIBAND) return null
  return infinibandOf(trimmed(await readOrNull(`${sys}/address`)) ?? '')
}

export function infinibandOf(address: string): { mac: string; clientId: string } | null {
  const bytes = address.toLowerCase().split(':')
  if (bytes.length !== 20) return null
  const last = bytes.slice(-8)
  const mac = [...last.slice(0, 3), ...last.slice(5)].join(':')
  return { mac, clientId: `ff:00:00:00:00:00:02:00:00:02:c9:00:${last.join(':')}` }
}

/** The interface's device may be a virtio device below the PCI function. */
async function pciAddress(sys: string): Promise<string | null> {
  try {
    const parts = (await realpath(`${sys}/device`)).split('/')
    return parts.findLast(part => PCI.test(part)) ?? parts.at(-1) ?? null
  } catch {
    return null
  }
}

const PCI = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$/
