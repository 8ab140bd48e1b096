/**
 * Debian's signed and unsigned loaders, out of packages that are downloaded and unpacked, never installed. GRUB is that of
 * Debian 13 everywhere: the signed one of Debian 12 speaks no HTTP.
 */
import { globSync } from 'node:fs'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { run } from '#lib/run.ts'
import { PackageCache } from '#ramdisk/packages.ts'

const files: readonly (readonly [name: string, from: string, path: string])[] = [
  ['bootx64.efi', 'shim-signed', 'usr/lib/shim/shimx64.efi.signed'],
  ['pxelinux.0', 'pxelinux', 'usr/lib/PXELINUX/pxelinux.0'],
  ['ldlinux.c32', 'syslinux-common', 'usr/lib/syslinux/modules/bios/ldlinux.c32'],
]

const cacheDirectory = resolve('var/build/cache/boot-loaders')

/** Puts them into the directory. @returns the value of [pxe] loader_file_paths */
export async function debianLoaders(directory: string): Promise<string> {
  const cache = new PackageCache(cacheDirectory, 'amd64')
  const packages = files.map(([, from]) => from)
  const unpacked = await cache.unpack(packages, await cache.resolve(packages, { refresh: false }))
  await mkdir(directory, { recursive: true })
  const places = new Map(files.map(([name, from, path]) => [name, join(unpacked.get(from) ?? '', path)]))
  places.set('grubx64.efi', join(await grubOfDebian13(cache), 'usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed'))
  const pairs: string[] = []
  for (const [name, place] of places) {
    await copyFile(place, join(directory, name))
    pairs.push(`${name}:${join(directory, name)}`)
  }
  return pairs.join(',')
}

/** @returns the directory of the unpacked package */
async function grubOfDebian13(cache: PackageCache): Promise<string> {
  const top = join(cacheDirectory, 'debian-13')
  const unpacked = join(top, 'unpacked')
  await mkdir(join(top, 'lists/partial'), { recursive: true })
  await mkdir(join(top, 'cache'), { recursive: true })
  const [own] = await cache.debianSources({ refresh: false })
  const signedBy = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
  await writeFile(join(top, 'sources.list'), `deb ${signedBy} ${own?.uri} trixie main\n`)
  await writeFile(join(top, 'status'), '')
  const set = {
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Dir::Cache': join(top, 'cache'),
    'Dir::Etc::sourcelist': join(top, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(top, 'lists'),
    'Dir::State::status': join(top, 'status'),
  }
  const options = Object.entries(set).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const found = () => globSync('grub-efi-amd64-signed_*.deb', { cwd: top })[0]
  if (found() === undefined) {
    await run('apt-get', [...options, 'update'], { cwd: top })
    await run('apt-get', [...options, 'download', 'grub-efi-amd64-signed'], { cwd: top })
  }
  await run('dpkg', ['-x', join(top, found() ?? ''), unpacked])
  return unpacked
}
