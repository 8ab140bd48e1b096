/**
 * Fills the EFI system partition of a partition image with what the image itself brings for it, by copying alone: nothing
 * of the image is run. Either its files of `/boot/efi` (or wherever it keeps them), or systemd-boot with its kernels.
 *
 * Source: openstack/ironic-python-agent `extensions/image.py` (`/boot/efi`, `grub.cfg`); The Boot Loader Specification
 * (UAPI.1) and bootctl(1) for systemd-boot.
 */
import { copyFile, mkdir, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { copyTree, filesBelow, inside, namesIn, textOf } from './image-tree.ts'
import { findLoaders } from './loaders.ts'

/** Where systems mount the EFI system partition; the last holds kernels too. */
const places = ['boot/efi', 'efi', 'boot']

/**
 * Copies what the image has.
 * @param root the mounted root file system of the image
 * @param esp the mounted, empty partition
 * @returns where the image expects the partition to be mounted, or null when it brings nothing that could be copied
 */
export async function fillEsp(
  { root, esp }: { root: string; esp: string },
  { rootUuid, arch }: { rootUuid: string; arch: EfiArch },
): Promise<string | null> {
  for (const place of places) {
    const efi = await inside(root, join(place, 'EFI'))
    if (efi === null || !(await stat(efi)).isDirectory()) continue
    if (!(await filesBelow(efi)).some(file => /\.efi$/i.test(file))) continue
    await copyTree(dirname(efi), esp)
    await addGrubFiles(root, esp)
    await addFallback(esp, arch)
    // A firmware updater alone, for one, starts no system.
    if ((await findLoaders(esp)).length > 0) return `/${place}`
  }
  return (await installSystemdBoot({ root, esp }, { rootUuid, arch })) ? '/boot/efi' : null
}

/** As the file names of loaders end. */
export type EfiArch = 'x64' | 'aa64' | 'riscv64'

/** @param arch as Node calls it */
export function efiArch(arch: string): EfiArch {
  return arch === 'arm64' ? 'aa64' : arch === 'riscv64' ? 'riscv64' : 'x64'
}

/** Systems whose GRUB reads its configuration on the partition it was started from keep it elsewhere in their image. */
async function addGrubFiles(root: string, esp: string): Promise<void> {
  for (const name of ['grub.cfg', 'grubenv']) {
    const source = await inside(root, join('boot/grub2', name))
    if (source === null || !(await stat(source)).isFile()) continue
    for (const vendor of await namesIn(esp, 'EFI')) {
      const target = join(esp, 'EFI', vendor, name)
      const isThere = await stat(target).catch(() => null)
      if (isThere === null && (await stat(dirname(target))).isDirectory()) await copyFile(source, target)
    }
  }
}

/** Firmware that forgot its list, or never had one, starts what has this one name. */
export async function addFallback(esp: string, arch: EfiArch): Promise<void> {
  const files = await filesBelow(esp)
  const find = (pattern: RegExp) => files.find(file => pattern.test(file))
  if (find(new RegExp(`^EFI/BOOT/BOOT${arch}\\.EFI$`, 'i'))) return
  const first = ['shim', 'grub', 'systemd-boot']
    .map(name => find(new RegExp(`/${name}${arch}\\.efi$`, 'i')))
    .find(file => file !== undefined)
  if (first === undefined) return
  const boot = join(esp, files.find(file => /^EFI\/BOOT\//i.test(file))?.slice(0, 'EFI/BOOT'.length) ?? 'EFI/BOOT')
  await mkdir(boot, { recursive: true })
  await copyFile(join(esp, first), join(boot, `BOOT${arch.toUpperCase()}.EFI`))
  // shim starts what lies beside it.
  const companion = files.find(
    file => dirname(file) === dirname(first) && new RegExp(`^grub${arch}\\.efi$`, 'i').test(basename(file)),
  )
  if (companion !== undefined && companion !== first)
    await copyFile(join(esp, companion), join(boot, basename(companion)))
}

/** systemd-boot reads kernels from the partition it was started from: they are copied there, newest first. */
async function installSystemdBoot(
  { root, esp }: { root: string; esp: string },
  { rootUuid, arch }: { rootUuid: string; arch: EfiArch },
): Promise<boolean> {
  const program = await inside(root, `usr/lib/systemd/boot/efi/systemd-boot${arch}.efi`)
  const kernels = await kernelsOf(root)
  if (program === null || kernels.length === 0) return false
  for (const target of [`EFI/systemd/systemd-boot${arch}.efi`, `EFI/BOOT/BOOT${arch.toUpperCase()}.EFI`]) {
    await mkdir(join(esp, dirname(target)), { recursive: true })
    await copyFile(program, join(esp, target))
  }
  const release = (await textOf(root, 'etc/os-release')) ?? (await textOf(root, 'usr/lib/os-release')) ?? ''
  const setting = (name: string) => new RegExp(`^${name}=["']?(.*?)["']?$`, 'm').exec(release)?.[1]
  const token = setting('ID')?.replace(/[^\w.-]/g, '') || 'linux'
  const given = (await textOf(root, 'etc/kernel/cmdline')) ?? ''
  const options = [`root=UUID=${rootUuid}`, ...given.split(/\s+/).filter(word => word !== '' && !/^root=/.test(word))]
  if (!options.some(word => word === 'ro' || word === 'rw')) options.push('ro')
  await mkdir(join(esp, 'loader/entries'), { recursive: true })
  await writeFile(join(esp, 'loader/loader.conf'), `timeout 3\ndefault ${token}-*\n`)
  for (const { version, kernel, initrd } of kernels) {
    const folder = join(token, version)
    await mkdir(join(esp, folder), { recursive: true })
    await copyFile(kernel, join(esp, folder, 'linux'))
    if (initrd !== null) await copyFile(initrd, join(esp, folder, 'initrd'))
    const entry = [
      `title ${setting('PRETTY_NAME') ?? token}`,
      `version ${version}`,
      `options ${options.join(' ')}`,
      `linux /${folder}/linux`,
      ...(initrd === null ? [] : [`initrd /${folder}/initrd`]),
    ]
    await writeFile(join(esp, 'loader/entries', `${token}-${version}.conf`), `${entry.join('\n')}\n`)
  }
  return true
}

interface Kernel {
  version: string
  /** Paths in the mounted image. */
  kernel: string
  initrd: string | null
}

/** Those of /boot as Debian and Fedora name them. */
async function kernelsOf(root: string): Promise<Kernel[]> {
  const found: Kernel[] = []
  for (const name of await namesIn(root, 'boot')) {
    const version = /^vmlinu[xz]-([\w.+~-]+)$/.exec(name)?.[1]
    const kernel = version === undefined ? null : await inside(root, join('boot', name))
    if (version === undefined || kernel === null) continue
    const initrds = [`initrd.img-${version}`, `initramfs-${version}.img`, `initrd-${version}`]
    const real = await Promise.all(initrds.map(initrd => inside(root, join('boot', initrd))))
    found.push({ version, kernel, initrd: real.find(path => path !== null) ?? null })
  }
  return found
}
