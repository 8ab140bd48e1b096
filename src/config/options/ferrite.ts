/** [ferrite]: what Ironic has no option for. */
import { boolean, choice, derived, host, integer, list, path, port, string, url } from '../kinds.ts'

export const ferrite = {
  http_host: host({
    default: '0.0.0.0',
    effective: true,
    help: 'Address the HTTP server for boot files and images listens on.',
  }),
  hardware_type_modules: list({
    default: [],
    effective: true,
    help: 'Absolute paths of modules with hardware types of your own (docs/adding-a-driver.md).',
  }),
  http_port: port({ default: 8090, effective: true, help: 'Its port.' }),
  http_serve: boolean({
    default: true,
    effective: true,
    help: 'false: another server serves [deploy] http_root; set [deploy] http_url.',
  }),
  http_max_connections: integer({
    default: 1024,
    min: 1,
    effective: true,
    help: 'Connections it serves at a time; further ones are closed at once, and their clients try again.',
  }),
  chunked_images: boolean({
    default: true,
    mutable: true,
    effective: true,
    help: "Make of each image that is served from here a second form, of compressed and hashed chunks without its empty ranges, for agents of Ferrite's. Other agents get the plain image in any case. It takes room in [pxe] instance_master_path and counts against [pxe] image_cache_size.",
  }),
  api_url: url({
    default: derived(
      '[service_catalog] endpoint_override, else [api] public_endpoint, else http://$my_ip:$api.port (https with enable_ssl_api)',
      get => {
        const ip = String(get('DEFAULT', 'my_ip'))
        const known = get('service_catalog', 'endpoint_override') ?? get('api', 'public_endpoint')
        const scheme = get('api', 'enable_ssl_api') === true ? 'https' : 'http'
        return String(known ?? `${scheme}://${ip.includes(':') ? `[${ip}]` : ip}:${get('api', 'port')}`)
      },
    ),
    effective: true,
    help: 'URL of the API that ramdisks are given (ipa-api-url).',
  }),

  ramdisk_dir: path({
    default: './var/build/ramdisk',
    effective: true,
    help: 'Directory with the kernel and ramdisk that "ferrite ramdisk build" made, for nodes and settings that name none.',
  }),

  console: boolean({
    default: true,
    effective: true,
    help: "Serve the web console under /ui at the API's port (docs/console.md). It shows nothing that its user may not ask the API for.",
  }),
  console_dir: path({
    default: './var/build/console',
    effective: true,
    help: 'Directory with the built web console. In a checkout the service builds it when it is asked for first.',
  }),

  ramdisk_log_size: integer({
    default: 1_048_576,
    min: 0,
    mutable: true,
    effective: true,
    help: 'Bytes kept of what a ramdisk of ours tells while it boots and works, for each of the last three boots of a node ("ferrite node logs"); of a longer log the middle is dropped. 0: ramdisks are not asked to tell.',
  }),

  log_archive_days: integer({
    default: 90,
    min: 0,
    mutable: true,
    effective: true,
    help: "Days after which archives of ramdisks' logs are deleted from [agent] deploy_logs_local_path, when another one comes; 0: never.",
  }),
  log_archive_megabytes: integer({
    default: 2000,
    min: 0,
    mutable: true,
    effective: true,
    help: "Megabytes that archives of ramdisks' logs may take in [agent] deploy_logs_local_path; the oldest make room, the newest always stays. 0: no limit.",
  }),

  webhook_url: url({
    default: null,
    secret: true,
    mutable: true,
    effective: true,
    help: 'Events are posted to this URL as they happen (docs/events.md). Unset: nowhere.',
  }),
  webhook_header: string({
    default: 'Authorization',
    matches: /^[A-Za-z0-9-]+$/,
    expected: 'the name of an HTTP header',
    mutable: true,
    effective: true,
    help: 'Header that [ferrite] webhook_secret is sent in.',
  }),
  webhook_secret: string({
    default: null,
    secret: true,
    mutable: true,
    effective: true,
    help: 'What proves to the receiver of events that they come from here, such as "Bearer TOKEN".',
  }),
  webhook_types: list({
    default: ['state', 'step', 'power', 'boot'],
    choices: ['state', 'step', 'power', 'boot', 'other'],
    mutable: true,
    effective: true,
    help: 'Types of events that are posted.',
  }),
  webhook_format: choice({
    default: 'ferrite',
    choices: ['ferrite', 'ironic'],
    mutable: true,
    effective: true,
    help: "ferrite: a list of events as the API has them. ironic: each change of state and of power in the form of Ironic's notifications.",
  }),

  manage_dnsmasq: boolean({
    default: false,
    effective: true,
    help: 'Run dnsmasq for DHCP and TFTP on dhcp_interface. Needs root.',
  }),
  dhcp_interface: string({
    default: null,
    effective: true,
    help: 'Network interface it serves. Needed with manage_dnsmasq.',
  }),
  dhcp_range: string({
    default: null,
    effective: true,
    matches: /^[0-9a-f.:]+,([0-9a-f.:]+(,[0-9a-f.:/]+)?(,(\d+[mhdw]?|infinite))?|proxy(,[0-9.]+)?)$/i,
    expected:
      'FIRST,LAST or FIRST,LAST,NETMASK or FIRST,LAST,LEASE, such as 192.0.2.100,192.0.2.200,1h, or NETWORK,proxy',
    help: 'Addresses it hands out, in the notation of dnsmasq: IPv4, or IPv6 (FIRST,LAST,64). NETWORK,proxy, such as 192.0.2.0,proxy: another DHCP server hands out addresses, and this one only says what to boot. Needed with manage_dnsmasq.',
  }),
  dhcp_gateway: string({ default: null, effective: true, help: 'Gateway it announces. Unset: none.' }),
  dhcp_dns_servers: list({ default: [], effective: true, help: 'Name servers it announces.' }),
  dhcp_ignore_unknown: boolean({
    default: true,
    effective: true,
    help: 'Answer only MAC addresses of enrolled ports. false: answer everybody, which discovery needs.',
  }),
  dnsmasq_binary: path({ default: 'dnsmasq', effective: true, help: 'The program to run.' }),

  metrics: boolean({
    default: false,
    effective: true,
    help: "Answer GET /metrics at the API's port, in the text format of Prometheus, to everybody who reaches it.",
  }),
  keep_events_days: integer({
    default: 90,
    min: 0,
    mutable: true,
    effective: true,
    help: 'Days after which events, and work on nodes that has ended, are forgotten. 0: never.',
  }),
  poll_interval_ms: integer({
    default: 2000,
    min: 50,
    mutable: true,
    effective: true,
    help: 'Milliseconds between two looks at a running command of an agent.',
  }),
  boot_stall_timeout: integer({
    default: 300,
    min: 0,
    mutable: true,
    effective: true,
    help: 'Seconds without a further hop of a network boot that has begun, after which the machine is booted again. 0: never.',
  }),
  boot_attempts: integer({
    default: 3,
    min: 1,
    mutable: true,
    effective: true,
    help: 'How often a machine is powered on, at most, until its ramdisk calls.',
  }),
  agent_lost_timeout: integer({
    default: 60,
    min: 1,
    mutable: true,
    effective: true,
    help: 'Seconds that an agent may be out of reach while its command runs, before its machine counts as crashed.',
  }),
}
