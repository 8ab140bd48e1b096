/**
 * Makes the Debian tree of the lab's disk image with mmdebstrap: packages of the machine's own Debian sources, our files
 * over them, needless services masked. Works as root, or as a user who may use user namespaces.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Fault } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { DebianSource } from '#ramdisk/packages.ts'

/** mmdebstrap needs a source of Debian packages, and this machine has none. */
export class NoDebianSource extends Fault {
  readonly status = 500
  readonly code = 'no-debian-source'
}

/**
 * Writes the tree as a tar archive to `tarFile`.
 * @param options.sources where apt on this machine finds Debian; the first one's suite is the one to install
 */
export async function makeRootfs(options: {
  sources: readonly DebianSource[]
  fsUuid: string
  tarFile: string
}): Promise<void> {
  const [first] = options.sources
  if (first === undefined) {
    throw new NoDebianSource('Cannot make a Debian tree: none of the sources in /etc/apt/sources.list* is Debian')
  }
  const scratch = await mkdtemp(join(tmpdir(), 'ferrite-rootfs-'))
  try {
    const list = join(scratch, 'sources.list')
    await writeFile(
      list,
      options.sources.map(({ uri, suite, components }) => `deb ${uri} ${suite} ${components}\n`).join(''),
    )
    const fstab = join(scratch, 'fstab')
    await writeFile(fstab, `UUID=${options.fsUuid} / ext4 defaults,noatime 0 1\n`)
    const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url))
    await run('mmdebstrap', [
      '--variant=apt',
      '--format=tar',
      `--include=${packages.join(',')}`,
      '--aptopt=APT::Install-Recommends "false"',
      ...dpkgExcludes.map(path => `--dpkgopt=path-exclude=${path}`),
      // Before the other packages, so that the initramfs is made once, and small.
      `--essential-hook=cp -r --preserve=mode ${quoted(folder('root'))}/. "$1"/`,
      `--customize-hook=cp ${quoted(fstab)} "$1/etc/fstab"`,
      `--customize-hook=sh ${quoted(folder('customize'))} "$1"`,
      '--quiet',
      first.suite,
      options.tarFile,
      list,
    ])
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

const packages = [
  'linux-image-amd64',
  'systemd',
  'systemd-sysv',
  'dbus',
  'udev',
  'initramfs-tools',
  'zstd',
  'openssh-server',
  'iproute2',
  'passwd',
  'login',
  'kmod',
  'ca-certificates',
]

/** Documentation, and drivers of what a server does not have: they would be half of the image. */
const dpkgExcludes = [
  '/usr/share/man/*',
  '/usr/share/locale/*',
  '/usr/share/doc/*',
  '/usr/share/info/*',
  '/usr/share/lintian/*',
  ...['sound', 'drivers/gpu', 'drivers/media', 'drivers/net/wireless', 'drivers/infiniband', 'drivers/iio'].map(
    inModules,
  ),
  ...['drivers/staging', 'drivers/comedi', 'drivers/isdn', 'drivers/bluetooth', 'net/bluetooth', 'net/wireless'].map(
    inModules,
  ),
  ...['net/mac80211', 'drivers/mtd', 'drivers/input/touchscreen', 'drivers/video', 'drivers/net/can'].map(inModules),
  ...['fs/ocfs2', 'fs/gfs2', 'fs/afs', 'fs/ceph', 'fs/ubifs', 'fs/f2fs', 'fs/smb', 'fs/nfsd', 'drivers/net/usb'].map(
    inModules,
  ),
]

function inModules(folder: string): string {
  return `/lib/modules/*/kernel/${folder}/*`
}

/** For the shell that runs hooks. */
function quoted(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`
}
