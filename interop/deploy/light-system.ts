/**
 * A system that lives in memory and needs no disk, for deployments without one: the lab's kernel and a busybox that
 * shows a login prompt on the serial line, as kernel and initramfs, or as an ISO for UEFI machines.
 */
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { run } from '#lib/run.ts'
import { buildRamdisk } from '#ramdisk/build.ts'
import { type CpioEntry, writeCpio } from '#ramdisk/cpio.ts'
import { PackageCache } from '#ramdisk/packages.ts'

/** Debian packages that both forms are made with. */
export const forLightSystem = ['dosfstools', 'mtools', 'xorriso', 'grub-common', 'grub-efi-amd64-bin']

/** The kernel's word that names the system. */
export const hostnameWord = (name: string) => `ferrite.hostname=${name}`

/** Writes `kernel` and `ramdisk` into the directory. */
export async function makeLightSystem(directory: string): Promise<{ kernel: string; ramdisk: string }> {
  const ramdisk = join(directory, 'ramdisk')
  const kernel = join(directory, 'kernel')
  await mkdir(directory, { recursive: true })
  await copyFile((await buildRamdisk({ log: line => console.log(line) })).kernel, kernel)
  const folders = ['bin', 'dev', 'etc', 'proc', 'sys'].map(
    (path): CpioEntry => ({ kind: 'directory', path, mode: 0o755 }),
  )
  const entries: CpioEntry[] = [
    ...folders,
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: await staticBusybox() },
    { kind: 'file', path: 'etc/passwd', mode: 0o644, data: Buffer.from('root:*:0:0:root:/:/bin/sh\n') },
    { kind: 'file', path: 'init', mode: 0o755, data: Buffer.from(init) },
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  ]
  await pipeline(Readable.from(writeCpio(entries, 0)), createWriteStream(ramdisk))
  return { kernel, ramdisk }
}

/** Out of the package, for a host has the one with libraries or this one. */
async function staticBusybox(): Promise<Buffer> {
  const cache = new PackageCache(resolve('var/build/cache/light-system'), 'amd64')
  const name = 'busybox-static'
  const unpacked = await cache.unpack([name], await cache.resolve([name], { refresh: false }))
  const inPackage = (path: string) => readFile(join(unpacked.get(name) ?? '', path))
  // Where Debian 13 has it, and where 12 had it.
  return await inPackage('usr/bin/busybox').catch(() => inPackage('bin/busybox'))
}

const init = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
hostname "$(sed -n 's/.*ferrite\\.hostname=\\([^ ]*\\).*/\\1/p' /proc/cmdline)"
while :; do getty -L 115200 ttyS0 vt100; done
`

/** Writes an ISO with that system and its loader into the directory. @returns its path */
export async function makeLightIso(directory: string, hostname: string): Promise<string> {
  const { kernel, ramdisk } = await makeLightSystem(directory)
  const config = join(directory, 'grub.cfg')
  const parameters = `console=ttyS0,115200 ${hostnameWord(hostname)}`
  await writeFile(config, `linux (memdisk)/kernel ${parameters}\ninitrd (memdisk)/ramdisk\nboot\n`)
  const loader = join(directory, 'loader.efi')
  // Everything in one program: what the firmware has loaded needs nothing more of the disk that the ISO seems to be.
  await run('grub-mkstandalone', [
    ...['--format=x86_64-efi', `--output=${loader}`, '--install-modules=linux memdisk tar normal part_msdos part_gpt'],
    ...[`boot/grub/grub.cfg=${config}`, `kernel=${kernel}`, `ramdisk=${ramdisk}`],
  ])
  const tree = join(directory, 'tree')
  const esp = join(tree, 'efi.img')
  await mkdir(tree, { recursive: true })
  await run('mkfs.vfat', ['-C', esp, String(32 * 1024)])
  await run('mmd', ['-i', esp, '::/EFI', '::/EFI/BOOT'])
  await run('mcopy', ['-i', esp, loader, '::/EFI/BOOT/BOOTX64.EFI'])
  const iso = join(directory, 'light.iso')
  await run('xorriso', ['-as', 'mkisofs', '-quiet', '-V', 'LIGHT', '-o', iso, '-e', 'efi.img', '-no-emul-boot', tree])
  return iso
}
