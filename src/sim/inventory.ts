/** The inventory of a simulated machine, made from what its BMC says of it: both must tell the same machine. Pure. */
import type { HardwareFacts } from '#lab/redfish/hardware.ts'
import type { InspectionData, Inventory } from '#protocol/agent.ts'

/** @param bootMac of the card the ramdisk was booted from; null when the loader did not say */
export function inventoryOf(facts: HardwareFacts, bootMac: string | null): Inventory {
  return {
    interfaces: facts.nics.map(({ mac }, index) => ({
      name: `eth${index}`,
      mac_address: mac,
      ipv4_address: mac === bootMac ? '127.0.0.1' : null,
      ipv6_address: null,
      has_carrier: true,
      lldp: null,
      vendor: '0x8086',
      product: '0x1572',
      client_id: null,
      biosdevname: null,
      speed_mbps: 10_000,
      pci_address: `0000:3b:00.${index}`,
      driver: 'i40e',
    })),
    cpu: {
      model_name: 'Simulated CPU @ 2.40GHz',
      frequency: '2400.0000',
      count: facts.cpus,
      architecture: 'x86_64',
      flags: ['fpu', 'pse', 'aes', 'pdpe1gb', 'vmx'],
      socket_count: 1,
    },
    disks: facts.disks.map((disk, index) => ({
      name: `/dev/nvme${index}n1`,
      model: 'Simulated NVMe',
      size: disk.sizeBytes,
      rotational: false,
      wwn: `eui.${disk.serial.toLowerCase()}`,
      serial: disk.serial,
      vendor: null,
      wwn_with_extension: `eui.${disk.serial.toLowerCase()}`,
      wwn_vendor_extension: null,
      hctl: null,
      by_path: `/dev/disk/by-path/pci-0000:5e:00.${index}-nvme-1`,
      logical_sectors: 512,
      physical_sectors: 512,
      tran: 'nvme',
    })),
    // The kernel keeps some of what is in the slots for itself.
    memory: { total: Math.floor(facts.memoryMb * 0.98) * 2 ** 20, physical_mb: facts.memoryMb },
    bmc_address: '127.0.0.1',
    bmc_v6address: '::/0',
    system_vendor: {
      product_name: facts.model,
      serial_number: facts.serialNumber,
      manufacturer: facts.manufacturer,
      firmware: { vendor: facts.manufacturer, version: facts.biosVersion, build_date: '01/15/2026' },
    },
    boot: { current_boot_mode: facts.bootMode === 'UEFI' ? 'uefi' : 'bios', pxe_interface: bootMac },
    hostname: 'localhost',
  }
}

/** What the agent posts at the end of an inspection. */
export function inspectionData(inventory: Inventory): InspectionData {
  const [root] = inventory.disks
  return {
    inventory,
    ...(root === undefined ? {} : { root_disk: root }),
    boot_interface: inventory.boot.pxe_interface,
    configuration: {
      collectors: ['default'],
      managers: [{ name: 'generic_hardware_manager', version: '1.2' }],
    },
    error: null,
  }
}
