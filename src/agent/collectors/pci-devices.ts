/** PCI devices as the kernel lists them, with identifiers in hex without `0x`. */
import { readdir } from 'node:fs/promises'
import { linkName, readOrNull, trimmed } from '../hardware/sys-files.ts'

export interface PciDevice {
  vendor_id: string
  product_id: string
  class: string
  revision: string
  /** `0000:01:00.0` */
  bus: string
  numa_node_id: string
  /** Ours: the kernel's driver of it, or null. */
  driver: string | null
}

export async function pciDevices(root = '/sys/bus/pci/devices'): Promise<PciDevice[]> {
  const names = await readdir(root).catch(() => [])
  return await Promise.all(
    names.sort().map(async bus => {
      const read = async (name: string) =>
        (trimmed(await readOrNull(`${root}/${bus}/${name}`)) ?? '').replace(/^0x/, '')
      return {
        vendor_id: await read('vendor'),
        product_id: await read('device'),
        class: await read('class'),
        revision: await read('revision'),
        bus,
        numa_node_id: await read('numa_node'),
        driver: await linkName(`${root}/${bus}/driver`),
      }
    }),
  )
}
