/**
 * Makes a disk image out of a Debian tree: GPT with a BIOS boot partition, an EFI system partition and an ext4 root, and
 * GRUB for both kinds of firmware. Everything is written into plain files: no loop devices, no mounts, no grub-install.
 */
import { mkdir, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '#lib/run.ts'

const sectorBytes = 512
const mebibyte = 1024 * 1024
const biosBoot = { startBytes: 1 * mebibyte, sizeBytes: 1 * mebibyte }
const esp = { startBytes: 2 * mebibyte, sizeBytes: 16 * mebibyte }
const rootStartBytes = 18 * mebibyte
/** Room for the second copy of the partition table. */
const tailBytes = 1 * mebibyte
/** What an ext4 root needs beyond its files: journal, tables, and some room to work before it has grown. */
const spareBytes = 96 * mebibyte

/**
 * Writes the image to `outFile`, sparse.
 * @param options.tarFile the tree, as tar
 * @param options.fsUuid the root file system's; fstab names it as well
 * @param options.kernelArguments what the kernel gets beside `root=`
 */
export async function makeDisk(options: {
  tarFile: string
  workDirectory: string
  outFile: string
  fsUuid: string
  diskUuid: string
  kernelArguments: string
}): Promise<void> {
  const { workDirectory, outFile } = options
  const rootFile = join(workDirectory, 'root.ext4')
  const rootBytes = await makeRootFileSystem({ ...options, rootFile })
  const grubConfig = join(workDirectory, 'grub.cfg')
  await writeFile(grubConfig, grubConfigOf(options.fsUuid, options.kernelArguments))
  const espFile = join(workDirectory, 'esp.fat')
  await makeEsp({ workDirectory, espFile, grubConfig })
  const coreFile = join(workDirectory, 'core.img')
  await makeBiosCore({ workDirectory, coreFile, grubConfig })

  await rm(outFile, { force: true })
  await writeFile(outFile, '')
  await truncate(outFile, rootStartBytes + rootBytes + tailBytes)
  await run('sfdisk', ['--quiet', outFile], { input: partitionTable(options.diskUuid, rootBytes) })
  await copyInto(outFile, espFile, esp.startBytes)
  await copyInto(outFile, rootFile, rootStartBytes)
  await installBiosBoot(outFile, coreFile)
}

/** Unpacking needs the owners of the tree: as root, or with root's look in a user namespace. */
async function makeRootFileSystem(options: {
  tarFile: string
  workDirectory: string
  rootFile: string
  fsUuid: string
}): Promise<number> {
  const tree = join(options.workDirectory, 'tree')
  await mkdir(tree)
  const asRoot = process.geteuid?.() === 0 ? [] : ['unshare', '--map-auto', '--map-root-user']
  const inTree = async (command: string, ...args: string[]) => {
    const [program, ...rest] = [...asRoot, command, ...args]
    return run(program ?? command, rest)
  }
  await inTree('tar', '-x', '-p', '--numeric-owner', '--exclude=./dev/*', '-f', options.tarFile, '-C', tree)
  const { stdout } = await inTree('du', '-s', '--apparent-size', '-B1', tree)
  const contentBytes = Number.parseInt(stdout, 10)
  const sizeBytes = Math.ceil((contentBytes * 1.08 + spareBytes) / mebibyte) * mebibyte
  await writeFile(options.rootFile, '')
  await truncate(options.rootFile, sizeBytes)
  // GRUB 2.06 cannot read these two features, which newer mke2fs turns on.
  const features = ['-O', '^metadata_csum_seed,^orphan_file']
  const form = ['-q', '-F', '-t', 'ext4', '-L', 'ferrite-root', '-U', options.fsUuid, '-m', '1', '-J', 'size=8']
  // Group tables are written now rather than by the kernel during the first minutes after the deployment.
  const wholeTables = ['-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard,resize=268435456']
  await inTree('mke2fs', ...form, ...features, ...wholeTables, '-d', tree, options.rootFile)
  await inTree('rm', '-rf', tree)
  return sizeBytes
}

function grubConfigOf(fsUuid: string, kernelArguments: string): string {
  return [
    `search --no-floppy --fs-uuid ${fsUuid} --set=root`,
    'set timeout=0',
    `linux /boot/vmlinuz root=UUID=${fsUuid} ro ${kernelArguments}`,
    'initrd /boot/initrd.img',
    'boot\n',
  ].join('\n')
}

const grubModules = ['linux', 'normal', 'ext2', 'search', 'search_fs_uuid', 'part_gpt']

/** The name that firmware looks for on a disk without a boot entry. */
async function makeEsp(options: { workDirectory: string; espFile: string; grubConfig: string }): Promise<void> {
  const loader = join(options.workDirectory, 'bootx64.efi')
  const modules = [...grubModules, 'fat'].join(' ')
  const bare = ['--locales=', '--fonts=', '--themes=', `--install-modules=${modules}`, `--modules=${modules}`]
  const files = `boot/grub/grub.cfg=${options.grubConfig}`
  await run('grub-mkstandalone', ['-O', 'x86_64-efi', '-o', loader, ...bare, files])
  await writeFile(options.espFile, '')
  await truncate(options.espFile, esp.sizeBytes)
  await run('mkfs.vfat', ['-n', 'ESP', options.espFile])
  await run('mmd', ['-i', options.espFile, '::/EFI', '::/EFI/BOOT'])
  await run('mcopy', ['-i', options.espFile, loader, '::/EFI/BOOT/BOOTX64.EFI'])
}

async function makeBiosCore(options: { workDirectory: string; coreFile: string; grubConfig: string }): Promise<void> {
  const folder = join(options.workDirectory, 'memdisk')
  await mkdir(join(folder, 'boot/grub'), { recursive: true })
  await writeFile(join(folder, 'boot/grub/grub.cfg'), await readFile(options.grubConfig))
  const memdisk = join(options.workDirectory, 'memdisk.tar')
  await run('tar', ['-cf', memdisk, '-C', folder, 'boot'])
  const prefix = ['-O', 'i386-pc', '-p', '(memdisk)/boot/grub', '-m', memdisk, '-o', options.coreFile]
  await run('grub-mkimage', [...prefix, 'biosdisk', 'memdisk', 'tar', 'configfile', ...grubModules])
}

/** Input of sfdisk. The root's type is the one that says "x86-64 root", by which it can be found and grown. */
function partitionTable(diskUuid: string, rootBytes: number): string {
  const line = (startBytes: number, sizeBytes: number, type: string, name: string) =>
    `start=${startBytes / sectorBytes}, size=${sizeBytes / sectorBytes}, type=${type}, name=${name}`
  return [
    'label: gpt',
    `label-id: ${diskUuid}`,
    'unit: sectors',
    line(biosBoot.startBytes, biosBoot.sizeBytes, '21686148-6449-6E6F-744E-656564454649', 'bios'),
    line(esp.startBytes, esp.sizeBytes, 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 'esp'),
    `${line(rootStartBytes, rootBytes, '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709', 'root')}\n`,
  ].join('\n')
}

async function copyInto(outFile: string, part: string, atBytes: number): Promise<void> {
  const args = [`if=${part}`, `of=${outFile}`, 'bs=1M', `seek=${atBytes / mebibyte}`]
  await run('dd', [...args, 'conv=notrunc,sparse', 'status=none'])
}

/**
 * Writes GRUB's boot sector and core image so that they find each other.
 * Source: GNU GRUB 2.06, grub-core/boot/i386/pc/boot.S and diskboot.S (kernel sector, boot drive check, block list).
 */
async function installBiosBoot(outFile: string, coreFile: string): Promise<void> {
  const boot = Buffer.from((await readFile('/usr/lib/grub/i386-pc/boot.img')).subarray(0, 440))
  const core = await readFile(coreFile)
  const firstSector = biosBoot.startBytes / sectorBytes
  boot.writeBigUInt64LE(BigInt(firstSector), 0x5c)
  // Two no-ops in place of a jump: the firmware's word on the boot drive is taken as it is.
  boot.writeUInt16LE(0x9090, 0x66)
  // The last entry of the first sector's block list: where the rest lies, its length, the segment it is loaded to.
  core.writeBigUInt64LE(BigInt(firstSector + 1), 0x1f4)
  core.writeUInt16LE(Math.ceil(core.length / sectorBytes) - 1, 0x1fc)
  core.writeUInt16LE(0x820, 0x1fe)
  const disk = await open(outFile, 'r+')
  try {
    await disk.write(boot, 0, boot.length, 0)
    await disk.write(core, 0, core.length, biosBoot.startBytes)
  } finally {
    await disk.close()
  }
}
