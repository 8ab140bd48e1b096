/**
 * A bootable container for deployments with bootc, and a program in it that stands in for bootc, which Debian 12 does not
 * have: it takes the arguments of `bootc install to-disk`, refuses others, and puts the files of its own container onto
 * the disk as that does: an EFI system partition with a loader, and a root file system that holds kernel and system.
 * Source: bootc-install-to-disk(8); Discoverable Partitions Specification (types of partitions)
 */
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { run } from '#lib/run.ts'
import { architectures } from '#ramdisk/contents.ts'
import { PackageCache } from '#ramdisk/packages.ts'
import { Tree } from '#ramdisk/tree.ts'
import { forLightSystem, hostnameWord, makeLightSystem } from './light-system.ts'

/** Debian packages of this host that it is made with. */
export const forBootableContainer = forLightSystem

export interface Layer {
  /** A tar.gz. */
  packed: Buffer
  /** Of the tar, as `sha256:…`. */
  diffId: string
}

const packages = ['busybox-static', 'dosfstools', 'e2fsprogs', 'fdisk', 'mount', 'util-linux']
const programs = ['busybox', 'mkfs.ext4', 'mkfs.fat', 'mount', 'sfdisk', 'umount', 'wipefs']
const applets = ['cat', 'cp', 'echo', 'ls', 'mkdir', 'rm', 'sh', 'sleep', 'sync', 'test']

/** Makes the one layer of such a container; the system in it calls itself `hostname`. */
export async function makeBootableContainer(directory: string, hostname: string): Promise<Layer> {
  const stage = join(directory, 'container')
  const cache = new PackageCache(resolve('var/build/cache/light-system'), 'amd64')
  const unpacked = await cache.unpack(packages, await cache.resolve(packages, { refresh: false }))
  const tree = new Tree(unpacked, architectures.amd64.libraryDirectories)
  for (const name of programs) tree.program(name)
  tree.pick('/etc/mke2fs.conf')
  for (const name of applets) if (!tree.has(`/usr/bin/${name}`)) tree.link(`/usr/bin/${name}`, 'busybox')
  for (const path of ['/dev', '/proc', '/sys', '/tmp', '/run', '/boot']) tree.directory(path)
  tree.data('/usr/bin/bootc', bootc, 0o755)
  await tree.writeTo(stage)
  const { kernel, ramdisk } = await makeLightSystem(join(directory, 'light'))
  await copyFile(kernel, join(stage, 'boot/vmlinuz'))
  await copyFile(ramdisk, join(stage, 'boot/initrd'))
  await mkdir(join(stage, 'usr/lib/loader'), { recursive: true })
  await makeLoader(directory, join(stage, 'usr/lib/loader/BOOTX64.EFI'), hostname)
  const tar = join(directory, 'layer.tar')
  await run('tar', ['-cf', tar, '--owner=0', '--group=0', '-C', stage, '.'])
  const plain = await readFile(tar)
  return { packed: await promisify(gzip)(plain, { level: 1 }), diffId: sha256(plain) }
}

export const sha256 = (content: Uint8Array): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

/** GRUB in one file, which boots what lies on the root file system. */
async function makeLoader(directory: string, file: string, hostname: string): Promise<void> {
  const config = join(directory, 'grub.cfg')
  const parameters = `console=ttyS0,115200 ${hostnameWord(hostname)}`
  const boot = `linux /boot/vmlinuz ${parameters}\ninitrd /boot/initrd\nboot\n`
  await writeFile(config, `search --no-floppy --label --set=root root\n${boot}`)
  const modules = 'linux normal search search_label ext2 part_gpt'
  const bare = ['--locales=', '--fonts=', '--themes=', `--install-modules=${modules}`, `--modules=${modules}`]
  await run('grub-mkstandalone', ['--format=x86_64-efi', `--output=${file}`, ...bare, `boot/grub/grub.cfg=${config}`])
  await chmod(file, 0o644)
}

const bootc = `#!/bin/sh
# Stands in for bootc: install to-disk of this container.
set -e
die() { echo "bootc: $*" >&2; exit 1; }
[ "$1 $2" = 'install to-disk' ] || die "expected install to-disk, found $*"
shift 2
wipe= size= keys= device=
while [ $# -gt 0 ]; do
  case "$1" in
    --wipe) wipe=1 ;;
    --skip-fetch-check | --disable-selinux) ;;
    --root-size=*) size=\${1#*=} ;;
    --root-ssh-authorized-keys=*) keys=\${1#*=} ;;
    -*) die "unexpected argument $1" ;;
    *) [ -z "$device" ] || die "two devices: $device and $1"; device=$1 ;;
  esac
  shift
done
[ -b "$device" ] || die "no block device: $device"
[ -z "$keys" ] || [ -r "$keys" ] || die "cannot read $keys"
[ -n "$wipe" ] || [ -z "$(wipefs "$device")" ] || die "$device is not empty, and --wipe was not given"
wipefs --all --quiet "$device"
printf 'label: gpt\\nsize=512MiB, type=uefi, name=EFI-SYSTEM\\nsize=%siB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root\\n' \\
  "$size" | sfdisk --quiet "$device"
part() { case "$device" in *[0-9]) echo "\${device}p$1" ;; *) echo "$device$1" ;; esac; }
tries=0
until [ -b "$(part 2)" ] || [ $tries -ge 100 ]; do sleep 0.1; tries=$((tries + 1)); done
mkfs.fat -n EFI-SYSTEM "$(part 1)" >/dev/null
mkfs.ext4 -q -F -L root "$(part 2)"
mkdir -p /tmp/target
mount -t ext4 "$(part 2)" /tmp/target
cp -a /usr /etc /boot /bin /sbin /lib /lib64 /tmp/target/
mkdir -p /tmp/target/dev /tmp/target/proc /tmp/target/sys /tmp/target/run /tmp/target/root/.ssh
[ -z "$keys" ] || cp "$keys" /tmp/target/root/.ssh/authorized_keys
umount /tmp/target
mount -t vfat "$(part 1)" /tmp/target
mkdir -p /tmp/target/EFI/BOOT
cp /usr/lib/loader/BOOTX64.EFI /tmp/target/EFI/BOOT/
umount /tmp/target
sync
echo 'Installation complete!'
`
