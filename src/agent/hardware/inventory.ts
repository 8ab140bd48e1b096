/**
 * The hardware inventory: processor, memory, disks, interfaces, BMC, vendor, boot mode. Read from /proc, /sys, SMBIOS
 * and ipmitool, all at once; what cannot be found is null. It changes nothing on the machine.
 *
 * Source: openstack/ironic-python-agent `hardware.py` for the fields; the kernel's documentation of /proc and /sys for
 * where we find them (the original asks lshw and lscpu, which our ramdisk does not need).
 */
import { readdir } from 'node:fs/promises'
import { hostname, machine, totalmem } from 'node:os'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { Inventory, NetworkInterface } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import { asDisk, listBlockDevices } from './block-devices.ts'
import { bmcAddresses } from './bmc.ts'
import { presentBootMode } from './boot-mode.ts'
import { collectLldp } from './lldp.ts'
import { listNetworkInterfaces } from './network-interfaces.ts'
import { readOrNull, trimmed } from './sys-files.ts'

export async function collectInventory(context: AgentContext): Promise<Inventory> {
  const [interfaces, cpu, disks, physicalMb, bmc, vendor] = await Promise.all([
    describeInterfaces(context),
    readCpu(),
    listBlockDevices(context),
    physicalMemoryMb(),
    bmcAddresses(context.options.skipBmc),
    systemVendor(),
  ])
  return {
    interfaces,
    cpu,
    disks: disks.map(asDisk),
    memory: { total: totalmem(), physical_mb: physicalMb },
    ...bmc,
    system_vendor: vendor,
    boot: { current_boot_mode: presentBootMode(context.settings), pxe_interface: context.options.bootInterface },
    hostname: trimmed(hostname()),
  }
}

/** With what their switches say, where the options ask for it. */
async function describeInterfaces({ options, log }: AgentContext): Promise<NetworkInterface[]> {
  const interfaces = await listNetworkInterfaces()
  if (!options.collectLldp) return interfaces
  const names = interfaces.map(({ name }) => name)
  const listening = { timeoutMs: options.lldpTimeoutMs, signal: new AbortController().signal }
  const heard = await collectLldp(names, listening).catch(error => {
    log.error(`LLDP is missing in the inventory: ${messageOf(error)}`)
    return {} as Record<string, never>
  })
  return interfaces.map(one => ({ ...one, lldp: heard[one.name] ?? [] }))
}

async function readCpu(): Promise<Inventory['cpu']> {
  const info = (await readOrNull('/proc/cpuinfo')) ?? ''
  const value = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(info)?.[1]?.trim() ?? null
  const sockets = new Set([...info.matchAll(/^physical id\s*:\s*(\d+)$/gm)].map(([, id]) => id))
  const count = [...info.matchAll(/^processor\s*:/gm)].length
  const maxKhz = Number(trimmed(await readOrNull('/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq')) ?? 0)
  return {
    model_name: value('model name'),
    frequency: maxKhz > 0 ? String(maxKhz / 1000) : value('cpu MHz'),
    count: count === 0 ? 1 : count,
    architecture: machine(),
    // Arm calls them features.
    flags: (value('flags') ?? value('Features') ?? '').split(' ').filter(flag => flag !== ''),
    socket_count: sockets.size === 0 ? null : sockets.size,
  }
}

/** From the memory modules SMBIOS lists, else from the blocks of memory the kernel was given. MiB. */
async function physicalMemoryMb(): Promise<number | null> {
  try {
    const { stdout } = await run('dmidecode', ['-t', 'memory'])
    const modulesMb = sumOfModulesMb(stdout)
    if (modulesMb > 0) return modulesMb
  } catch {}
  const blockBytes = Number.parseInt((await readOrNull('/sys/devices/system/memory/block_size_bytes')) ?? '', 16)
  try {
    const blocks = (await readdir('/sys/devices/system/memory')).filter(name => /^memory\d+$/.test(name))
    return Number.isNaN(blockBytes) ? null : (blocks.length * blockBytes) / 1024 ** 2
  } catch {
    return null
  }
}

/** Adds the sizes of the modules in `dmidecode -t memory`; empty slots have none. */
export function sumOfModulesMb(dmidecode: string): number {
  const unitMb: Record<string, number> = { kB: 1 / 1024, MB: 1, GB: 1024, TB: 1024 ** 2 }
  let sum = 0
  for (const [, size, unit] of dmidecode.matchAll(/^\tSize: (\d+) (kB|MB|GB|TB)$/gm)) {
    sum += Number(size) * (unitMb[unit ?? ''] ?? 0)
  }
  return sum
}

async function systemVendor(): Promise<Inventory['system_vendor']> {
  const read = async (name: string) => trimmed(await readOrNull(`/sys/class/dmi/id/${name}`)) ?? ''
  const [product, serial, manufacturer, vendor, version, date] = await Promise.all(
    ['product_name', 'product_serial', 'sys_vendor', 'bios_vendor', 'bios_version', 'bios_date'].map(read),
  )
  return {
    product_name: product ?? '',
    serial_number: serial ?? '',
    manufacturer: manufacturer ?? '',
    firmware: { vendor: vendor ?? '', version: version ?? '', build_date: date ?? '' },
  }
}
