/**
 * `ferrite serve` inside a lab's namespace, reachable from outside through a port of the loopback: what the demo and
 * the tests over real machines drive. It can be killed and started again on the same state, which is the point of half
 * of those tests. It configures the service as an operator would, by an INI file.
 */
import { join, resolve } from 'node:path'
import type { Lab } from './lab.ts'
import { type Sections, ServiceProcess } from './service-process.ts'
import type { LabMachine } from './state.ts'

export interface ServiceOptions {
  lab: Lab
  ramdisk: { kernel: string; initramfs: string }
  /** Directories that file:// images may come from, besides the ramdisk's. */
  imageFolders?: readonly string[]
  config?: Sections
}

const apiPort = 6385

/** The service of a lab; what it listens on inside is forwarded to this host until it is stopped. */
export type LabService = ServiceProcess
export const LabService = {
  /** Writes the configuration and starts the service; returns when it answers. @throws ServiceFailed with its words */
  async start(options: ServiceOptions): Promise<LabService> {
    const { lab } = options
    const forwarded = await lab.forward(lab.state.network.address, apiPort)
    return ServiceProcess.start({
      directory: lab.state.directory,
      config: sectionsOf(options),
      endpoint: `http://127.0.0.1:${forwarded.port}`,
      spawn: (command, args, spawnOptions) => lab.spawn(command, args, spawnOptions),
      onStop: () => forwarded.close(),
    })
  },
}

/** driver_info of a lab machine, as an operator would know it: the BMC's address, account and certificate. */
export function driverInfoOf(machine: LabMachine): Record<string, string> {
  return {
    redfish_address: machine.bmc.url,
    redfish_system_id: machine.bmc.system_path,
    redfish_username: machine.bmc.username,
    redfish_password: machine.bmc.password,
    redfish_verify_ca: machine.bmc.certificate_file,
  }
}

function sectionsOf({ lab, ramdisk, imageFolders = [], config = {} }: ServiceOptions): Sections {
  const { network, directory, name } = lab.state
  const own: Sections = {
    DEFAULT: {
      host: `ferrite-${name}`,
      my_ip: network.address,
      state_path: join(directory, 'service'),
      // BMCs of the lab would tell enough, but machines are to boot here.
      default_inspect_interface: 'agent',
    },
    conductor: {
      deploy_kernel: `file://${ramdisk.kernel}`,
      deploy_ramdisk: `file://${ramdisk.initramfs}`,
      file_url_allowed_paths: [...new Set([resolve(ramdisk.kernel, '..'), ...imageFolders])].join(','),
    },
    ferrite: {
      manage_dnsmasq: true,
      dhcp_interface: network.bridge,
      dhcp_range: `${network.dhcp_first},${network.dhcp_last},${network.netmask},10m`,
    },
    pxe: { kernel_append_params: 'nofb vga=normal console=tty0 console=ttyS0,115200' },
    // Wiping what names partitions and file systems is enough for disks that are made anew with each lab.
    deploy: { erase_devices_priority: 0, erase_devices_metadata_priority: 10 },
    api: { ramdisk_heartbeat_timeout: 60 },
  }
  const names = new Set([...Object.keys(own), ...Object.keys(config)])
  return Object.fromEntries([...names].map(section => [section, { ...own[section], ...config[section] }]))
}
