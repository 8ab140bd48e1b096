/** [deploy] and [disk_utils]: deployments, erasure, and the server of images. */
import { boolean, choice, derived, integer, path, string, url } from '../kinds.ts'

const priority = (step: string, origin = 'the hardware manager') =>
  integer({
    default: null,
    min: 0,
    mutable: true,
    effective: true,
    help: `Priority of the clean step ${step}; 0 turns it off. Unset: as ${origin} says.`,
  })
export const deploy = {
  http_url: url({
    default: derived('http://$my_ip:$ferrite.http_port', get => {
      const ip = String(get('DEFAULT', 'my_ip'))
      return `http://${ip.includes(':') ? `[${ip}]` : ip}:${get('ferrite', 'http_port')}`
    }),
    ironic: '<None>',
    effective: true,
    help: 'URL of the HTTP server for boot files and images as machines see it. Set it when another server than ours serves http_root.',
  }),
  http_root: path({
    default: '$state_path/httpboot',
    ironic: '/httpboot',
    effective: true,
    help: 'Directory of that server.',
  }),
  http_image_subdir: string({
    default: 'agent_images',
    effective: true,
    matches: /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/,
    expected: 'the name of a directory',
    help: 'Directory below http_root where instance images are linked.',
  }),
  external_http_url: url({
    default: null,
    effective: true,
    help: 'http_url as BMCs see it, for virtual media. Unset: http_url.',
  }),
  external_callback_url: url({
    default: null,
    effective: true,
    help: 'URL of the API for machines booted from virtual media.',
  }),
  image_server_auth_strategy: choice({
    choices: ['noauth', 'http_basic'],
    default: 'noauth',
    mutable: true,
    effective: true,
    help: 'How image servers want to be asked.',
  }),
  image_server_user: string({ default: null, mutable: true, effective: true, help: 'User for image servers.' }),
  image_server_password: string({
    default: null,
    mutable: true,
    secret: true,
    effective: true,
    help: 'Password for image servers.',
  }),

  fast_track: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Go from inspection to cleaning to deployment in one boot of the ramdisk.',
  }),
  fast_track_timeout: integer({
    default: 300,
    min: 0,
    max: 300,
    mutable: true,
    effective: true,
    help: 'Seconds since its last heartbeat within which a ramdisk counts as there.',
  }),
  default_boot_mode: choice({
    choices: ['uefi', 'bios'],
    default: 'uefi',
    mutable: true,
    effective: true,
    help: 'Boot mode of nodes that name none and whose BMC cannot tell.',
  }),
  power_off_after_deploy_failure: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Power a node off when its deployment fails.',
  }),
  configdrive_use_object_store: boolean({
    default: false,
    mutable: true,
    deprecatedNames: ['conductor.configdrive_use_swift'],
    help: 'Keep config drives in Swift.',
  }),

  erase_devices_priority: priority('erase_devices'),
  erase_devices_metadata_priority: priority('erase_devices_metadata'),
  delete_configuration_priority: priority('delete_configuration', 'the RAID interface'),
  create_configuration_priority: priority('create_configuration', 'the RAID interface'),
  enable_ata_secure_erase: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Erase ATA disks by their own command.',
  }),
  enable_nvme_secure_erase: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Erase NVMe disks by their own command.',
  }),
  shred_random_overwrite_iterations: integer({
    default: 1,
    min: 0,
    mutable: true,
    effective: true,
    help: 'Times that a disk is overwritten with random bytes.',
  }),
  shred_final_overwrite_with_zeros: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Overwrite it with zeros at the end.',
  }),
  continue_if_disk_secure_erase_fails: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Overwrite a disk when its own command fails.',
  }),
  disk_erasure_concurrency: integer({
    default: 4,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Disks of a node that are erased at a time.',
  }),
  erase_skip_read_only: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Pass over read-only disks instead of failing.',
  }),

  ramdisk_image_download_source: choice({
    choices: ['local', 'http', 'swift'],
    default: 'local',
    mutable: true,
    effective: true,
    help: 'How a BMC gets a boot ISO.',
  }),
  iso_master_path: path({
    default: '$state_path/master-iso-images',
    ironic: '/var/lib/ironic/master_iso_images',
    help: 'Store of boot ISOs.',
  }),
  iso_cache_size: integer({ default: 20480, min: 0, help: 'MiB that store may take.' }),
  iso_cache_ttl: integer({ default: 10080, min: 0, help: 'Minutes after which unused boot ISOs are dropped.' }),
}

export const disk_utils = {
  image_convert_memory_limit: integer({
    default: 2048,
    min: 64,
    effective: true,
    help: 'MiB of address space a conversion may take.',
  }),
  image_convert_attempts: integer({
    default: 3,
    min: 1,
    effective: true,
    help: 'Tries of a conversion that runs out of memory.',
  }),
}
