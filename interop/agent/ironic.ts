/**
 * A stock Ironic (Debian: ironic, its conductor and API, with ironic-inspector for inspection in band) in a lab: the
 * programs as they are packaged, with configurations of their own, SQLite, no authentication, and the servers around
 * them that an operator would set up: dnsmasq for DHCP and TFTP, nginx for iPXE and images. Nothing of the system's
 * own Ironic is read, and nothing of ours answers the machine.
 */
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { Api } from '#cli/client.ts'
import type { LabState } from '#lab/state.ts'
import { run } from '#lib/run.ts'
import { startNginx } from '../deploy/nginx.ts'
import type { Place } from '../deploy/place.ts'
import { type Ini, iniText } from './ini.ts'

/** Only programs and libraries: the packages of the services would set them up and start them. */
export const forIronic = [
  'python3-ironic',
  'python3-ironic-inspector',
  'python3-sushy',
  'genisoimage',
  'nginx',
  'dnsmasq-base',
  'ipxe',
] as const

export interface StockIronic {
  /** Our own client of its API. */
  readonly api: Api
  /** As Debian names it. */
  readonly version: string
  /** Where images are served from, as the machine reaches them; files are put into `imageFolder`. */
  readonly imagesUrl: string
  readonly imageFolder: string
  /** Of conductor, API and inspector, for a failure. */
  lastLines(): Promise<string>
}

const ports = { api: 6385, rpc: 8089, web: 8180, inspector: 5050, dns: 53 }
const python = '/usr/bin/python3'
/** Authorities that an environment names would take the place of those of a BMC. */
const env = { REQUESTS_CA_BUNDLE: '', CURL_CA_BUNDLE: '' }
/** The programs as the packages of the services have them, which do nothing else. */
const command = (module: string, program: string) =>
  `import sys; sys.argv[0] = "${program}"; from ${module} import main; sys.exit(main())`

export interface IronicOptions {
  readonly network: LabState['network']
  /** That machines boot to be worked on. */
  readonly ramdisk: { readonly kernel: string; readonly initramfs: string }
}

/** Starts all of it; it ends with the place. */
export async function startIronic(place: Place, { network, ramdisk }: IronicOptions): Promise<StockIronic> {
  const [state, http, tftp] = await Promise.all(['ironic', 'http', 'tftp'].map(name => place.folder(name)))
  if (state === undefined || http === undefined || tftp === undefined) throw new Error('no folders')
  await Promise.all([
    copyFile('/usr/lib/ipxe/snponly.efi', join(tftp, 'snponly.efi')),
    copyFile('/usr/lib/ipxe/undionly.kpxe', join(tftp, 'undionly.kpxe')),
    copyFile(ramdisk.kernel, join(http, 'agent.kernel')),
    copyFile(ramdisk.initramfs, join(http, 'agent.initramfs')),
  ])
  const web = await startNginx(place, { root: http, port: ports.web })
  await startDnsmasq(place, { network, tftp, script: `${web.url}/boot.ipxe` })

  const config = join(state, 'ironic.conf')
  await writeFile(config, iniText(ironicOptions(place.address, { state, http, tftp, webUrl: web.url })))
  const inspectorConfig = join(state, 'inspector.conf')
  await writeFile(inspectorConfig, iniText(inspectorOptions(place.address, state)))
  await Promise.all([
    ironic('dbsync', ['--config-file', config, 'create_schema']),
    run(python, [
      ...['-c', command('ironic_inspector.cmd.dbsync', 'ironic-inspector-dbsync')],
      ...['--config-file', inspectorConfig, 'upgrade'],
    ]),
  ])
  // API and conductor are two processes that write to one file.
  for (const name of ['ironic.db', 'inspector.db']) {
    using tables = new DatabaseSync(join(state, name))
    tables.exec('PRAGMA journal_mode = WAL')
  }
  const serve = (name: string, module: string, port: number, file: string) =>
    place.server({ name, command: python, args: ['-c', command(module, name), '--config-file', file], env, port })
  await serve('ironic-conductor', 'ironic.cmd.conductor', ports.rpc, config)
  await serve('ironic-api', 'ironic.cmd.api', ports.api, config)
  await serve('ironic-inspector', 'ironic_inspector.cmd.all', ports.inspector, inspectorConfig)

  const logs = await place.folder('logs')
  return {
    api: clientOf(await place.reach(`http://${place.address}:${ports.api}`)),
    version: (await run('dpkg-query', ['-W', '-f', `$\{Version}`, 'python3-ironic'])).stdout,
    imagesUrl: web.url,
    imageFolder: http,
    async lastLines() {
      const texts = ['ironic-conductor', 'ironic-inspector'].map(async name => {
        return `${name}:\n${(await run('tail', ['-n', '60', join(logs, `${name}.log`)])).stdout}`
      })
      return (await Promise.all(texts)).join('\n')
    },
  }
}

async function ironic(program: string, args: readonly string[]): Promise<void> {
  await run(python, ['-c', command(`ironic.cmd.${program}`, `ironic-${program}`), ...args])
}

function ironicOptions(
  address: string,
  { state, http, tftp, webUrl }: { state: string; http: string; tftp: string; webUrl: string },
): Ini {
  const at = (name: string) => join(state, name)
  return {
    DEFAULT: {
      auth_strategy: 'noauth',
      rpc_transport: 'json-rpc',
      my_ip: address,
      host: address,
      state_path: state,
      tempdir: state,
      use_stderr: true,
      debug: true,
      enabled_hardware_types: 'redfish',
      enabled_boot_interfaces: 'ipxe',
      enabled_deploy_interfaces: 'direct',
      enabled_inspect_interfaces: 'inspector',
      enabled_management_interfaces: 'redfish',
      enabled_power_interfaces: 'redfish',
      enabled_network_interfaces: 'noop',
      enabled_bios_interfaces: 'no-bios',
      enabled_raid_interfaces: 'no-raid,agent',
      enabled_vendor_interfaces: 'no-vendor',
      enabled_console_interfaces: 'no-console',
      enabled_rescue_interfaces: 'no-rescue,agent',
      enabled_storage_interfaces: 'noop',
    },
    api: { host_ip: address, port: ports.api, api_workers: 1 },
    json_rpc: { auth_strategy: 'noauth', host_ip: address, port: ports.rpc },
    database: { connection: `sqlite:///${at('ironic.db')}`, sqlite_synchronous: false },
    dhcp: { dhcp_provider: 'none' },
    deploy: {
      http_url: webUrl,
      http_root: http,
      default_boot_mode: 'uefi',
      erase_devices_priority: 0,
      erase_devices_metadata_priority: 10,
    },
    pxe: {
      tftp_server: address,
      tftp_root: tftp,
      tftp_master_path: at('master'),
      images_path: at('images'),
      instance_master_path: at('master-images'),
      kernel_append_params: 'nofb vga=normal console=tty0 console=ttyS0,115200',
    },
    conductor: {
      deploy_kernel: `${webUrl}/agent.kernel`,
      deploy_ramdisk: `${webUrl}/agent.initramfs`,
      automated_clean: true,
      sync_power_state_interval: 60,
    },
    agent: { certificates_path: at('certificates'), deploy_logs_collect: 'never' },
    service_catalog: { auth_type: 'none', endpoint_override: `http://${address}:${ports.api}` },
    inspector: {
      auth_type: 'none',
      endpoint_override: `http://${address}:${ports.inspector}`,
      require_managed_boot: true,
    },
    oslo_concurrency: { lock_path: at('locks') },
  }
}

function inspectorOptions(address: string, state: string): Ini {
  return {
    DEFAULT: {
      auth_strategy: 'noauth',
      listen_address: address,
      listen_port: ports.inspector,
      transport_url: 'fake://',
      standalone: true,
      use_stderr: true,
      debug: true,
      can_manage_boot: false,
    },
    database: { connection: `sqlite:///${join(state, 'inspector.db')}`, sqlite_synchronous: false },
    ironic: { auth_type: 'none', endpoint_override: `http://${address}:${ports.api}` },
    pxe_filter: { driver: 'noop' },
    processing: { store_data: 'database', power_off: false },
    oslo_concurrency: { lock_path: join(state, 'inspector-locks') },
  }
}

/** DHCP, and TFTP for firmware that does not speak iPXE by itself. */
async function startDnsmasq(
  place: Place,
  { network, tftp, script }: { network: LabState['network']; tftp: string; script: string },
): Promise<void> {
  const directory = await place.folder('dnsmasq')
  const file = join(directory, 'dnsmasq.conf')
  const lines = [
    'keep-in-foreground',
    'log-facility=-',
    'log-dhcp',
    'no-resolv',
    'no-hosts',
    `interface=${network.bridge}`,
    'except-interface=lo',
    'bind-interfaces',
    'user=root',
    `pid-file=${join(directory, 'pid')}`,
    `dhcp-leasefile=${join(directory, 'leases')}`,
    `dhcp-range=${network.dhcp_first},${network.dhcp_last},${network.netmask},10m`,
    'dhcp-match=set:ipxe,175',
    'dhcp-match=set:efi,option:client-arch,7',
    'dhcp-match=set:efi,option:client-arch,9',
    'enable-tftp',
    `tftp-root=${tftp}`,
    `dhcp-boot=tag:ipxe,${script}`,
    'dhcp-boot=tag:!ipxe,tag:efi,snponly.efi',
    'dhcp-boot=tag:!ipxe,tag:!efi,undionly.kpxe',
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  await place.server({ name: 'dnsmasq', command: '/usr/sbin/dnsmasq', args: [`--conf-file=${file}`], port: ports.dns })
}

function clientOf(endpoint: string): Api {
  return new Api({
    endpoint,
    version: 'latest',
    headers: {},
    tls: {},
    timeoutMs: 60_000,
    maxRetries: 10,
    retryIntervalMs: 2000,
    sleep: ms => sleep(ms),
    notice() {},
  })
}
