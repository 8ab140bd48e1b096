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
import { linkName, readOrNull, trimmed } from './block-devices.ts'

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
  const speed = Number(trimmed(await readOrNull(`${sys}/speed`)) ?? -1)
  return {
    name,
    mac_address: (await permanentAddress(name)) ?? trimmed(await readOrNull(`${sys}/address`)) ?? '',
    ipv4_address: addresses.find(({ family }) => family === 'IPv4')?.address ?? null,
    ipv6_address: addresses.find(({ family }) => family === 'IPv6')?.address ?? null,
    has_carrier: trimmed(await readOrNull(`${sys}/carrier`)) === '1',
    lldp: null,
    vendor: trimmed(await readOrNull(`${sys}/device/vendor`)),
    product: trimmed(await readOrNull(`${sys}/device/device`)),
    client_id: null,
    biosdevname: null,
    speed_mbps: speed > 0 ? speed : null,
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
