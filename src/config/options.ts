/**
 * Every option of the service, by group: the one place from which the configuration's type, the loader, the reference
 * and docs/configuration.md are made. To add an option, add it to its group's file below options/.
 */
import type { Option, ValueOf } from './kinds.ts'
import { agent, agent_containers } from './options/agent.ts'
import { api, audit, cors, healthcheck, oslo_middleware, oslo_policy, ssl } from './options/api.ts'
import { conductor } from './options/conductor.ts'
import { console, vnc } from './options/console.ts'
import { DEFAULT } from './options/default.ts'
import { deploy, disk_utils } from './options/deploy.ts'
import { ferrite } from './options/ferrite.ts'
import { drac, fake, ipmi, redfish, snmp } from './options/hardware.ts'
import { cifs, glance, inventory, nfs, oci, swift } from './options/images.ts'
import { auto_discovery, inspection_rules, inspector, pxe_filter } from './options/inspection.ts'
import { dhcp, dnsmasq, ironic_networking, ironic_networking_json_rpc, mdns, neutron } from './options/network.ts'
import { anaconda, ansible } from './options/other-deploys.ts'
import { pxe } from './options/pxe.ts'
import {
  cinder,
  database,
  exception,
  json_rpc,
  keystone_authtoken,
  metrics,
  metrics_statsd,
  nova,
  oslo_concurrency,
  oslo_messaging_notifications,
  oslo_messaging_rabbit,
  sensor_data,
  service_catalog,
} from './options/service.ts'

export const options = {
  DEFAULT,
  ferrite,
  api,
  conductor,
  agent,
  deploy,
  pxe,
  database,
  dhcp,
  redfish,
  inspector,
  inventory,
  disk_utils,
  fake,
  service_catalog,
  agent_containers,
  anaconda,
  ansible,
  audit,
  auto_discovery,
  cifs,
  cinder,
  console,
  cors,
  dnsmasq,
  drac,
  exception,
  glance,
  healthcheck,
  inspection_rules,
  ipmi,
  ironic_networking,
  ironic_networking_json_rpc,
  json_rpc,
  keystone_authtoken,
  mdns,
  metrics,
  metrics_statsd,
  neutron,
  nfs,
  nova,
  oci,
  oslo_concurrency,
  oslo_messaging_notifications,
  oslo_messaging_rabbit,
  oslo_middleware,
  oslo_policy,
  pxe_filter,
  sensor_data,
  snmp,
  ssl,
  swift,
  vnc,
}

/** The configuration as the code sees it: `config.deploy.fast_track` is a boolean. */
export type Config = {
  readonly [G in keyof typeof options]: { readonly [N in keyof (typeof options)[G]]: ValueOf<(typeof options)[G][N]> }
}

/** The same options for code that walks them. */
export const optionGroups: Readonly<Record<string, Readonly<Record<string, Option>>>> = options

/**
 * Options that older configuration files still carry and that no release of today has; they are accepted with a
 * warning, because refusing them would refuse the files of common installers.
 */
export const removedOptions: ReadonlySet<string> = new Set([
  'deploy.default_boot_option',
  'deploy.enable_iscsi',
  'pxe.ipxe_enabled',
  'DEFAULT.enabled_drivers',
  'DEFAULT.fatal_exception_format_errors',
  'inspector.enabled',
])
