/**
 * A stock Ironic in a lab: API and conductor as they are published, with configurations of their own, SQLite, no
 * authentication, and the servers around them that an operator would set up: dnsmasq for DHCP and TFTP, nginx for iPXE and
 * images, ironic-inspector where the edition inspects by it. Nothing of the system's own Ironic is read, and nothing of
 * ours answers the machine.
 */
import { copyFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Api } from '#cli/client.ts'
import type { LabState } from '#lab/state.ts'
import { run } from '#lib/run.ts'
import { startNginx } from '../deploy/nginx.ts'
import type { Place } from '../deploy/place.ts'
import { env, type IronicEdition, shareable } from './editions.ts'
import { type Ini, iniText } from './ini.ts'
import { startInspector } from './inspector.ts'

export interface StockIronic {
  /** Our own client of its API. */
  readonly api: Api
  /** Where images are served from, as the machine reaches them; files are put into `imageFolder`. */
  readonly imagesUrl: string
  readonly imageFolder: string
  /** Of conductor, API and inspector, for a failure. */
  lastLines(): Promise<string>
}

const ports = { api: 6385, rpc: 8089, web: 8180, inspector: 5050, dns: 53 }

export interface IronicOptions {
  readonly network: LabState['network']
  /** That machines boot to be worked on. */
  readonly ramdisk: { readonly kernel: string; readonly initramfs: string }
  readonly edition: IronicEdition
}

/** Starts all of it; it ends with the place. */
export async function startIronic(place: Place, { network, ramdisk, edition }: IronicOptions): Promise<StockIronic> {
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
  const folders = { state, http, tftp, webUrl: web.url }
  await writeFile(config, iniText(ironicOptions(place.address, folders, edition)))
  const [dbsync, ...first] = edition.program('dbsync')
  await run(dbsync, [...first, '--config-file', config, 'create_schema'])
  shareable(join(state, 'ironic.db'))
  for (const [name, port] of [['conductor', ports.rpc] as const, ['api', ports.api] as const]) {
    const [command, ...args] = edition.program(name)
    await place.server({ name: `ironic-${name}`, command, args: [...args, '--config-file', config], env, port })
  }
  if (edition.inspect === 'inspector') await startInspector(place, { port: ports.inspector, ironicPort: ports.api })

  const logs = await place.folder('logs')
  return {
    api: clientOf(await place.reach(`http://${place.address}:${ports.api}`)),
    imagesUrl: web.url,
    imageFolder: http,
    async lastLines() {
      const files = (await readdir(logs)).filter(name => name.startsWith('ironic-'))
      const texts = files.map(async name => `${name}:\n${(await run('tail', ['-n', '60', join(logs, name)])).stdout}`)
      return (await Promise.all(texts)).join('\n')
    },
  }
}

function ironicOptions(
  address: string,
  { state, http, tftp, webUrl }: { state: string; http: string; tftp: string; webUrl: string },
  { inspect }: IronicEdition,
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
      enabled_inspect_interfaces: inspect,
      enabled_management_interfaces: 'redfish',
      enabled_power_interfaces: 'redfish',
      enabled_network_interfaces: 'noop',
      enabled_bios_interfaces: 'no-bios',
      enabled_firmware_interfaces: 'no-firmware',
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
