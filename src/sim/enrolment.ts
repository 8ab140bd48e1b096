/** What an operator knows of simulated machines and of the image they are to run, as the API's fields. Values only. */
import type { BootSources } from './boot-sources.ts'
import type { ServedImage } from './image-server.ts'
import type { SimMachine } from './machine.ts'

/** `driver_info` of a machine. */
export function driverInfoOf({ bmc }: SimMachine, boot: BootSources): Record<string, unknown> {
  return {
    redfish_address: bmc.url,
    redfish_username: bmc.username,
    redfish_password: bmc.password,
    redfish_verify_ca: boot.bmcCertificate,
    deploy_kernel: boot.kernel,
    deploy_ramdisk: boot.ramdisk,
  }
}

/** A node of the machine's name, for POST /v1/nodes. */
export function nodeOf(machine: SimMachine, boot: BootSources): Record<string, unknown> {
  return {
    name: machine.name,
    driver: 'redfish',
    driver_info: driverInfoOf(machine, boot),
    boot_interface: 'ipxe',
    network_interface: 'noop',
  }
}

/** `instance_info` of the image. */
export function instanceInfoOf({ url, sha256 }: ServedImage): Record<string, string> {
  return {
    image_source: url,
    image_os_hash_algo: 'sha256',
    image_os_hash_value: sha256,
    image_disk_format: 'raw',
  }
}
