/**
 * The address of the machine's own BMC, asked through its system interface with ipmitool. Machines without one, and
 * conductors that do not want it, cost nothing.
 *
 * Source: openstack/ironic-python-agent `hardware.py`; IPMI v2.0 LAN configuration parameters.
 */
import { existsSync } from 'node:fs'
import { run } from '#lib/run.ts'
import type { Inventory } from '#protocol/agent.ts'

type BmcAddresses = Pick<Inventory, 'bmc_address' | 'bmc_v6address' | 'bmc_mac'>

const CHANNELS = Array.from({ length: 11 }, (_, index) => index + 1)

export async function bmcAddresses(skip: boolean): Promise<BmcAddresses> {
  if (skip || !hasIpmiDevice()) return { bmc_address: null, bmc_v6address: null }
  const prints = await lanPrints()
  const address = prints.map(print => field(print, 'IP Address')).find(isUsable)
  const mac = prints.map(print => field(print, 'MAC Address')).find(isUsable)
  return {
    bmc_address: address ?? '0.0.0.0',
    bmc_v6address: (await v6Address()) ?? '::/0',
    ...(mac === undefined ? {} : { bmc_mac: mac }),
  }
}

function hasIpmiDevice(): boolean {
  return ['/dev/ipmi0', '/dev/ipmi/0', '/dev/ipmidev/0'].some(path => existsSync(path))
}

/** One channel after the other: BMCs do not like to be asked several things at once. Stops at the first that answers. */
async function lanPrints(): Promise<string[]> {
  const prints: string[] = []
  for (const channel of CHANNELS) {
    const text = await ipmitool(['lan', 'print', String(channel)])
    if (text === null) continue
    prints.push(text)
    if (isUsable(field(text, 'IP Address'))) break
  }
  return prints
}

async function v6Address(): Promise<string | null> {
  for (const channel of CHANNELS) {
    const enabled = await ipmitool(['lan6', 'print', String(channel), 'enables'])
    if (enabled === null || !/ipv6|both/i.test(enabled)) continue
    for (const kind of ['dynamic_addr', 'static_addr']) {
      const text = (await ipmitool(['lan6', 'print', String(channel), kind])) ?? ''
      const address = [...text.matchAll(/Address:\s*(\S+)/g)].map(([, value]) => value).find(value => value !== '::/0')
      if (address !== undefined) return address
    }
  }
  return null
}

async function ipmitool(args: string[]): Promise<string | null> {
  try {
    return (await run('ipmitool', args, { signal: AbortSignal.timeout(10_000) })).stdout
  } catch {
    return null
  }
}

function field(text: string, name: string): string | undefined {
  return new RegExp(`^${name}\\s*:\\s*(\\S+)\\s*$`, 'm').exec(text)?.[1]
}

function isUsable(address: string | undefined): address is string {
  return address !== undefined && !['0.0.0.0', '00:00:00:00:00:00'].includes(address)
}
