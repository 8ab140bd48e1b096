/**
 * What firmware needs when the system is on software RAID, which it cannot read: a partition in front of the array's on
 * every member. For UEFI these partitions are a mirror of their own that reads as a plain EFI system partition; for BIOS
 * with a GPT they are where GRUB's installer puts its core. The array itself is not changed, but for the EFI system
 * partition that an image brought into it, whose content moves to the mirror.
 *
 * Source: openstack/ironic-python-agent `raid_utils.py` (names, sizes, metadata 1.0); md(4) for where superblocks lie.
 */
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../../errors.ts'
import { withMount } from '../../hardware/mounts.ts'
import { type FoundPartition, findPartition, probe, type Signatures } from '../../hardware/probe.ts'
import { freeArrayDevice, listArrays, type MdArray } from '../../hardware/raid/md.ts'
import { settle } from '../../hardware/sys-files.ts'
import { makeFileSystem } from '../file-systems.ts'
import { addPartition, readPartitionTable } from '../partition-table.ts'
import { copyTree } from './image-tree.ts'

/** Partition types: in a GPT, and of an EFI system partition in an MBR. */
const ESP_TYPES = ['c12a7328-f81f-11d2-ba4b-00a0c93ec93b', '0xef']
const BIOS_BOOT_TYPE = '21686148-6449-6e6f-744e-656564454649'
/** The name under which erasing and deleting know it, too. */
const MIRROR_NAME = 'esp'
/** As create.ts left room for. */
const ESP_MIB = 550

/** Where firmware finds a loader. */
export interface EspPlace {
  disk: string
  /** Number of the partition. */
  partition: number
}

export function isEsp({ partitionType }: Signatures): boolean {
  return ESP_TYPES.includes(partitionType ?? '')
}

/** The mirror that an earlier deployment made on the disks of this array, or null. */
export async function findEspMirror({ disks }: MdArray): Promise<string | null> {
  const arrays = await listArrays()
  const isOurs = (other: MdArray) => other.name === MIRROR_NAME && other.disks.some(disk => disks.includes(disk))
  return arrays.find(isOurs)?.device ?? null
}

/**
 * Makes sure that every member has an EFI system partition and that all of them have what `source` has: then there is none
 * in the array any more. UUID and label move along, so that the system's fstab means the mirror.
 * @param source the one in the array; its file system is missing where this has been done before
 * @returns where they are, in the order of the array's members
 * @throws AgentFault DeploymentError, SoftwareRAIDError
 */
export async function mirrorEsp(array: MdArray, source: FoundPartition): Promise<EspPlace[]> {
  const parts: (EspPlace & { device: string })[] = []
  for (const [index, disk] of array.disks.entries()) parts.push(await espOf(disk, index))
  const device = (await findEspMirror(array)) ?? (await makeMirror(parts.map(part => part.device)))
  const { type, uuid, label } = source.signatures
  if (type !== null) {
    // Never copied block by block: the image's may be larger than the mirror, and is mostly empty.
    await makeFileSystem(type, device, { label: label ?? 'ESP', uuid })
    await withMount(source.device, [], from => withMount(device, ['rw'], to => copyTree(from, to)))
    await run('sync', [])
    await run('wipefs', ['--force', '--all', source.device])
  }
  return parts.map(({ disk, partition }) => ({ disk, partition }))
}

/** Where GRUB's installer finds room on members with a GPT; behind an MBR there is some anyway. */
export async function makeBiosBootPartitions({ disks }: MdArray): Promise<void> {
  for (const [index, disk] of disks.entries()) {
    if ((await readPartitionTable(disk)).kind !== 'gpt') continue
    if ((await findPartition(disk, ({ partitionType }) => partitionType === BIOS_BOOT_TYPE)) !== null) continue
    await addGptPartition(disk, { name: `bios-boot-part-${index}`, type: 'ef02', size: '+2M', purpose: 'GRUB' })
  }
}

async function espOf(disk: string, index: number): Promise<EspPlace & { device: string }> {
  const { kind } = await readPartitionTable(disk)
  if (kind !== 'gpt') {
    throw new AgentFault(
      'SoftwareRAIDError',
      `Cannot make ${disk} bootable by UEFI: as a member of the array it has the partition table ${kind}, expected a GPT; ` +
        'build the array anew on a node whose boot mode is UEFI',
    )
  }
  const there = await findPartition(disk, isEsp)
  if (there !== null) return { disk, device: there.device, partition: there.signatures.partitionNumber ?? 1 }
  const device = await addGptPartition(disk, {
    name: `uefi-holder-${index}`,
    type: 'ef00',
    size: `+${ESP_MIB}M`,
    purpose: 'an EFI system partition',
  })
  // What an earlier partition left in this place would make mdadm hesitate.
  await run('wipefs', ['--force', '--all', device])
  return { disk, device, partition: (await probe(device)).partitionNumber ?? 1 }
}

async function addGptPartition(
  disk: string,
  { name, type, size, purpose }: { name: string; type: string; size: string; purpose: string },
): Promise<string> {
  return await addPartition(disk, purpose, async () => {
    const { stdout } = await run('sgdisk', ['-F', disk])
    const first = stdout.trim().split('\n').at(-1) ?? ''
    await run('sgdisk', ['-n', `0:${first}:${size}`, '-t', `0:${type}`, '-c', `0:${name}`, disk])
  })
}

/** Its superblock is at the end, so that firmware sees nothing but a file system. */
async function makeMirror(members: readonly string[]): Promise<string> {
  const shape = ['--metadata=1.0', '--level', '1', '--name', MIRROR_NAME, '--raid-devices', String(members.length)]
  const device = freeArrayDevice(await listArrays())
  try {
    await run('mdadm', ['--create', device, '--force', '--run', ...shape, ...members])
  } catch (error) {
    throw new AgentFault(
      'SoftwareRAIDError',
      `Cannot mirror the EFI system partition on ${members.join(', ')}: ${messageOf(error)}`,
    )
  }
  await settle()
  // Under the name that the kernel has for it.
  return (await listArrays()).find(({ name }) => name === MIRROR_NAME)?.device ?? device
}
