/** Networks: [dhcp], [dnsmasq], [neutron], [ironic_networking], [mdns]. */
import { boolean, choice, dict, integer, list, path, string } from '../kinds.ts'
import { authOptions, inEffect, loginOptions, reachOptions } from './auth.ts'
import { jsonRpcOptions } from './service.ts'

export const dhcp = {
  dhcp_provider: choice({
    choices: ['none', 'dnsmasq', 'neutron'],
    default: 'none',
    ironic: 'neutron',
    effective: true,
    help: 'Who tells DHCP about nodes: none = nobody (a server of yours, or [ferrite] manage_dnsmasq); dnsmasq = files for a dnsmasq of yours; neutron = options of Neutron ports, for nodes of the network interface neutron.',
  }),
}

export const dnsmasq = {
  dhcp_optsdir: path({ default: '/etc/dnsmasq.d/optsdir.d', effective: true, help: "That dnsmasq's dhcp-optsdir." }),
  dhcp_hostsdir: path({ default: '/etc/dnsmasq.d/hostsdir.d', effective: true, help: "That dnsmasq's dhcp-hostsdir." }),
  dhcp_leasefile: path({ default: '/var/lib/dnsmasq/dnsmasq.leases', help: "That dnsmasq's leases." }),
}

const serviceNetwork = (purpose: string, deprecatedNames: readonly string[] = []) =>
  string({
    default: null,
    mutable: true,
    effective: true,
    deprecatedNames,
    help: `Neutron network for ${purpose}: UUID or name. driver_info of a node wins.`,
  })
const securityGroups = (purpose: string) =>
  list({ default: [], mutable: true, effective: true, help: `Security groups of Neutron ports for ${purpose}.` })

export const neutron = {
  ...inEffect(authOptions('network'), [...loginOptions, ...reachOptions]),
  cleaning_network: serviceNetwork('cleaning', ['neutron.cleaning_network_uuid']),
  cleaning_network_security_groups: securityGroups('cleaning'),
  provisioning_network: serviceNetwork('deployment', ['neutron.provisioning_network_uuid']),
  provisioning_network_security_groups: securityGroups('deployment'),
  rescuing_network: serviceNetwork('rescue'),
  rescuing_network_security_groups: securityGroups('rescue'),
  inspection_network: serviceNetwork('inspection'),
  inspection_network_security_groups: securityGroups('inspection'),
  servicing_network: serviceNetwork('servicing'),
  servicing_network_security_groups: securityGroups('servicing'),
  port_setup_delay: integer({ default: 0, min: 0, mutable: true, help: 'Seconds to wait after ports are set up.' }),
  fail_on_port_binding_failure: boolean({ default: true, effective: true, help: 'Fail when a port cannot be bound.' }),
  retries: integer({
    default: 3,
    min: 0,
    mutable: true,
    deprecated: 'use connect_retries instead',
    help: 'Tries of a request.',
  }),
  request_timeout: integer({ default: 45, min: 1, mutable: true, help: 'Seconds a request may take.' }),
  add_all_ports: boolean({
    default: false,
    mutable: true,
    effective: true,
    help: 'Connect all ports, not only those that network boot.',
  }),
  dhcpv6_stateful_address_count: integer({
    default: 4,
    min: 1,
    mutable: true,
    help: 'Addresses that a ramdisk needs with stateful DHCPv6.',
  }),
  allow_disabling_power_off: boolean({ default: false, help: 'Accept nodes that are never powered off.' }),
}

const vlanNetwork = (purpose: string) =>
  string({ default: '', help: `Switch port setting for ${purpose}, such as access/native_vlan=100.` })

export const ironic_networking = {
  rpc_transport: choice({
    choices: ['json-rpc', 'oslo_messaging', 'none'],
    default: null,
    help: 'How the networking service is reached.',
  }),
  switch_config_file: string({ default: '', help: 'File with the switches.' }),
  driver_config_dir: path({ default: '/var/lib/ironic/networking', help: 'Directory of switch driver files.' }),
  enabled_switch_drivers: list({ default: [], help: 'Switch drivers to load.' }),
  allowed_vlans: list({ default: null, help: 'VLANs that may be used.' }),
  cleaning_network: vlanNetwork('cleaning'),
  rescuing_network: vlanNetwork('rescue'),
  provisioning_network: vlanNetwork('deployment'),
  servicing_network: vlanNetwork('servicing'),
  inspection_network: vlanNetwork('inspection'),
  idle_network: vlanNetwork('ports that are not used'),
}

export const ironic_networking_json_rpc = { ...authOptions(null), ...jsonRpcOptions() }

export const mdns = {
  registration_attempts: integer({ default: 5, min: 1, help: 'Tries to announce the API.' }),
  lookup_attempts: integer({ default: 3, min: 1, help: 'Tries to find a service.' }),
  params: dict({ default: {}, help: 'Parameters to announce: they become options of ramdisks.' }),
  interfaces: list({ default: null, help: 'Addresses to announce on. Unset: all.' }),
}
