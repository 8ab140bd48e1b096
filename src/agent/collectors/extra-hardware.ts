/**
 * The inventory as a flat list of facts, which rules can match. Where the ramdisk has the program `hardware-detect`, it is
 * asked, as ironic-python-agent does; else the facts are made of our own inventory, under that program's names.
 *
 * Source: the project python-hardware, `hardware/detect.py` (names of sections and facts).
 */
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { Inventory } from '#protocol/agent.ts'
import type { AgentContext } from '../context.ts'
import type { Hardware } from '../hardware/manager.ts'

/** Section, item, name, value. */
export type Fact = [string, string, string, string | number]

/** @throws Error when benchmarks are wanted, which take that program, or its answer is none */
export async function extraHardware({ options }: AgentContext, hardware: Hardware): Promise<unknown> {
  const { benchmarks } = options
  try {
    const { stdout } = await run('hardware-detect', benchmarks.length === 0 ? [] : ['--benchmark', ...benchmarks])
    return JSON.parse(stdout)
  } catch (error) {
    const isMissing = /ENOENT/.test(messageOf(error))
    if (isMissing && benchmarks.length === 0) return factsOf(await hardware.call('listHardwareInfo'))
    if (!isMissing) throw error
    throw new Error(
      `benchmarks (${benchmarks.join(', ')}) take the program hardware-detect, which is not in this ramdisk`,
    )
  }
}

export function factsOf({ system_vendor: vendor, cpu, memory, disks, interfaces }: Inventory): Fact[] {
  const { firmware } = vendor
  const facts: [string, string, string, string | number | null][] = [
    ['system', 'product', 'name', vendor.product_name],
    ['system', 'product', 'serial', vendor.serial_number],
    ['system', 'product', 'vendor', vendor.manufacturer],
    ['firmware', 'bios', 'vendor', firmware.vendor],
    ['firmware', 'bios', 'version', firmware.version],
    ['firmware', 'bios', 'date', firmware.build_date],
    ['cpu', 'logical', 'number', cpu.count],
    ['cpu', 'physical', 'number', cpu.socket_count],
    ['cpu', 'physical_0', 'product', cpu.model_name],
    ['cpu', 'physical_0', 'flags', cpu.flags.join(' ')],
    ['system', 'kernel', 'arch', cpu.architecture],
    ['memory', 'total', 'size', memory.physical_mb === null ? memory.total : memory.physical_mb * 1024 ** 2],
    ['disk', 'logical', 'count', disks.length],
    ...disks.flatMap((disk): [string, string, string, string | number | null][] => {
      const item = disk.name.replace('/dev/', '')
      return [
        ['disk', item, 'size', Math.floor(disk.size / 1e9)],
        ['disk', item, 'model', disk.model],
        ['disk', item, 'vendor', disk.vendor],
        ['disk', item, 'serial', disk.serial],
        ['disk', item, 'rotational', disk.rotational ? 1 : 0],
        ['disk', item, 'wwn', disk.wwn],
      ]
    }),
    ...interfaces.flatMap((card): [string, string, string, string | number | null][] => [
      ['network', card.name, 'serial', card.mac_address],
      ['network', card.name, 'ipv4', card.ipv4_address],
      ['network', card.name, 'link', card.has_carrier ? 'yes' : 'no'],
      ['network', card.name, 'driver', card.driver],
      ['network', card.name, 'businfo', card.pci_address === null ? null : `pci@${card.pci_address}`],
    ]),
  ]
  return facts.filter((fact): fact is Fact => fact[3] !== null && fact[3] !== '')
}
