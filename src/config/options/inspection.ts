/** Inspection: [inspector], [auto_discovery], [pxe_filter], [inspection_rules]. */
import { boolean, choice, dict, integer, list, path, string, texts } from '../kinds.ts'
import { authOptions } from './auth.ts'

export const inspector = {
  ...authOptions('baremetal-introspection'),
  power_off: boolean({
    default: true,
    effective: true,
    help: 'Power a node off after its inspection. Not done with fast track.',
  }),
  require_managed_boot: boolean({
    default: true,
    effective: true,
    help: 'Refuse to inspect nodes whose ramdisk cannot be booted by us.',
  }),
  extra_kernel_params: string({
    default: '',
    effective: true,
    help: 'Further kernel parameters of ramdisks that inspect.',
  }),
  force_dhcp: boolean({
    default: false,
    effective: true,
    help: 'Use DHCP also where virtual media could carry addresses.',
  }),
  add_ports: choice({
    choices: ['all', 'active', 'pxe', 'disabled'],
    default: 'pxe',
    effective: true,
    help: 'For which NICs ports are made.',
  }),
  keep_ports: choice({
    choices: ['all', 'present', 'added'],
    default: 'all',
    effective: true,
    help: 'Which ports stay.',
  }),
  update_pxe_enabled: boolean({
    default: true,
    effective: true,
    help: 'Set pxe_enabled of ports by the NIC that booted.',
  }),
  pre_create_ports: boolean({
    default: true,
    effective: true,
    help: 'Make ports from what the BMC knows before the ramdisk boots.',
  }),
  default_hooks: list({
    default: ['ramdisk-error', 'validate-interfaces', 'ports', 'architecture'],
    effective: true,
    help: 'Hooks that $default_hooks stands for.',
  }),
  hooks: list({
    default: ['$default_hooks'],
    effective: true,
    help: 'Hooks that read inspection data, in this order.',
  }),
  known_accelerators: path({
    default: null,
    ironic: 'the packaged file',
    effective: true,
    help: 'File with known accelerators. Unset: built in.',
  }),
  cpu_capabilities: dict({
    default: {
      vmx: 'cpu_vt',
      svm: 'cpu_vt',
      aes: 'cpu_aes',
      pse: 'cpu_hugepages',
      pdpe1gb: 'cpu_hugepages_1g',
      smx: 'cpu_txt',
    },
    effective: true,
    help: 'CPU flags and the capabilities they give.',
  }),
  extra_hardware_strict: boolean({ default: false, effective: true, help: 'Refuse malformed extra hardware data.' }),
  pci_device_alias: texts({ default: [], effective: true, help: 'PCI devices to count, each a JSON object.' }),
  physical_network_cidr_map: list({
    default: [],
    effective: true,
    help: 'Networks and the physical network they belong to: CIDR:name.',
  }),
  disk_partitioning_spacing: boolean({
    default: true,
    effective: true,
    help: 'Leave 1 GiB of room when local_gb is computed.',
  }),
  status_check_period: integer({ default: 60, help: "Seconds between two looks at Ironic's former inspector." }),
  callback_endpoint_override: string({
    default: null,
    deprecated: 'use [service_catalog] endpoint_override instead',
    help: 'URL inspection data is sent to.',
  }),
}

export const auto_discovery = {
  enabled: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Enrol machines that boot a ramdisk and are unknown.',
  }),
  driver: string({ default: null, mutable: true, effective: true, help: 'Hardware type of such nodes.' }),
  inspection_scope: string({ default: null, effective: true, help: 'Scope of rules for such nodes.' }),
}

export const pxe_filter = {
  dhcp_hostsdir: path({
    default: null,
    effective: true,
    help: "dnsmasq's dhcp-hostsdir that lets machines boot for inspection.",
  }),
  supported_inspect_interfaces: list({
    default: ['agent'],
    mutable: true,
    effective: true,
    help: 'Inspect interfaces whose nodes are let through.',
  }),
  sync_period: integer({ default: 45, min: 0, mutable: true, effective: true, help: 'Seconds between two updates.' }),
}

export const inspection_rules = {
  built_in_rules: path({
    default: null,
    mutable: true,
    effective: true,
    help: 'YAML file with rules that are always there.',
  }),
  mask_secrets: choice({
    choices: ['always', 'never', 'sensitive'],
    default: 'always',
    effective: true,
    help: 'When rules do not see secrets.',
  }),
}
