/**
 * The collector that everything else builds upon: the inventory, once the machine has its addresses, and the disk that
 * would be deployed to.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { AgentFault } from '../errors.ts'
import { asDisk } from '../hardware/block-devices.ts'
import type { Hardware } from '../hardware/manager.ts'
import { listNetworkInterfaces } from '../hardware/network-interfaces.ts'
import { chooseRootDevice } from '../hardware/root-device.ts'
import type { Options } from '../options.ts'
import type { Collecting, Data } from './collectors.ts'

const pollMs = 500

export async function collectDefault({ context, hardware, signal }: Collecting): Promise<Data> {
  const missing = await waitForAddresses(context.options, signal)
  if (missing.length > 0) context.log.warn(`Inspecting without an IPv4 address on ${missing.join(', ')}`)
  const inventory = await hardware.call('listHardwareInfo')
  return { inventory, boot_interface: inventory.boot.pxe_interface, ...(await likelyRootDisk(hardware)) }
}

/**
 * Until the card of the boot, or every card where the options say so, has an IPv4 address. Without a known card of the
 * boot there is nothing to wait for.
 * @returns the names of those that have none when the time is over
 */
export async function waitForAddresses(
  options: Pick<Options, 'dhcpWaitMs' | 'dhcpAllInterfaces' | 'bootInterface'>,
  signal: AbortSignal,
  list: typeof listNetworkInterfaces = listNetworkInterfaces,
): Promise<string[]> {
  const mac = options.bootInterface === null ? null : macOf(options.bootInterface)
  if (options.dhcpWaitMs === 0 || (mac === null && !options.dhcpAllInterfaces)) return []
  const endAt = performance.now() + options.dhcpWaitMs
  for (;;) {
    const awaited = (await list()).filter(({ mac_address }) => options.dhcpAllInterfaces || mac_address === mac)
    const missing = awaited.filter(({ ipv4_address }) => ipv4_address === null).map(({ name }) => name)
    if (missing.length === 0 || performance.now() >= endAt) return missing
    await sleep(Math.min(pollMs, options.dhcpWaitMs), undefined, { signal })
  }
}

/** BOOTIF as pxelinux writes it begins with the kind of hardware: `01-aa-bb-…`. */
export function macOf(bootInterface: string): string {
  const parts = bootInterface.toLowerCase().split(/[-:]/)
  return parts.slice(-6).join(':')
}

/** The disk that would be chosen without hints; nothing when none would. */
async function likelyRootDisk(hardware: Hardware): Promise<Data> {
  try {
    return { root_disk: asDisk(chooseRootDevice(await hardware.call('listBlockDevices'), {})) }
  } catch (error) {
    if (error instanceof AgentFault && error.type === 'DeviceNotFound') return {}
    throw error
  }
}
