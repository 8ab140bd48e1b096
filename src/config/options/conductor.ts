/** [conductor]: how nodes are worked on. */
import { boolean, choice, dict, integer, list, path, string } from '../kinds.ts'

const bootModes = ['bios', 'uefi'] as const
const byArch = (what: string) =>
  dict({ default: {}, mutable: true, effective: true, help: `${what} by CPU architecture: x86_64:URL,aarch64:URL.` })
const ramdisk = (what: string) =>
  string({
    default: null,
    mutable: true,
    effective: true,
    help: `${what} of nodes that name none: an http(s) or file URL.`,
  })

export const conductor = {
  workers_pool_size: integer({
    default: 300,
    min: 3,
    help: 'Flows that one conductor works on at a time.',
  }),
  reserved_workers_pool_percentage: integer({
    default: 5,
    min: 0,
    max: 50,
    help: 'Share of the pool kept for heartbeats and power sync.',
  }),
  heartbeat_interval: integer({
    default: 2,
    ironic: '10',
    min: 1,
    effective: true,
    help: 'Seconds between two signs of life of a conductor.',
  }),
  heartbeat_timeout: integer({
    default: 10,
    ironic: '60',
    min: 1,
    max: 315576000,
    mutable: true,
    effective: true,
    help: 'Seconds without one after which a conductor counts as dead.',
  }),
  conductor_group: string({
    default: '',
    effective: true,
    help: 'Group of this conductor; it takes only nodes of that group.',
    matches: /^[a-zA-Z0-9_.-]{0,255}$/,
    expected: 'letters, digits, and _.-',
  }),
  graceful_shutdown_timeout: integer({
    default: 60,
    min: 0,
    deprecatedNames: ['DEFAULT.graceful_shutdown_timeout'],
    help: 'Seconds that requests in progress get to finish after SIGTERM.',
  }),

  sync_power_state_interval: integer({
    default: 120,
    effective: true,
    help: 'Seconds between two reads of the power state of each node. 0 or less: never.',
  }),
  sync_power_state_workers: integer({
    default: 64,
    ironic: '8',
    min: 1,
    effective: true,
    help: 'BMCs that are asked at a time.',
  }),
  power_state_sync_max_retries: integer({
    default: 3,
    min: 0,
    effective: true,
    help: 'Failed reads after which a node goes into maintenance.',
  }),
  force_power_state_during_sync: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Put a node back into the power state the database has; false: believe the BMC.',
  }),
  power_state_change_timeout: integer({
    default: 60,
    min: 2,
    mutable: true,
    effective: true,
    help: 'Seconds a power change may take.',
  }),
  soft_power_off_timeout: integer({
    default: 600,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Seconds an operating system gets to shut down.',
  }),
  power_failure_recovery_interval: integer({
    default: 300,
    min: 0,
    effective: true,
    help: 'Seconds between two looks whether a node in maintenance for a power failure is back. 0: never.',
  }),
  periodic_max_workers: integer({ default: 8, min: 1, help: "Threads of Ironic's periodic tasks." }),

  node_locked_retry_attempts: integer({
    default: 3,
    min: 0,
    effective: true,
    help: 'Further tries to reserve a node that is held.',
  }),
  node_locked_retry_interval: integer({ default: 1, min: 0, effective: true, help: 'Seconds between these tries.' }),
  sync_local_state_interval: integer({
    default: 180,
    min: 0,
    help: 'Seconds between two looks for instances that boot from the network and that no live conductor serves.',
    effective: true,
  }),
  check_provision_state_interval: integer({
    default: 60,
    min: 0,
    help: 'Seconds between two looks for waits that are past their deadline. 0: never.',
  }),
  check_rescue_state_interval: integer({ default: 60, min: 1, help: 'The same for rescues.' }),
  check_allocations_interval: integer({
    default: 60,
    min: 0,
    help: 'Seconds between two looks for allocations of dead conductors.',
  }),

  deploy_callback_timeout: integer({
    default: 1800,
    min: 0,
    effective: true,
    help: 'Seconds to wait for the ramdisk of a deployment. 0: no limit.',
  }),
  clean_callback_timeout: integer({
    default: 1800,
    min: 0,
    effective: true,
    help: 'Seconds to wait for the ramdisk of a cleaning. 0: no limit.',
  }),
  inspect_wait_timeout: integer({
    default: 1800,
    min: 0,
    effective: true,
    help: 'Seconds to wait for the results of an inspection. 0: no limit.',
  }),
  service_callback_timeout: integer({
    default: 1800,
    min: 0,
    effective: true,
    help: 'Seconds to wait for the ramdisk of a servicing. 0: no limit.',
  }),
  rescue_callback_timeout: integer({
    default: 1800,
    min: 0,
    effective: true,
    help: 'Seconds to wait for the ramdisk of a rescue. 0: no limit.',
  }),
  max_conductor_wait_step_seconds: integer({
    default: 30,
    min: 0,
    max: 1800,
    mutable: true,
    effective: true,
    help: 'Longest wait step that is waited for in the conductor.',
  }),
  max_concurrent_deploy: integer({
    default: 250,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Nodes in deployment at a time; further ones wait for their turn, shared evenly among projects.',
  }),
  max_concurrent_clean: integer({
    default: 50,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Nodes in cleaning at a time, undeployments included; further ones wait likewise.',
  }),
  max_concurrent_per_conductor_group: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Count these limits per conductor group.',
  }),

  automated_clean: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Clean nodes before they become available. automated_clean of a node wins.',
  }),
  automated_cleaning_step_source: choice({
    choices: ['autogenerated', 'runbook', 'hybrid'],
    default: 'autogenerated',
    mutable: true,
    effective: true,
    help: 'Where the steps of automated cleaning come from.',
  }),
  automated_cleaning_runbook: string({
    default: null,
    mutable: true,
    effective: true,
    help: 'Runbook of automated cleaning.',
  }),
  automated_cleaning_runbook_by_resource_class: dict({
    default: {},
    mutable: true,
    effective: true,
    help: 'The same by resource class.',
  }),
  automated_cleaning_runbook_from_node: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'The same from driver_info.',
  }),
  automated_cleaning_runbook_validate_traits: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: "Require the runbook's name among the node's traits.",
  }),
  clean_step_priority_override: dict({
    default: {},
    repeatable: true,
    effective: true,
    help: 'Priorities of clean steps: interface.step:priority. 0 turns a step off.',
  }),
  verify_step_priority_override: dict({
    default: {},
    repeatable: true,
    mutable: true,
    effective: true,
    help: 'Priorities of verify steps: interface.step:priority.',
  }),
  poweroff_in_cleanfail: boolean({
    default: false,
    effective: true,
    help: 'Power a node off when its cleaning fails.',
  }),
  poweroff_in_servicefail: boolean({
    default: false,
    effective: true,
    help: 'Power a node off when its servicing fails.',
  }),
  permit_child_node_step_async_result: boolean({
    default: false,
    mutable: true,
    help: 'Do not wait for steps on child nodes.',
  }),

  allow_provisioning_in_maintenance: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Ramdisks of nodes in maintenance may go on.',
  }),
  allow_deleting_available_nodes: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Nodes that are available may be deleted.',
  }),
  disallowed_deployment_boot_modes: list({
    default: [],
    choices: bootModes,
    mutable: true,
    effective: true,
    help: 'Boot modes in which nothing is deployed.',
  }),
  automatic_lessee: boolean({
    default: true,
    mutable: true,
    deprecated: 'set automatic_lessee_source = none instead',
    effective: true,
    help: "Set a node's lessee when it is deployed.",
  }),
  automatic_lessee_source: choice({
    choices: ['instance', 'request', 'none'],
    default: 'instance',
    mutable: true,
    effective: true,
    help: 'Where that lessee comes from.',
  }),

  deploy_kernel: ramdisk("The deploy ramdisk's kernel"),
  deploy_ramdisk: ramdisk('The deploy ramdisk'),
  deploy_kernel_by_arch: byArch("The deploy ramdisk's kernel"),
  deploy_ramdisk_by_arch: byArch('The deploy ramdisk'),
  rescue_kernel: string({ default: null, mutable: true, help: "The rescue ramdisk's kernel of nodes that name none." }),
  rescue_ramdisk: string({ default: null, mutable: true, help: 'The rescue ramdisk of nodes that name none.' }),
  rescue_kernel_by_arch: dict({ default: {}, mutable: true, help: "The rescue ramdisk's kernel by CPU architecture." }),
  rescue_ramdisk_by_arch: dict({ default: {}, mutable: true, help: 'The rescue ramdisk by CPU architecture.' }),
  bootloader: string({ default: null, mutable: true, help: 'EFI system partition image for UEFI ISO images.' }),
  bootloader_by_arch: dict({ default: {}, help: 'The same by CPU architecture.' }),
  error_on_ramdisk_config_inconsistency: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Refuse a kernel without a ramdisk, or the reverse, instead of ignoring it.',
  }),
  disable_kernel_parameter_parsing: boolean({
    default: false,
    effective: true,
    help: 'Do not check the grammar of kernel parameters.',
  }),
  rescue_password_hash_algorithm: choice({
    choices: ['sha256', 'sha512'],
    default: 'sha256',
    mutable: true,
    effective: true,
    help: 'Hash of the rescue password.',
  }),
  require_rescue_password_hashed: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Never send a rescue password in the clear.',
  }),

  configdrive_swift_container: string({
    default: 'ironic_configdrive_container',
    help: 'Swift container of config drives.',
  }),
  configdrive_swift_temp_url_duration: integer({
    default: null,
    min: 60,
    help: 'Seconds that URL of a config drive is valid. Unset: as long as a deployment may wait.',
  }),
  disable_configdrive_check: boolean({
    default: false,
    mutable: true,
    help: 'Do not look into the network data of config drives.',
  }),
  disable_metadata_mtu_check: boolean({ default: false, mutable: true, help: 'Do not require an MTU in it.' }),

  cache_clean_up_interval: integer({
    default: 3600,
    min: 0,
    effective: true,
    help: 'Seconds between two clean-ups of the image store. 0: only when room is needed.',
  }),
  clear_image_cache_on_deploy_failure: boolean({
    default: false,
    mutable: true,
    help: 'Drop an image from the store when its deployment fails.',
  }),
  disable_deep_image_inspection: boolean({
    default: false,
    effective: true,
    help: 'Do not look into images before using them. Dangerous: an image may name files of this host.',
  }),
  conductor_always_validates_images: boolean({
    default: false,
    effective: true,
    help: 'Fetch and check images here also when the agent downloads them from their source.',
  }),
  permitted_image_formats: list({
    default: ['raw', 'gpt', 'qcow2', 'iso'],
    choices: ['raw', 'gpt', 'qcow2', 'iso', 'vmdk', 'vdi', 'vhd', 'vhdx', 'luks'],
    mutable: true,
    effective: true,
    help: 'Formats an image may have; raw includes gpt.',
  }),
  disable_file_checksum: boolean({
    default: false,
    effective: true,
    deprecated: 'images should always be verified',
    help: 'Do not verify checksums of images that the conductor fetches.',
  }),
  disable_support_for_checksum_files: boolean({
    default: false,
    effective: true,
    help: 'Refuse URLs in place of checksums.',
  }),
  disable_zstandard_decompression: boolean({
    default: false,
    effective: true,
    help: 'Leave images compressed with zstd as they are.',
  }),
  file_url_allowed_paths: list({
    default: ['/var/lib/ironic'],
    absolutePaths: true,
    effective: true,
    help: 'Directories that file:// images may come from. Empty: none.',
  }),

  node_history: boolean({ default: true, mutable: true, help: "Keep a history of each node's errors." }),
  node_history_max_entries: integer({ default: 300, min: 0, mutable: true, help: 'Entries kept per node.' }),
  node_history_cleanup_interval: integer({ default: 86400, min: 0, help: 'Seconds between two clean-ups. 0: never.' }),
  node_history_cleanup_batch_count: integer({ default: 1000, min: 0, help: 'Entries removed at a time.' }),
  node_history_minimum_days: integer({
    default: 0,
    min: 0,
    mutable: true,
    help: 'Days that entries are kept at least.',
  }),
  record_step_flows_in_history: boolean({
    default: true,
    effective: true,
    help: 'Tell the begin and end of each step in the history of its node.',
  }),
  log_step_flows_to_syslog: boolean({ default: false, help: 'Write them to syslog too.' }),
  conductor_cleanup_interval: integer({
    default: 86400,
    min: 0,
    help: 'Seconds between two removals of conductors long dead. 0: never.',
  }),
  conductor_cleanup_timeout: integer({
    default: 1209600,
    min: 60,
    mutable: true,
    help: 'Seconds after which a dead conductor is removed.',
  }),
  conductor_cleanup_batch_size: integer({ default: 50, min: 1, mutable: true, help: 'Conductors removed at a time.' }),
  enable_health_monitoring: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Read the health that BMCs report.',
  }),
  enable_mdns: boolean({ default: false, help: 'Announce the API by multicast DNS.' }),
  enable_trait_based_networking: boolean({ default: false, help: 'Choose ports for networks by traits.' }),
  trait_based_networking_config_file: path({
    default: '/etc/ironic/trait_based_networking.yaml',
    help: 'Rules for that.',
  }),
  trait_based_networking_raise_when_no_match: boolean({ default: true, help: 'Fail when no rule matches.' }),
  trait_based_networking_enable_default_trait: boolean({
    default: true,
    help: 'Use the default rule for nodes without such a trait.',
  }),
}
