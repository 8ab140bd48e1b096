/** [DEFAULT]: what concerns the whole service. */
import { hostname } from 'node:os'
import { address, boolean, booleanOrPath, choice, derived, float, host, integer, list, path, string } from '../kinds.ts'
import { detectMyIp } from '../my-ip.ts'

/** The list of implementations of one interface type that nodes may use, and the one they get when none is named. */
const enabled = (what: string, ours: readonly string[], ironic?: string) =>
  list({
    default: ours,
    ...(ironic === undefined ? {} : { ironic }),
    effective: true,
    help: `${what} interfaces that nodes may use. Empty: what the enabled hardware types prefer.`,
  })
const preferred = (what: string) =>
  string({
    default: null,
    effective: true,
    help: `${what} interface of nodes that name none. Unset: the first enabled one in the hardware type's order.`,
  })

export const DEFAULT = {
  state_path: path({
    default: './var/ferrite',
    ironic: '$pybasedir',
    effective: true,
    help: 'Directory of everything the service keeps: database, images, boot files. Relative to the working directory.',
  }),
  debug: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Log at debug level, and ask ramdisks to do so.',
  }),
  my_ip: address({
    default: derived('the address of the interface with the default route', detectMyIp),
    effective: true,
    help: 'The address under which machines reach this service; other defaults derive from it.',
  }),
  my_ipv6: address({ default: null, family: 6, help: 'The IPv6 address under which machines reach this service.' }),
  host: host({
    default: derived('the host name of the machine', hostname),
    ironic: 'the fully qualified host name',
    effective: true,
    help: 'Name of this conductor. It must be unique and stay the same over restarts.',
  }),
  tempdir: path({
    default: '$state_path/tmp',
    ironic: "the system's directory",
    effective: true,
    help: 'Directory of temporary files.',
  }),

  auth_strategy: choice({
    choices: ['noauth', 'keystone', 'http_basic'],
    default: 'noauth',
    ironic: 'keystone',
    effective: true,
    help: 'How API callers prove who they are. With noauth everybody who reaches the port may do everything.',
  }),
  http_basic_auth_user_file: path({
    default: '/etc/ironic/htpasswd',
    effective: true,
    help: 'Users and bcrypt hashes for auth_strategy http_basic.',
  }),
  rbac_service_role_elevated_access: boolean({
    default: false,
    effective: true,
    help: 'Give the service role full access within the service project.',
  }),
  rbac_service_project_name: string({
    default: 'service',
    effective: true,
    help: 'Project whose service role is trusted.',
  }),

  enabled_hardware_types: list({
    default: ['ipmi', 'redfish', 'fake-hardware'],
    ironic: 'ipmi,redfish',
    effective: true,
    help: 'Hardware types that nodes may use.',
  }),
  enabled_bios_interfaces: enabled('BIOS', ['no-bios', 'redfish', 'fake'], 'no-bios,redfish'),
  default_bios_interface: preferred('BIOS'),
  enabled_boot_interfaces: enabled('Boot', ['ipxe', 'redfish-virtual-media', 'fake'], 'ipxe,pxe,redfish-virtual-media'),
  default_boot_interface: preferred('Boot'),
  enabled_console_interfaces: enabled('Console', ['no-console', 'fake'], 'no-console'),
  default_console_interface: preferred('Console'),
  enabled_deploy_interfaces: enabled('Deploy', ['direct', 'fake'], 'autodetect,direct,ramdisk,bootc'),
  default_deploy_interface: preferred('Deploy'),
  autodetect_deploy_interfaces: list({
    default: ['ramdisk', 'bootc', 'direct'],
    effective: true,
    help: 'What the autodetect deploy interface tries, in this order; the last one is the fallback.',
  }),
  enabled_firmware_interfaces: enabled('Firmware', ['no-firmware', 'fake'], 'no-firmware'),
  default_firmware_interface: preferred('Firmware'),
  enabled_inspect_interfaces: enabled('Inspect', ['agent', 'no-inspect', 'redfish', 'fake'], 'no-inspect,redfish'),
  default_inspect_interface: preferred('Inspect'),
  enabled_management_interfaces: enabled('Management', []),
  default_management_interface: preferred('Management'),
  enabled_network_interfaces: enabled('Network', ['noop'], 'flat,noop'),
  default_network_interface: preferred('Network'),
  enabled_power_interfaces: enabled('Power', []),
  default_power_interface: preferred('Power'),
  enabled_raid_interfaces: enabled('RAID', ['agent', 'no-raid', 'redfish', 'fake'], 'agent,no-raid,redfish'),
  default_raid_interface: preferred('RAID'),
  enabled_rescue_interfaces: enabled('Rescue', ['no-rescue', 'fake'], 'no-rescue'),
  default_rescue_interface: preferred('Rescue'),
  enabled_storage_interfaces: enabled('Storage', ['noop', 'fake'], 'cinder,noop'),
  default_storage_interface: string({
    default: 'noop',
    effective: true,
    help: 'Storage interface of nodes that name none.',
  }),
  enabled_vendor_interfaces: enabled(
    'Vendor',
    ['ipmitool', 'redfish', 'no-vendor', 'fake'],
    'ipmitool,redfish,no-vendor',
  ),
  default_vendor_interface: preferred('Vendor'),

  default_resource_class: string({
    default: null,
    mutable: true,
    effective: true,
    help: 'Resource class of new nodes that name none.',
  }),
  default_conductor_group: string({
    default: '',
    mutable: true,
    effective: true,
    help: 'Conductor group of new nodes that name none.',
  }),
  default_portgroup_mode: string({
    default: 'active-backup',
    mutable: true,
    effective: true,
    help: 'Bonding mode of new port groups that name none.',
  }),
  log_in_db_max_size: integer({
    default: 4096,
    min: 0,
    effective: true,
    help: 'Errors longer than this many characters are shortened before they are stored.',
  }),

  force_raw_images: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Convert images that the conductor serves to raw, so that the agent streams them to the disk. Needs [agent] stream_raw_images.',
  }),
  raw_image_growth_factor: float({
    default: 2.0,
    min: 1.0,
    effective: true,
    help: 'By how much an image is expected to grow at most when it is converted to raw, if the disk has no room for its virtual size.',
  }),
  image_download_concurrency: integer({
    default: 20,
    min: 1,
    effective: true,
    help: 'Downloads and conversions of images that run at a time.',
  }),
  parallel_image_downloads: boolean({
    default: true,
    mutable: true,
    deprecated: 'set image_download_concurrency = 1 instead',
    effective: true,
    help: 'false: one download at a time.',
  }),
  webserver_verify_ca: booleanOrPath({
    default: true,
    mutable: true,
    effective: true,
    help: 'Check the certificates of image servers: true, false, or a file with the CA certificates to trust.',
  }),
  webserver_connection_timeout: integer({
    default: 60,
    min: 1,
    effective: true,
    help: 'Seconds an image server may take to connect, and to send something.',
  }),
  webserver_tls_minimum_version: choice({
    choices: ['1.2', '1.3'],
    default: '1.3',
    effective: true,
    help: 'Oldest TLS version accepted from image servers.',
  }),
  webserver_tls_ciphers: string({
    default: null,
    effective: true,
    help: 'TLS 1.2 ciphers accepted from image servers, in the notation of OpenSSL.',
  }),
  allow_image_access_via_auth_token: boolean({
    default: false,
    deprecated: "share images with the service's project instead",
    help: 'Fetch Glance images with the token of the request.',
  }),
  ignore_project_check_for_admin_tasks: boolean({
    default: true,
    effective: true,
    help: 'Requests of administrators may use any Glance image.',
  }),

  isolinux_bin: path({
    default: '/usr/lib/syslinux/isolinux.bin',
    effective: true,
    help: 'Boot loader of ISO images for BIOS machines.',
  }),
  ldlinux_c32: path({
    default: null,
    effective: true,
    help: 'ldlinux.c32 for ISO images; unset: looked for in the usual places.',
  }),
  isolinux_config_template: path({
    default: null,
    ironic: 'the packaged template',
    help: 'Template of isolinux.cfg in ISO images. Unset: built in.',
  }),
  grub_config_path: string({
    default: 'EFI/BOOT/grub.cfg',
    effective: true,
    help: 'Where grub.cfg is inside UEFI ISO images.',
  }),
  grub_config_template: path({
    default: null,
    ironic: 'the packaged template',
    help: 'Template of grub.cfg in ISO images. Unset: built in.',
  }),
  esp_image: path({
    default: null,
    effective: true,
    help: 'EFI system partition image for UEFI ISO images; unset: [conductor] bootloader.',
  }),

  minimum_required_memory: integer({
    default: 1024,
    min: 0,
    mutable: true,
    help: 'MiB of free memory that heavy work such as a conversion waits for.',
  }),
  minimum_memory_wait_time: integer({
    default: 15,
    min: 0,
    mutable: true,
    help: 'Seconds between two looks at the free memory.',
  }),
  minimum_memory_wait_retries: integer({
    default: 6,
    min: 0,
    mutable: true,
    help: 'Looks at the free memory before the work fails.',
  }),
  minimum_memory_warning_only: boolean({ default: false, mutable: true, help: 'Only warn when memory is short.' }),

  rpc_transport: choice({
    choices: ['oslo', 'json-rpc', 'none'],
    default: 'none',
    ironic: 'oslo',
    help: "How Ironic's API and conductor talk. Ferrite's processes meet in the database and need no transport.",
  }),
  use_rpc_for_database: boolean({ default: false, help: "Let Ironic's API reach the database through the conductor." }),
  transport_url: string({
    default: 'rabbit://',
    secret: true,
    effective: true,
    help: 'Message bus of notifications, where [oslo_messaging_notifications] names none. There is no RPC.',
  }),
  hash_partition_exponent: integer({
    default: 5,
    min: 0,
    help: "Partitions per conductor of Ironic's hash ring, as a power of two.",
  }),
  hash_ring_reset_interval: integer({
    default: 15,
    min: 1,
    help: "Seconds after which Ironic's hash ring is built again.",
  }),
  hash_ring_algorithm: string({ default: 'md5', help: "Hash function of Ironic's hash ring." }),
  pin_release_version: string({
    default: null,
    mutable: true,
    help: 'Release to stay compatible with during a rolling upgrade.',
  }),
  drain_shutdown_timeout: integer({
    default: 1800,
    min: 0,
    mutable: true,
    help: 'Seconds that work in progress gets to finish after SIGUSR2. 0: no limit.',
  }),

  notification_level: choice({
    choices: ['debug', 'info', 'warning', 'error', 'critical'],
    default: null,
    effective: true,
    help: 'Send notifications of this level and above. Unset: none.',
  }),
  versioned_notifications_topics: list({
    default: ['ironic_versioned_notifications'],
    effective: true,
    help: 'Topics that notifications are sent to.',
  }),
  debug_tracebacks_in_api: boolean({
    default: false,
    help: 'Put stack traces into API errors. Never outside of a test bed.',
  }),
  pecan_debug: boolean({ default: false, help: "Debug mode of Ironic's web framework." }),
  pybasedir: path({
    default: null,
    ironic: "the Python package's directory",
    help: "Directory of Ironic's Python package.",
  }),
  bindir: path({ default: null, ironic: '$pybasedir/bin', help: "Directory of Ironic's programs." }),

  log_file: path({ default: null, help: 'Ironic logs to this file. Ferrite logs to its standard output.' }),
  log_dir: path({ default: null, help: 'Directory of log_file.' }),
  log_config_append: path({ default: null, help: 'Configuration file of Python logging.' }),
  log_date_format: string({ default: '%Y-%m-%d %H:%M:%S', help: 'Format of the time in log lines.' }),
  watch_log_file: boolean({ default: false, help: 'Reopen the log file when it is moved.' }),
  use_stderr: boolean({ default: false, help: 'Log to standard error.' }),
  use_journal: boolean({ default: false, help: 'Log to the journal.' }),
  use_json: boolean({ default: false, help: 'Log as JSON. Ferrite always does.' }),
  use_syslog: boolean({ default: false, help: 'Log to syslog.' }),
  syslog_log_facility: string({ default: 'LOG_USER', help: 'Facility of syslog.' }),
  default_log_levels: list({ default: [], mutable: true, help: 'Levels of Python loggers, name=LEVEL.' }),
  logging_context_format_string: string({ default: null, help: 'Format of log lines with a request.' }),
  logging_default_format_string: string({ default: null, help: 'Format of log lines without a request.' }),
  logging_debug_format_suffix: string({ default: null, help: 'What debug lines end with.' }),
  logging_exception_prefix: string({ default: null, help: 'What lines of stack traces begin with.' }),
  logging_user_identity_format: string({ default: null, help: 'Format of the user in log lines.' }),
  log_rotate_interval: integer({ default: 1, help: 'Interval of log rotation.' }),
  log_rotate_interval_type: string({ default: 'days', help: 'Unit of log_rotate_interval.' }),
  log_rotation_type: string({ default: 'none', help: 'Rotation of the log file.' }),
  max_logfile_count: integer({ default: 30, help: 'Rotated log files that are kept.' }),
  max_logfile_size_mb: integer({ default: 200, help: 'Size in MB at which the log file is rotated.' }),
  rate_limit_burst: integer({ default: 0, help: 'Log lines per rate_limit_interval.' }),
  rate_limit_interval: integer({ default: 0, help: 'Seconds of rate_limit_burst.' }),
  rate_limit_except_level: string({ default: 'CRITICAL', help: 'Level above which log lines are never dropped.' }),
  publish_errors: boolean({ default: false, help: 'Send errors as notifications.' }),
  instance_format: string({ default: '[instance: %(uuid)s] ', help: 'Format of instances in log lines.' }),
  instance_uuid_format: string({ default: '[instance: %(uuid)s] ', help: 'Format of instance UUIDs in log lines.' }),
  fatal_deprecations: boolean({ default: false, help: 'Treat deprecated features as errors.' }),
  executor_thread_pool_size: integer({ default: 64, help: "Threads of Ironic's message executor." }),
  rpc_response_timeout: integer({ default: 60, help: "Seconds Ironic's API waits for its conductor." }),
  control_exchange: string({ default: 'ironic', effective: true, help: 'Exchange of the message bus.' }),
  backdoor_port: string({ default: null, help: "Port of eventlet's backdoor." }),
  backdoor_socket: path({ default: null, help: "Socket of eventlet's backdoor." }),
  log_options: boolean({ default: true, help: 'Log all options at start.' }),
  run_external_periodic_tasks: boolean({ default: true, help: 'Run periodic tasks of other processes.' }),
} as const
