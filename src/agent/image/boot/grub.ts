/**
 * Runs a partition image's own GRUB installer inside the image. The one place where programs of an image run in the
 * ramdisk, with all of its rights: only where the operator has allowed it.
 *
 * Source: openstack/ironic-python-agent `extensions/image.py` (what is mounted, which programs); grub-install(8).
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../../errors.ts'
import { inside, namesIn, rewrite, textOf } from './image-tree.ts'

/** A guest's installer that hangs must not hold the machine for ever. */
const LIMIT_MS = 10 * 60_000

export type GrubTarget =
  /** One boot sector per disk. */
  | { kind: 'bios'; disks: readonly string[] }
  | { kind: 'power'; partition: string }
  /** `esp` is the partition's device. */
  | { kind: 'uefi'; esp: string }

/**
 * @param root where the image's root file system is mounted, writable
 * @throws AgentFault InvalidImage when the image brings no GRUB, CommandExecutionError when its installer fails
 */
export async function installGrub(root: string, target: GrubTarget, signal: AbortSignal): Promise<void> {
  const grub = await grubOf(root)
  if (grub === null) {
    throw new AgentFault(
      'InvalidImage',
      'Cannot make the disk bootable: the image has neither grub-install nor grub2-install, nor anything for an EFI system partition',
    )
  }
  for (const path of ['/dev', '/proc', '/sys', '/run']) {
    await mkdir(join(root, path), { recursive: true })
    await run('mount', ['--bind', path, join(root, path)])
  }
  if (target.kind === 'uefi') {
    await mkdir(join(root, 'boot/efi'), { recursive: true })
    await run('mount', [target.esp, join(root, 'boot/efi')])
  }
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])
  const inImage = async (program: string, args: readonly string[]) => {
    try {
      await run('chroot', [root, program, ...args], { env: imageEnvironment, signal: limit })
    } catch (error) {
      throw new AgentFault('CommandExecutionError', `The image's boot loader installer failed: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }
  const platforms = await namesIn(root, 'usr/lib/grub')
  for (const args of installerArguments(target, platforms)) await inImage(`${grub}-install`, args)
  await inImage(`${grub}-mkconfig`, ['-o', `/boot/${grub}/grub.cfg`])
}

/** Images with dracut start only those arrays at boot that the kernel's command line names. */
export async function nameArray(root: string, uuid: string | null): Promise<void> {
  const hasDracut = await Promise.all(['usr/bin/dracut', 'usr/sbin/dracut'].map(path => inside(root, path)))
  const path = await inside(root, 'etc/default/grub')
  const text = await textOf(root, 'etc/default/grub')
  if (uuid === null || path === null || text === null || hasDracut.every(found => found === null)) return
  if (!text.includes(uuid)) await rewrite(path, withParameter(text, `rd.md.uuid=${uuid}`))
}

/** Adds a kernel parameter to the settings of grub-mkconfig. */
export function withParameter(settings: string, parameter: string): string {
  const line = /^GRUB_CMDLINE_LINUX=(["']?)(.*?)\1[ \t]*$/m
  const [found, , value = ''] = line.exec(settings) ?? []
  const set = `GRUB_CMDLINE_LINUX="${[value, parameter].filter(Boolean).join(' ')}"`
  return found === undefined ? `${settings.replace(/\n?$/, '\n')}${set}\n` : settings.replace(line, () => set)
}

/** `grub` or `grub2`, as the image's programs and folders are called; null without. */
export async function grubOf(root: string): Promise<'grub' | 'grub2' | null> {
  for (const name of ['grub2', 'grub'] as const) {
    for (const folder of ['usr/sbin', 'usr/bin', 'sbin']) {
      if ((await inside(root, `${folder}/${name}-install`)) !== null) return name
    }
  }
  return null
}

/**
 * The platform is named, where the image has it: the installer's own guess is that of the ramdisk's boot. The firmware's
 * list is not the image's to change; that is done afterwards, from here.
 */
export function installerArguments(target: GrubTarget, platforms: readonly string[]): string[][] {
  const platform = (...names: string[]) =>
    names
      .filter(name => platforms.includes(name))
      .map(name => `--target=${name}`)
      .slice(0, 1)
  switch (target.kind) {
    case 'bios':
      return target.disks.map(disk => [...platform('i386-pc'), disk])
    case 'power':
      return [[...platform('powerpc-ieee1275'), '--no-nvram', target.partition]]
    case 'uefi': {
      const efi = platform('x86_64-efi', 'arm64-efi', 'riscv64-efi')
      const common = [...efi, '--efi-directory=/boot/efi', '--no-nvram']
      // The second one under the name that firmware without a list looks for.
      return [common, [...common, '--removable']]
    }
  }
}

const imageEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  GRUB_DISABLE_OS_PROBER: 'true',
  GRUB_SAVEDEFAULT: 'true',
}
