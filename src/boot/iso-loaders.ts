/**
 * Boot loaders for ISO images: isolinux for BIOS, and for UEFI the image of an EFI system partition, which an operator
 * names or which is made here out of Debian's GRUB, once per host: the signed one behind shim where it is installed, so
 * that it starts under secure boot, else one put together from GRUB's modules.
 */
import { createHash } from 'node:crypto'
import { access, copyFile, mkdir, mkdtemp, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '#config/options.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { InvalidInput } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { BootMode } from '#protocol/states.ts'
import type { BootIso } from './iso.ts'
import { type BootFile, checkBootFile, fetchBootFile } from './ramdisk-files.ts'

/** Files by which a loader finds the ISO that it came from: ours, and the one that Debian's signed GRUB looks for. */
export const isoMarker = 'boot/ferrite-iso'
export const signedIsoMarker = '.disk/info'

interface Firmware {
  /** GRUB's name of the platform. */
  platform: string
  /** What firmware looks for on a removable medium. Source: UEFI 2.10, 3.5.1.1 */
  fileName: string
  shim: string
  signedGrub: string
  grubName: string
}

/** By the words of properties/cpu_arch. */
const firmwares: Readonly<Record<string, Firmware>> = {
  x86_64: {
    platform: 'x86_64-efi',
    fileName: 'BOOTX64.EFI',
    shim: '/usr/lib/shim/shimx64.efi.signed',
    signedGrub: '/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed',
    grubName: 'grubx64.efi',
  },
  aarch64: {
    platform: 'arm64-efi',
    fileName: 'BOOTAA64.EFI',
    shim: '/usr/lib/shim/shimaa64.efi.signed',
    signedGrub: '/usr/lib/grub/arm64-efi-signed/gcdaa64.efi.signed',
    grubName: 'grubaa64.efi',
  },
}
const aliases: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64' }

const isolinuxPlaces = ['/usr/lib/ISOLINUX/isolinux.bin', '/usr/share/syslinux/isolinux.bin']
const libraryPlaces = [
  '/usr/lib/syslinux/modules/bios/ldlinux.c32',
  '/usr/lib/syslinux/ldlinux.c32',
  '/usr/share/syslinux/ldlinux.c32',
]

/**
 * The loaders that this host has for a node's ISO.
 * @param mode that the node will boot in; null where that is not known
 * @throws InvalidInput naming the packages, when there is none for this mode
 */
export async function isoLoaders(ctx: NodeContext, mode: BootMode | null): Promise<Pick<BootIso, 'bios' | 'efi'>> {
  const firmware = firmwareOf(ctx)
  const bios = firmware.platform === 'x86_64-efi' ? await biosLoader(ctx.config) : null
  const named = namedEfiImage(ctx)
  const efi = named ? await fetchBootFile(ctx, named) : await ownEfiImage(ctx.config, firmware)
  const lacking = (mode === 'bios' && !bios) || (mode === 'uefi' && !efi) || (!bios && !efi)
  if (!lacking) return { bios, efi }
  throw new InvalidInput(
    `Cannot build a boot ISO for node ${ctx.node.uuid} in boot mode ${mode ?? 'unknown'}: this host has no loader for it; ` +
      'expected isolinux and syslinux-common for BIOS, grub-common, grub-efi-amd64-bin and mtools for UEFI (names of ' +
      'Debian packages), or [conductor] bootloader',
  )
}

/**
 * The loaders that this host has of its own, for whatever machine.
 * @param arch as properties/cpu_arch has it
 * @throws InvalidInput when there are none
 */
export async function hostLoaders(config: Config, arch: string): Promise<Pick<BootIso, 'bios' | 'efi'>> {
  const firmware = firmwares[aliases[arch] ?? arch]
  if (!firmware) {
    throw new InvalidInput(`Cannot build a boot ISO for ${arch}; expected one of ${Object.keys(firmwares).join(', ')}`)
  }
  const bios = firmware.platform === 'x86_64-efi' ? await biosLoader(config) : null
  const efi = await ownEfiImage(config, firmware)
  if (bios || efi) return { bios, efi }
  throw new InvalidInput(
    `Cannot build a boot ISO for ${arch}: this host has no boot loaders; expected isolinux and syslinux-common, or ` +
      'grub-common, grub-efi-amd64-bin and mtools (names of Debian packages)',
  )
}

/** Checks what an operator named. @throws InvalidInput */
export async function checkIsoLoaders(ctx: NodeContext): Promise<void> {
  const named = namedEfiImage(ctx)
  if (named) await checkBootFile(ctx, named)
}

function firmwareOf({ node }: Pick<NodeContext, 'node'>): Firmware {
  const arch = String(node.properties.cpu_arch ?? 'x86_64')
  const firmware = firmwares[aliases[arch] ?? arch]
  if (firmware) return firmware
  throw new InvalidInput(
    `Cannot build a boot ISO for node ${node.uuid}: its cpu_arch is ${arch}; expected one of ${Object.keys(firmwares).join(', ')}`,
  )
}

/** What driver_info names, else the configuration for the architecture, else for all. */
function namedEfiImage({ node, config }: NodeContext): BootFile | null {
  const { conductor } = config
  const arch = String(node.properties.cpu_arch ?? '')
  const places: readonly [string, unknown][] = [
    ['driver_info/bootloader', node.driver_info.bootloader],
    [`[conductor] bootloader_by_arch (${arch})`, conductor.bootloader_by_arch[arch]],
    ['[conductor] bootloader', conductor.bootloader],
    ['[DEFAULT] esp_image', config.DEFAULT.esp_image],
  ]
  for (const [from, location] of places) if (typeof location === 'string' && location !== '') return { location, from }
  return null
}

async function biosLoader(config: Config): Promise<BootIso['bios']> {
  const { isolinux_bin, ldlinux_c32 } = config.DEFAULT
  const isolinux = await firstOf([isolinux_bin, ...isolinuxPlaces])
  const library = await firstOf(ldlinux_c32 === null ? libraryPlaces : [ldlinux_c32])
  return isolinux !== null && library !== null ? { isolinux, library } : null
}

/** Null where this host has no GRUB for it. */
async function ownEfiImage(config: Config, firmware: Firmware): Promise<string | null> {
  const signed = (await exists(firmware.shim)) && (await exists(firmware.signedGrub))
  const source = signed ? firmware.signedGrub : `/usr/lib/grub/${firmware.platform}/kernel.img`
  const found = await stat(source).catch(() => null)
  if (found === null) return null
  // Another GRUB makes another image.
  const key = createHash('sha256').update(`${source} ${found.size} ${found.mtimeMs}`).digest('hex').slice(0, 16)
  const path = join(config.pxe.tftp_master_path, `efiboot-${firmware.platform}-${key}.img`)
  if (!(await exists(path))) await makeEfiImage(path, firmware, { signed })
  return path
}

async function makeEfiImage(path: string, firmware: Firmware, { signed }: { signed: boolean }): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const work = await mkdtemp(join(dirname(path), '.efi-'))
  try {
    const loader = join(work, firmware.fileName)
    if (signed) await copyFile(firmware.shim, loader)
    else await makeGrub(work, loader, firmware.platform)
    const files = signed ? [loader, firmware.signedGrub] : [loader]
    const sizes = await Promise.all(files.map(async file => (await stat(file)).size))
    const image = join(work, 'efi.img')
    await writeFile(image, '')
    // FAT's own tables, and whole clusters for each file.
    await truncate(image, Math.ceil((sizes.reduce((a, b) => a + b, 0) * 1.03) / mebibyte + 1) * mebibyte)
    await run('mformat', ['-i', image, '-v', 'EFI', '::'])
    await run('mmd', ['-i', image, '::/EFI', '::/EFI/BOOT'])
    await run('mcopy', ['-i', image, loader, `::/EFI/BOOT/${firmware.fileName}`])
    if (signed) await run('mcopy', ['-i', image, firmware.signedGrub, `::/EFI/BOOT/${firmware.grubName}`])
    await rename(image, path)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

const mebibyte = 1024 * 1024
const grubModules = [
  'linux',
  'normal',
  'iso9660',
  'search',
  'search_fs_file',
  'configfile',
  'fat',
  'part_gpt',
  'part_msdos',
]

/** A GRUB that holds nothing but the way to the configuration on the ISO. */
async function makeGrub(work: string, loader: string, platform: string): Promise<void> {
  const config = join(work, 'grub.cfg')
  await writeFile(config, `search --no-floppy --file --set=root /${isoMarker}\nconfigfile /boot/grub/grub.cfg\n`)
  const modules = grubModules.join(' ')
  const bare = ['--locales=', '--fonts=', '--themes=', `--install-modules=${modules}`, `--modules=${modules}`]
  await run('grub-mkstandalone', ['-O', platform, '-o', loader, ...bare, `boot/grub/grub.cfg=${config}`])
}

async function firstOf(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) if (await exists(path)) return path
  return null
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
