/**
 * Builds a boot ISO out of a kernel, a ramdisk and their parameters, for BIOS (isolinux) and UEFI (an EFI system
 * partition with GRUB), without root, mounts or loop devices. It knows files, not nodes, and publishes nothing.
 *
 * Source: boot facts, "Virtual media and HTTPS boot" (ironic/common/images.py restated: labels, places of files);
 * El Torito 1.0; xorrisofs(1).
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Fault, messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { isoMarker, signedIsoMarker } from './iso-loaders.ts'

/** The tool that makes ISO images is missing, or failed. */
export class IsoNotBuilt extends Fault {
  readonly status = 500
  readonly code = 'iso-not-built'
}

export interface BootIso {
  /** Paths on this host. */
  kernel: string
  ramdisk: string
  /** The kernel's command line. */
  parameters: string
  /** Tells this ISO from others: the publisher's ID, by which a ramdisk knows its own medium. */
  publisher: string | null
  /** isolinux and its library; null: no boot in BIOS mode. */
  bios: { isolinux: string; library: string } | null
  /** Image of an EFI system partition whose loader reads a grub.cfg; null: no boot in UEFI mode. */
  efi: string | null
  /** Where that loader looks, besides boot/grub/grub.cfg. */
  grubConfigPath: string
  /** Further files: path in the ISO to content. What lies in openstack/ makes it a config drive as well. */
  files: Readonly<Record<string, string>>
}

/** Writes the ISO to `path`, which appears when it is whole. @throws IsoNotBuilt */
export async function buildBootIso(path: string, iso: BootIso): Promise<void> {
  const directory = dirname(path)
  await mkdir(directory, { recursive: true })
  const work = await mkdtemp(join(directory, '.iso-'))
  try {
    const tree = join(work, 'tree')
    for (const [name, content] of Object.entries(filesOf(iso))) {
      await mkdir(dirname(join(tree, name)), { recursive: true })
      await writeFile(join(tree, name), content)
    }
    const made = join(work, 'boot.iso')
    await run('xorriso', ['-as', 'mkisofs', ...argumentsOf(iso), '-o', made, '-graft-points', ...grafts(iso), tree])
    await rename(made, path)
  } catch (error) {
    throw new IsoNotBuilt(
      `Cannot build a boot ISO: ${messageOf(error)}; xorriso is needed (Debian: apt install xorriso)`,
      {
        cause: error,
      },
    )
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Small files, which are written here; kernel, ramdisk and loaders are read from where they are. */
function filesOf({ parameters, files, grubConfigPath, bios, efi }: BootIso): Record<string, string> {
  const grub = grubConfig(parameters)
  return {
    ...(bios ? { 'isolinux/isolinux.cfg': isolinuxConfig(parameters) } : {}),
    ...(efi ? { 'boot/grub/grub.cfg': grub, [grubConfigPath]: grub, [isoMarker]: '', [signedIsoMarker]: '' } : {}),
    ...files,
  }
}

function grafts({ kernel, ramdisk, bios, efi }: BootIso): string[] {
  const graft = (name: string, from: string) => `${name}=${from.replaceAll('\\', '\\\\').replaceAll('=', '\\=')}`
  return [
    graft('vmlinuz', kernel),
    graft('initrd', ramdisk),
    ...(bios ? [graft('isolinux/isolinux.bin', bios.isolinux), graft('isolinux/ldlinux.c32', bios.library)] : []),
    ...(efi ? [graft(efiImagePath, efi)] : []),
  ]
}

const efiImagePath = 'boot/grub/efiboot.img'

function argumentsOf({ publisher, bios, efi, files }: BootIso): string[] {
  const isConfigDrive = Object.keys(files).some(name => name.startsWith('openstack/'))
  const entry = ['-no-emul-boot', '-boot-load-size', '4', '-boot-info-table']
  return [
    ...['-quiet', '-r', '-J', '-l', '-V', isConfigDrive ? 'config-2' : 'VMEDIA_BOOT_ISO'],
    ...(publisher === null ? [] : ['-publisher', publisher]),
    ...(bios ? ['-b', 'isolinux/isolinux.bin', '-c', 'isolinux/boot.cat', ...entry] : []),
    ...(bios && efi ? ['-eltorito-alt-boot'] : []),
    ...(efi ? ['-e', efiImagePath, '-no-emul-boot'] : []),
  ]
}

function isolinuxConfig(parameters: string): string {
  const lines = ['DEFAULT boot', 'PROMPT 0', 'TIMEOUT 1', 'LABEL boot', '  KERNEL /vmlinuz', '  INITRD /initrd']
  return [...serialPort(parameters), ...lines, `  APPEND ${parameters}`, ''].join('\n')
}

/** The loader speaks where the kernel will; isolinux knows ports by their number. */
function serialPort(parameters: string): string[] {
  const [, port, speed = '115200'] = /\bconsole=ttyS([0-3])(?:,(\d+))?/.exec(parameters) ?? []
  return port === undefined ? [] : [`SERIAL ${port} ${speed}`]
}

function grubConfig(parameters: string): string {
  const words = (parameters.match(/(?:"[^"]*"|[^\s"])+/g) ?? []).map(grubWord)
  return ['set timeout=0', `linux /vmlinuz ${words.join(' ')}`, 'initrd /initrd', 'boot', ''].join('\n')
}

/** GRUB quotes words with blanks by itself, so quotes of ours go, and what its own language means is quoted. */
function grubWord(word: string): string {
  const plain = word.replaceAll('"', '')
  return /^[\w.,:=/@+%-]*$/.test(plain) ? plain : `'${plain.replaceAll("'", "'\\''")}'`
}
