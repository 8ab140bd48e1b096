/**
 * A partition image for scenarios: the root file system of the lab's Debian image alone, with what makes it start without
 * the disk it came from. That is systemd-boot, which the agent copies, or GRUB's installer for BIOS or UEFI, which the
 * agent runs; and mdadm in its initramfs, where it is to start from software RAID. Made with a loop device, from packages
 * that are unpacked, not installed.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { run } from '#lib/run.ts'
import { PackageCache } from '#ramdisk/packages.ts'
import type { DeployWorld } from './world.ts'

const packages = {
  'systemd-boot': ['systemd-boot-efi'],
  'grub-bios': ['grub-pc-bin', 'grub2-common'],
  'grub-efi': ['grub-efi-amd64-bin', 'grub2-common'],
}
const kernelArguments = 'console=tty0 console=ttyS0,115200 systemd.gpt_auto=0'

/** instance_info of an image, but for the sizes of its partitions. */
export interface PartitionImage extends Record<string, unknown> {
  image_source: string
}

export async function makePartitionImage(
  world: DeployWorld,
  loader: keyof typeof packages,
  { onRaid = false } = {},
): Promise<PartitionImage> {
  const path = join(world.lab.imageFolder, `${loader}.img`)
  const draft = join(await world.folder('partition-image-draft'), 'root.img')
  await copyRoot(world.image.raw, draft)
  // The root file system brings room for what is added.
  const tree = await world.folder('partition-image')
  await run('mount', ['-o', 'loop', draft, tree])
  try {
    for (const directory of await unpacked([...packages[loader], ...(onRaid ? ['mdadm'] : [])])) {
      // /lib and /sbin are links in the tree, and directories in packages.
      await run('sh', ['-c', 'tar -C "$1" -c . | tar -C "$2" -x --keep-directory-symlink', 'sh', directory, tree])
    }
    await mkdir(join(tree, 'etc/kernel'), { recursive: true })
    await writeFile(join(tree, 'etc/kernel/cmdline'), `${kernelArguments}\n`)
    await writeFile(
      join(tree, 'etc/default/grub'),
      `GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="${kernelArguments}"\nGRUB_TERMINAL="console serial"\n`,
    )
    // Made for a whole disk: here the root partition has the size that was asked for.
    await rm(join(tree, 'etc/systemd/system/multi-user.target.wants/ferrite-grow-root.service'), { force: true })
    if (onRaid) await startFromRaid(tree)
  } finally {
    await run('sync', ['--file-system', tree])
    await run('umount', ['--recursive', tree])
  }
  // Whoever made a mount namespace meanwhile has the draft mounted still, and it may change.
  await run('cp', ['--sparse=always', draft, path])
  // It ends with 1 when there was something to mend.
  await run('sh', ['-c', 'e2fsck -f -p "$1" || [ $? = 1 ]', 'sh', path])
  return {
    image_source: `file://${path}`,
    image_type: 'partition',
    image_disk_format: 'raw',
    image_os_hash_algo: 'sha256',
    image_os_hash_value: await sha256Of(path),
  }
}

/** An initramfs that finds arrays: mdadm's own script puts it there. */
async function startFromRaid(tree: string): Promise<void> {
  await mkdir(join(tree, 'etc/mdadm'), { recursive: true })
  await writeFile(join(tree, 'etc/mdadm/mdadm.conf'), 'HOMEHOST <ignore>\n')
  await appendFile(join(tree, 'etc/initramfs-tools/modules'), 'md_mod\nraid1\n')
  for (const path of ['/proc', '/dev']) await run('mount', ['--bind', path, join(tree, path)])
  await run('chroot', [tree, 'update-initramfs', '-u', '-k', 'all'], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
}

/** The partition of the image's disk that has the type of a root. */
async function copyRoot(disk: string, path: string): Promise<void> {
  const { stdout } = await run('sfdisk', ['--json', disk])
  const { partitiontable } = JSON.parse(stdout) as {
    partitiontable: { partitions: { name?: string; start: number; size: number }[] }
  } // as sfdisk documents it
  const root = partitiontable.partitions.find(({ name }) => name === 'root')
  if (root === undefined) throw new Error(`${disk} has no partition named root`)
  const [startBytes, sizeBytes] = [root.start * 512, root.size * 512]
  const options = ['bs=1M', 'iflag=skip_bytes,count_bytes', 'conv=sparse', 'status=none']
  await run('dd', [`if=${disk}`, `of=${path}`, `skip=${startBytes}`, `count=${sizeBytes}`, ...options])
}

/** Directories with the files of packages and of what these need beyond a Debian that is there. */
async function unpacked(names: readonly string[]): Promise<string[]> {
  const cache = new PackageCache(resolve('var/build/cache/packages/amd64'), 'amd64')
  const found = await cache.resolve(names, { refresh: false })
  const wanted = found.filter(({ name }) => /^(systemd-boot|grub|libdevmapper|dmsetup|libefi|gettext|mdadm)/.test(name))
  return [...(await cache.unpack(names, wanted)).values()]
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}
