/** Debian's signed and unsigned loaders, out of packages that are downloaded and unpacked, never installed. */
import { copyFile, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { PackageCache } from '#ramdisk/packages.ts'

const files: readonly (readonly [name: string, from: string, path: string])[] = [
  ['bootx64.efi', 'shim-signed', 'usr/lib/shim/shimx64.efi.signed'],
  ['grubx64.efi', 'grub-efi-amd64-signed', 'usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed'],
  ['pxelinux.0', 'pxelinux', 'usr/lib/PXELINUX/pxelinux.0'],
  ['ldlinux.c32', 'syslinux-common', 'usr/lib/syslinux/modules/bios/ldlinux.c32'],
]

/** Puts them into the directory. @returns the value of [pxe] loader_file_paths */
export async function debianLoaders(directory: string): Promise<string> {
  const cache = new PackageCache(resolve('var/build/cache/boot-loaders'), 'amd64')
  const packages = [...new Set(files.map(([, from]) => from))]
  const unpacked = await cache.unpack(packages, await cache.resolve(packages, { refresh: false }))
  await mkdir(directory, { recursive: true })
  const pairs: string[] = []
  for (const [name, from, path] of files) {
    await copyFile(join(unpacked.get(from) ?? '', path), join(directory, name))
    pairs.push(`${name}:${join(directory, name)}`)
  }
  return pairs.join(',')
}
