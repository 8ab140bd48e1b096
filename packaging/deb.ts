/**
 * `npm run package:deb`: the Debian package, made by dpkg-deb from this checkout: the sources as they run, the packages
 * that running needs (Node.js among them), the built web console, unit, configuration, documents.
 */
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative, resolve } from 'node:path'
import { run } from '../src/lib/run.ts'

const root = resolve(import.meta.dirname, '..')
const output = join(root, 'var/build/packages')

/** @returns the package's path */
export async function buildDeb(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string } // our own
  const { stdout: architecture } = await run('dpkg', ['--print-architecture'])
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-deb-'))
  try {
    const home = join(folder, 'usr/lib/ferrite')
    await mkdir(home, { recursive: true })
    const isOfTests = (path: string) => /\.test\.ts$|\/(fuzz|transcripts)(\/|$)/.test(path)
    await cp(join(root, 'src'), join(home, 'src'), { recursive: true, filter: path => !isOfTests(path) })
    // Its built files are taken instead.
    await rm(join(home, 'src/console'), { recursive: true, force: true })
    for (const name of ['package.json', 'LICENSE']) {
      if (await exists(join(root, name))) await copyFile(join(root, name), join(home, name))
    }
    for (const path of await neededPackages()) {
      await cp(path, join(home, relative(root, path)), { recursive: true })
    }
    const console_ = join(root, 'var/build/console')
    if (await exists(console_)) await cp(console_, join(home, 'var/build/console'), { recursive: true })
    await cp(join(root, 'docs'), join(folder, 'usr/share/doc/ferrite'), { recursive: true })
    await place(folder, 'ferrite.sh', 'usr/bin/ferrite', 0o755)
    await place(folder, 'ferrite.service', 'lib/systemd/system/ferrite.service', 0o644)
    await place(folder, 'ferrite.conf', 'etc/ferrite/ferrite.conf', 0o640)
    for (const script of ['postinst', 'prerm', 'postrm']) await place(folder, script, `DEBIAN/${script}`, 0o755)
    await writeFile(join(folder, 'DEBIAN/conffiles'), '/etc/ferrite/ferrite.conf\n')
    await writeFile(join(folder, 'DEBIAN/control'), control(version, architecture.trim()))
    await run('chmod', ['-R', 'u+rwX,go+rX,go-w', join(folder, 'usr'), join(folder, 'lib')])
    await mkdir(output, { recursive: true })
    const file = join(output, `ferrite_${version}_${architecture.trim()}.deb`)
    await run('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z1', '--build', folder, file])
    return file
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Folders of the packages that running needs, as npm tells them. */
async function neededPackages(): Promise<string[]> {
  const { stdout } = await run('npm', ['ls', '--all', '--omit=dev', '--parseable'], { cwd: root })
  const paths = stdout.split('\n').filter(path => path.includes('/node_modules/'))
  // One inside another comes with it.
  return paths.filter(path => !paths.some(other => other !== path && path.startsWith(`${other}/`)))
}

function control(version: string, architecture: string): string {
  const fields = {
    Package: 'ferrite',
    Version: version,
    Architecture: architecture,
    Maintainer: 'The Ferrite authors <ferrite@localhost>',
    Section: 'admin',
    Priority: 'optional',
    Depends: 'adduser, libc6, libstdc++6, libatomic1, tar',
    Recommends: 'qemu-utils, dnsmasq-base, ipxe, mtools, xorriso, isolinux, syslinux-common, ca-certificates',
    Suggests: 'postgresql-client, ipmitool, grub-common, grub-efi-amd64-bin',
    Description: 'bare-metal provisioning with the API of OpenStack Ironic',
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`)
  return `${lines.join('\n')}\n Takes machines from racked with a BMC to running the wanted operating system.\n`
}

async function place(folder: string, from: string, to: string, mode: number): Promise<void> {
  const target = join(folder, to)
  await mkdir(resolve(target, '..'), { recursive: true })
  await copyFile(join(root, 'packaging', from), target)
  await chmod(target, mode)
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}

if (import.meta.main) console.log(`Wrote ${basename(await buildDeb())} to ${relative(process.cwd(), output) || '.'}`)
