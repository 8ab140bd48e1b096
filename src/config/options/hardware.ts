/** BMCs: [redfish], [drac], [ipmi], [fake]. */
import { boolean, booleanOrPath, choice, float, integer, list, octal, string, texts } from '../kinds.ts'

/** Waits of firmware updates, RAID jobs and settings of firmware. */
const seconds = (value: number, help: string, { read = true } = {}) =>
  integer({
    default: value,
    min: 0,
    ...(read ? ({ effective: true } as const) : {}),
    help: `${help}, in seconds.`,
  })

export const redfish = {
  connection_attempts: integer({ default: 5, min: 1, effective: true, help: 'Tries to reach a BMC.' }),
  connection_retry_interval: integer({ default: 4, min: 1, effective: true, help: 'Seconds between them.' }),
  connect_timeout: integer({
    default: 30,
    min: 1,
    effective: true,
    help: 'Seconds a BMC may take to accept a connection.',
  }),
  read_timeout: integer({ default: 60, min: 1, effective: true, help: 'Seconds a BMC may take to answer.' }),
  connection_cache_size: integer({
    default: 1000,
    min: 0,
    effective: true,
    help: 'BMCs whose session is kept. 0: log in each time.',
  }),
  auth_type: choice({
    choices: ['basic', 'session', 'auto'],
    default: 'auto',
    effective: true,
    help: 'How to log in; auto: a session, else basic. redfish_auth_type of a node wins.',
  }),
  verify_ca: booleanOrPath({
    default: null,
    effective: true,
    help: "Check BMCs' certificates for nodes that do not say: true, false, or a file with CA certificates.",
  }),
  tls_minimum_version: choice({
    choices: ['1.1', '1.2', '1.3'],
    default: null,
    effective: true,
    help: "Oldest TLS version accepted from BMCs. Unset: OpenSSL's.",
  }),
  tls_ciphers: string({
    default: null,
    effective: true,
    help: 'TLS ciphers accepted from BMCs, in the notation of OpenSSL.',
  }),
  kernel_append_params: string({
    default: 'nofb vga=normal',
    mutable: true,
    effective: true,
    help: 'Kernel parameters of ramdisks booted from virtual media.',
  }),
  file_permission: octal({ default: 0o644, effective: true, help: 'Permissions of published files.' }),
  use_swift: boolean({ default: false, mutable: true, help: 'Publish boot ISOs in Swift.' }),
  swift_container: string({
    default: 'ironic_redfish_container',
    mutable: true,
    help: 'Swift container of boot ISOs.',
  }),
  swift_object_expiry_timeout: integer({ default: 900, min: 1, mutable: true, help: 'Seconds they live there.' }),
  firmware_source: choice({
    choices: ['http', 'local', 'swift'],
    default: 'http',
    mutable: true,
    effective: true,
    help: 'Where BMCs get firmware from.',
  }),
  firmware_update_status_interval: seconds(60, 'Time between two looks at firmware updates'),
  firmware_update_fail_interval: seconds(60, 'Time between two looks at failed firmware updates', { read: false }),
  firmware_update_wait_unresponsive_bmc: seconds(0, 'Wait for a BMC that restarts after an update', { read: false }),
  firmware_update_required_successes: integer({
    default: 3,
    min: 0,
    effective: true,
    help: 'Good answers in a row that show a BMC is back.',
  }),
  firmware_update_validation_interval: seconds(30, 'Time between two of them'),
  firmware_update_resource_validation_timeout: seconds(480, 'Time a BMC may take to be back'),
  firmware_update_bmc_timeout: seconds(300, 'Time a BMC update may take'),
  firmware_update_reboot_delay: seconds(300, 'Wait after the reboot of an update', { read: false }),
  firmware_update_bmc_version_check_interval: seconds(30, 'Time between two looks at the version'),
  firmware_update_nic_starting_wait: seconds(30, 'Wait for NIC updates to begin', { read: false }),
  firmware_update_overall_timeout: seconds(7200, 'Time all updates of a node may take'),
  raid_config_status_interval: seconds(60, 'Time between two looks at RAID jobs'),
  raid_config_fail_interval: seconds(60, 'Time between two looks at failed RAID jobs', { read: false }),
  boot_mode_config_timeout: seconds(900, 'Time a change of the boot mode may take'),
  enable_verify_bmc_clock: boolean({
    default: false,
    effective: true,
    help: "Set a BMC's clock when the node is verified.",
  }),
  default_inspection_hooks: list({
    default: ['validate-interfaces', 'ports', 'architecture'],
    effective: true,
    help: 'Hooks that $default_inspection_hooks stands for.',
  }),
  inspection_hooks: list({
    default: ['$default_inspection_hooks'],
    effective: true,
    help: 'Hooks that read inspection data of the redfish inspect interface.',
  }),
  post_boot_retry_attempts: integer({
    default: 6,
    min: 1,
    effective: true,
    help: 'Tries of a request while firmware starts.',
  }),
  post_boot_retry_delay: integer({ default: 5, min: 1, effective: true, help: 'Seconds between them.' }),
  power_on_conflict_retry_attempts: integer({
    default: 6,
    min: 0,
    effective: true,
    help: 'Retries of power on when the BMC answers 409.',
  }),
  power_on_conflict_retry_interval: integer({ default: 10, min: 1, effective: true, help: 'Seconds between them.' }),
}

export const drac = {
  query_raid_config_job_status_interval: integer({
    default: 120,
    min: 1,
    help: 'Seconds between two looks at RAID jobs.',
  }),
  boot_device_job_status_timeout: integer({
    default: 30,
    min: 1,
    help: 'Seconds a change of the boot device may take.',
  }),
  config_job_max_retries: integer({ default: 240, min: 1, deprecated: 'it has no effect', help: 'Unused.' }),
  bios_factory_reset_timeout: integer({ default: 600, min: 1, deprecated: 'it has no effect', help: 'Unused.' }),
  raid_job_timeout: integer({ default: 300, min: 1, help: 'Seconds a RAID job may take.' }),
}

export const ipmi = {
  command_retry_timeout: integer({
    default: 60,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Seconds after which a command is given up, with all that is tried again.',
  }),
  min_command_interval: integer({
    default: 5,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Longest seconds before a question that a BMC did not answer is asked again.',
  }),
  use_ipmitool_retries: boolean({ default: false, help: 'Unused: ipmitool is not run.' }),
  kill_on_timeout: boolean({ default: true, mutable: true, help: 'Unused: ipmitool is not run.' }),
  disable_boot_timeout: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: 'Turn off the 60 seconds after which BMCs forget the boot device.',
  }),
  additional_retryable_ipmi_errors: texts({
    default: [],
    mutable: true,
    effective: true,
    help: "Words of BMCs' answers after which a command is tried again; some are known.",
  }),
  debug: boolean({ default: false, mutable: true, help: 'Unused: ipmitool is not run.' }),
  store_cred_in_env: boolean({ default: false, help: 'Unused: ipmitool is not run.' }),
  cipher_suite_versions: list({
    default: [],
    effective: true,
    help: 'Cipher suites to try, the last one first. Empty: those that the BMC has.',
  }),
}

/** "2" or "1,5": a time, or one drawn evenly from a range. */
const delay = (what: string, { read = true } = {}) =>
  string({
    default: '0',
    ...(read ? ({ effective: true } as const) : {}),
    matches: /^\d+(\.\d+)?(,\s*\d+(\.\d+)?)?$/,
    expected: 'SECONDS or FROM,TO',
    help: `Seconds that ${what} of fake-hardware takes; FROM,TO draws it from a range.`,
  })

export const snmp = {
  power_timeout: integer({
    default: 10,
    effective: true,
    help: 'Seconds a PDU may take to carry out each half of a reset.',
  }),
  reboot_delay: integer({
    default: 0,
    min: 0,
    effective: true,
    help: 'Seconds an outlet stays off at least before it is switched on again.',
  }),
  power_action_delay: integer({
    default: 0,
    min: 0,
    effective: true,
    help: 'Seconds to wait before an outlet is switched on and after it was switched off.',
  }),
  udp_transport_timeout: float({ default: 1, min: 0, effective: true, help: 'Seconds an answer of a PDU may take.' }),
  udp_transport_retries: integer({ default: 5, min: 0, effective: true, help: 'How often a request is sent again.' }),
}

export const fake = {
  power_delay: delay('a power change'),
  boot_delay: delay('a boot operation'),
  deploy_delay: delay('a deploy step'),
  vendor_delay: delay('a vendor call', { read: false }),
  management_delay: delay('a management operation'),
  inspect_delay: delay('an inspection'),
  raid_delay: delay('a RAID step', { read: false }),
  bios_delay: delay('a BIOS step', { read: false }),
  storage_delay: delay('a storage operation', { read: false }),
  rescue_delay: delay('a rescue'),
  firmware_delay: delay('a firmware step', { read: false }),
}
