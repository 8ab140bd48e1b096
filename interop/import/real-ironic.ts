/**
 * A real Ironic on the loopback for moves: API and conductor of Debian's packages with a database of their own. Its
 * machines are those of `fake-hardware` and of a redfish whose BMCs are not there: nothing may want to reach them.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '#lab/service-process.ts'
import { run } from '#lib/run.ts'
import { debianIronic, shareable } from '../agent/editions.ts'
import { iniText } from '../agent/ini.ts'
import type { Place } from '../deploy/place.ts'

export interface RealIronic {
  readonly endpoint: string
  /** SQLite file of its database. */
  readonly database: string
}

/** Starts one; it ends with the place. @param name of its folder and its logs */
export async function startRealIronic(place: Place, name: string): Promise<RealIronic> {
  const edition = await debianIronic()
  const state = await place.folder(name)
  const at = (file: string) => join(state, file)
  const [api = 0, rpc = 0] = await freePorts(2)
  const config = at('ironic.conf')
  await writeFile(
    config,
    iniText({
      DEFAULT: {
        auth_strategy: 'noauth',
        rpc_transport: 'json-rpc',
        my_ip: place.address,
        host: place.address,
        state_path: state,
        tempdir: state,
        use_stderr: true,
        debug: false,
        enabled_hardware_types: 'fake-hardware,redfish',
        enabled_boot_interfaces: 'fake,ipxe',
        enabled_deploy_interfaces: 'fake,direct',
        enabled_inspect_interfaces: 'fake,no-inspect,redfish',
        enabled_management_interfaces: 'fake,redfish',
        enabled_power_interfaces: 'fake,redfish',
        enabled_network_interfaces: 'noop',
        enabled_bios_interfaces: 'fake,no-bios,redfish',
        enabled_raid_interfaces: 'fake,no-raid',
        enabled_vendor_interfaces: 'fake,no-vendor',
        enabled_console_interfaces: 'fake,no-console',
        enabled_rescue_interfaces: 'fake,no-rescue',
        enabled_storage_interfaces: 'fake,noop',
        default_inspect_interface: 'no-inspect',
      },
      api: { host_ip: place.address, port: api, api_workers: 1 },
      json_rpc: { auth_strategy: 'noauth', host_ip: place.address, port: rpc },
      database: { connection: `sqlite:///${at('ironic.db')}`, sqlite_synchronous: false },
      dhcp: { dhcp_provider: 'none' },
      pxe: {
        tftp_root: at('tftp'),
        tftp_master_path: at('master'),
        images_path: at('images'),
        instance_master_path: at('masters'),
      },
      deploy: { http_root: at('http') },
      conductor: { automated_clean: false, sync_power_state_interval: 0, workers_pool_size: 50 },
      agent: { certificates_path: at('certificates') },
      service_catalog: { auth_type: 'none', endpoint_override: `http://${place.address}:${api}` },
      oslo_concurrency: { lock_path: at('locks') },
    }),
  )
  await Promise.all(['tftp', 'master', 'images', 'masters', 'http'].map(part => place.folder(join(name, part))))
  const [dbsync, ...first] = edition.program('dbsync')
  await run(dbsync, [...first, '--config-file', config, 'create_schema'])
  shareable(at('ironic.db'))
  for (const [program, port] of [['conductor', rpc] as const, ['api', api] as const]) {
    const [command, ...args] = edition.program(program)
    await place.server({ name: `${name}-${program}`, command, args: [...args, '--config-file', config], port })
  }
  return { endpoint: `http://${place.address}:${api}`, database: at('ironic.db') }
}
