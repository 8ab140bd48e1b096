/** The iSCSI target of Debian's package tgt, unpacked and not installed: one target with one volume, behind CHAP. */
import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { PackageCache } from '#ramdisk/packages.ts'
import type { DeployWorld } from './world.ts'

export interface IscsiTarget {
  iqn: string
  /** Address and port. */
  portal: string
  lun: number
  login: { username: string; password: string }
}

const iqn = 'iqn.2026-11.test.ferrite:volume'
const controlPort = '77'

/** Serves the file as a volume, to this initiator alone. */
export async function startTgt(
  world: DeployWorld,
  { file, initiator, password }: { file: string; initiator: string; password: string },
): Promise<IscsiTarget> {
  const { program, env } = await tgtPrograms()
  const port = 3260
  await world.server({
    name: 'tgtd',
    command: program('tgtd'),
    args: ['-f', '--iscsi', `portal=${world.address}:${port}`, '-C', controlPort],
    env,
    port,
  })
  const tgtadm = (...args: string[]) =>
    world.lab.lab.exec(program('tgtadm'), ['-C', controlPort, '--lld', 'iscsi', ...args], { env })
  const username = 'ferrite'
  await tgtadm('--op', 'new', '--mode', 'target', '--tid', '1', '-T', iqn)
  await tgtadm('--op', 'new', '--mode', 'logicalunit', '--tid', '1', '--lun', '1', '-b', file)
  await tgtadm('--op', 'new', '--mode', 'account', '--user', username, '--password', password)
  await tgtadm('--op', 'bind', '--mode', 'account', '--tid', '1', '--user', username)
  await tgtadm('--op', 'bind', '--mode', 'target', '--tid', '1', '-Q', initiator)
  return {
    iqn,
    portal: `${world.address}:${port}`,
    lun: 1,
    login: { username, password },
  }
}

async function tgtPrograms() {
  const cache = new PackageCache(resolve('var/build/cache/tgt'), 'amd64')
  const unpacked = [...(await cache.unpack(['tgt'], await cache.resolve(['tgt'], { refresh: false })))]
  const [, tgt = ''] = unpacked.find(([name]) => name === 'tgt') ?? []
  const folders = unpacked.flatMap(([, path]) => ['usr/lib', 'lib'].map(top => join(path, top, 'x86_64-linux-gnu')))
  // Of the libraries that every host has the host's own are meant: another C library would not fit its loader.
  const own = unpacked.filter(([name]) => /^lib(ibverbs|rdmacm|aio|nl)/.test(name)).map(([, path]) => path)
  const there = await Promise.all(
    folders
      .filter(path => own.some(top => path.startsWith(top)))
      .map(path =>
        access(path).then(
          () => [path],
          () => [],
        ),
      ),
  )
  return {
    program: (name: string) => join(tgt, 'usr/sbin', name),
    env: { LD_LIBRARY_PATH: there.flat().join(':') },
  }
}
