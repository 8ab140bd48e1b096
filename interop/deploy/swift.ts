/**
 * A real Swift (Debian: python3-swift) of one node: proxy, account, container and object server on plain directories, with
 * one replica, behind a Keystone. Nothing of the system's Swift is read or changed.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '#lib/run.ts'
import type { KeystoneAccess } from '../clients/keystone.ts'
import type { Place } from './place.ts'

export interface SwiftPorts {
  readonly proxy: number
  readonly account: number
  readonly container: number
  readonly object: number
}

const python = '/usr/bin/python3'
/** What the programs of the package `swift` do, which would bring its services along. */
const serve = (kind: string) =>
  `import sys; from swift.common.wsgi import run_wsgi; from swift.common import utils; utils.set_swift_dir(sys.argv[2]); sys.exit(run_wsgi(sys.argv[1], "${kind}-server"))`
/** Arguments: directory, address, then a kind and its port, as often as wanted. A ring of one device each. */
const ringBuilder = `
import sys, os
from swift.common.ring import RingBuilder
directory, address, *rest = sys.argv[1:]
for kind, port in zip(rest[::2], rest[1::2]):
    builder = RingBuilder(4, 1, 1)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": address, "port": int(port), "device": "d1"})
    builder.rebalance()
    builder.get_ring().save(os.path.join(directory, kind + ".ring.gz"))
`
const kinds = ['account', 'container', 'object'] as const

/** @returns URL of the proxy; an account is at `/v1/AUTH_<project>` */
export async function startSwift(place: Place, keystone: KeystoneAccess, ports: SwiftPorts): Promise<string> {
  const { address } = place
  const directory = await place.folder('swift')
  const devices = await place.folder('swift/devices')
  await place.folder('swift/devices/d1')
  await writeFile(
    join(directory, 'swift.conf'),
    '[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n[storage-policy:0]\nname = one\ndefault = yes\n',
  )
  const rings = kinds.flatMap(kind => [kind, String(ports[kind])])
  await run(python, ['-c', ringBuilder, directory, address, ...rings])
  const common = [`bind_ip = ${address}`, 'user = root', 'workers = 0', `swift_dir = ${directory}`]
  const storage = [`devices = ${devices}`, 'mount_check = false', 'fallocate_reserve = 0', 'disable_fallocate = true']
  const start = async (kind: keyof SwiftPorts, text: string) => {
    const conf = join(directory, `${kind}.conf`)
    await writeFile(conf, text)
    const args = ['-c', serve(kind), conf, directory]
    await place.server({ name: `swift-${kind}`, command: python, args, port: ports[kind] })
  }
  const storageConfiguration = (kind: (typeof kinds)[number]) => {
    const app = ['[pipeline:main]', `pipeline = ${kind}-server`, `[app:${kind}-server]`, `use = egg:swift#${kind}`]
    return ['[DEFAULT]', ...common, `bind_port = ${ports[kind]}`, ...storage, ...app, ''].join('\n')
  }
  await Promise.all([
    ...kinds.map(kind => start(kind, storageConfiguration(kind))),
    start('proxy', proxyConfiguration(common, { keystone, port: ports.proxy, cache: directory })),
  ])
  return `http://${address}:${ports.proxy}`
}

function proxyConfiguration(
  common: readonly string[],
  { keystone, port, cache }: { keystone: KeystoneAccess; port: number; cache: string },
): string {
  const filter = (name: string, ...lines: string[]) => [`[filter:${name}]`, `use = egg:swift#${name}`, ...lines]
  return [
    '[DEFAULT]',
    ...common,
    `bind_port = ${port}`,
    '[pipeline:main]',
    'pipeline = catch_errors gatekeeper healthcheck bulk tempurl authtoken keystoneauth copy dlo slo proxy-server',
    '[app:proxy-server]',
    'use = egg:swift#proxy',
    'account_autocreate = true',
    'allow_account_management = true',
    ...['catch_errors', 'gatekeeper', 'healthcheck', 'bulk', 'tempurl', 'copy', 'dlo', 'slo'].flatMap(name =>
      filter(name),
    ),
    ...filter('keystoneauth', 'operator_roles = admin, service', 'reseller_prefix = AUTH'),
    '[filter:authtoken]',
    'paste.filter_factory = keystonemiddleware.auth_token:filter_factory',
    `www_authenticate_uri = ${keystone.url}`,
    ...loginLines(keystone),
    'delay_auth_decision = true',
    `signing_dir = ${cache}`,
    '',
  ].join('\n')
}

/** [keystone_authtoken] for our one service user. The bootstrap of Keystone tells the catalog of a public endpoint only. */
export function loginLines(access: KeystoneAccess): string[] {
  const options = { ...loginOptionsOf(access), interface: 'public' }
  return Object.entries(options).map(([name, value]) => `${name} = ${value}`)
}

export function loginOptionsOf({ url, password }: KeystoneAccess): Record<string, string> {
  return {
    auth_type: 'password',
    auth_url: url,
    username: 'ferrite',
    password,
    user_domain_id: 'default',
    project_name: 'service',
    project_domain_id: 'default',
  }
}
