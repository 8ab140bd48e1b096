/** For tests of boot interfaces: a node whose boot files go into directories of the test's own, and what its BMC is asked. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Port } from '#db/ports.ts'
import type { Volumes } from '#db/volumes.ts'
import direct from '#drivers/agent/direct.ts'
import type { ManagementInterface } from '#drivers/bmc-interfaces.ts'
import type { StorageInterface } from '#drivers/boot-interfaces.ts'
import type { DeployInterface } from '#drivers/driver.ts'
import noopStorage from '#drivers/generic/noop-storage.ts'
import { type TestContext, testContext } from '#drivers/test-context.ts'
import type { BootMode } from '#protocol/states.ts'

export const uuid = '11111111-2222-4333-8444-555555555555'
export const macs = ['52:54:00:AA:00:01', '52:54:00:aa:00:02']
export const [first, second] = ['52-54-00-aa-00-01', '52-54-00-aa-00-02']

export interface World extends AsyncDisposable {
  ctx: TestContext
  directory: string
  root: string
  tftp: string
  /** What management was asked for. */
  asked: unknown[]
  script(): Promise<string>
}

export async function world(
  given: {
    node?: object
    ports?: Partial<Port>[]
    conductor?: object
    pxe?: object
    mode?: BootMode
    built?: boolean
    deploy?: DeployInterface
    storage?: StorageInterface
    volumes?: Volumes
    management?: Partial<ManagementInterface>
    dhcp?: ReturnType<typeof externally>
  } = {},
): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'ferrite-ipxe-'))
  const root = join(directory, 'http')
  const built = join(directory, 'ramdisk')
  await mkdir(built)
  if (given.built !== false) {
    await writeFile(join(built, 'ferrite-agent.kernel'), 'a kernel')
    await writeFile(join(built, 'ferrite-agent.initramfs'), 'an initramfs')
  }
  const asked: unknown[] = []
  const management = {
    setBootDevice: async (_: unknown, device: string, options: object) => asked.push({ device, ...options }),
    getBootMode: async () => given.mode ?? 'uefi',
    setBootMode: async (_: unknown, mode: string) => asked.push({ mode }),
    ...given.management,
  } as unknown as ManagementInterface // what boot uses of it
  const ctx = await testContext({
    node: { uuid, ...given.node },
    ports: given.ports ?? macs.map(address => ({ address, pxe_enabled: true })),
    interfaces: { management, deploy: given.deploy ?? direct, storage: given.storage ?? noopStorage },
    ...(given.volumes && { volumes: given.volumes }),
    config: {
      DEFAULT: { state_path: directory },
      deploy: { http_root: root, http_url: 'http://192.0.2.1:8090' },
      pxe: {
        tftp_root: join(directory, 'tftp'),
        tftp_master_path: join(directory, 'masters'),
        ...given.dhcp?.pxe,
        ...given.pxe,
      },
      conductor: { file_url_allowed_paths: [join(directory, 'allowed')], ...given.conductor },
      ferrite: { ramdisk_dir: built },
      ...(given.dhcp && { dhcp: given.dhcp.dhcp, dnsmasq: given.dhcp.dnsmasq }),
    },
  })
  return {
    ctx,
    directory,
    root,
    tftp: join(directory, 'tftp'),
    asked,
    script: () => readFile(join(root, 'pxelinux.cfg', first), 'utf8'),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
}

/** Settings of a dnsmasq of the operator's, which watches these directories. */
export const externally = (optsdir: string, hostsdir: string) => ({
  dhcp: { dhcp_provider: 'dnsmasq' as const },
  dnsmasq: { dhcp_optsdir: optsdir, dhcp_hostsdir: hostsdir },
  pxe: { tftp_server: '10.88.0.1' },
})
