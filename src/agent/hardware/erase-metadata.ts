/**
 * Makes disks look new: removes partition tables, their backups, and the signatures of file systems, RAID and volume
 * managers at both ends of every disk and partition. Data in between stays. Disks that are read-only, virtual, part of an
 * active array or hold a cluster file system are not touched.
 *
 * Source: openstack/ironic-python-agent `hardware.py`, `disk_utils.py` (what is skipped); md(4), UEFI specification
 * 5.3 and wipefs(8) for where signatures lie.
 */
import type { FileHandle } from 'node:fs/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { isTrue } from '#lib/truth.ts'
import { AgentFault } from '../errors.ts'
import type { BlockDevice } from './block-devices.ts'
import {
  deviceSize,
  holdersOf,
  isReadOnly,
  isVirtualMedia,
  openExclusively,
  partitionsOf,
  rereadPartitions,
} from './device-use.ts'
import type { StepRun } from './manager.ts'
import { isMapped } from './multipath.ts'
import { protectedDevices } from './skip-list.ts'

/**
 * 1 MiB covers MBR, GPT and its backup, every version of a RAID superblock (the oldest lies up to 128 KiB before the
 * end), LVM, ZFS labels (512 KiB at either end), btrfs (64 KiB) and what boot loaders hide behind the table.
 */
const END_BYTES = 1024 * 1024

/** Wipes all disks the agent sees. Errors are collected, so that one bad disk does not spare the others. */
export async function eraseAllMetadata(context: StepRun): Promise<Record<string, string>> {
  const disks = await context.hardware.call('listBlockDevices')
  const spared = await protectedDevices(context.node, disks)
  const results: Record<string, string> = {}
  const failures: string[] = []
  for (const [index, disk] of disks.entries()) {
    const { name } = disk
    context.progress({ phase: 'erase metadata', bytes: index, total_bytes: disks.length, detail: name })
    try {
      const reason = await reasonToSkip(disk, spared, context)
      if (reason === null) await wipeMetadata(name)
      results[name] = reason ?? 'erased'
      context.agent.log.info(`Metadata of ${name}: ${results[name]}`)
    } catch (error) {
      failures.push(`${name}: ${messageOf(error)}`)
    }
  }
  if (failures.length > 0) {
    throw new AgentFault(
      'BlockDeviceEraseError',
      `Erasing the metadata of ${failures.length} disks failed: ${failures.join('; ')}`,
    )
  }
  return results
}

/**
 * Why a disk must be left alone by every kind of erasing, or null.
 * @param spared names of devices that the operator protects
 */
export async function reasonToSkip(
  { name }: BlockDevice,
  spared: ReadonlySet<string>,
  { node, agent }: StepRun,
): Promise<string | null> {
  if (spared.has(name)) return 'skipped: protected by skip_block_devices'
  if (await isVirtualMedia(name)) return 'skipped: virtual media'
  const holders = (await holdersOf(name)).filter(holder => /^\/dev\/md/.test(holder))
  if (holders.length > 0) return `skipped: member of ${holders.join(', ')}`
  if (await isReadOnly(name)) {
    if (node.driver_internal_info?.agent_erase_skip_read_only === true) return 'skipped: read-only'
    throw new AgentFault(
      'ProtectedDeviceError',
      'the disk is read-only, and the node does not allow skipping such disks',
    )
  }
  const allowed = node.driver_info?.wipe_special_filesystems
  const guarded = agent.options.guardSpecialFilesystems && !isTrue(allowed)
  if (guarded) await refuseClusterFilesystem(name)
  return null
}

/**
 * Wipes one disk and all its partitions; afterwards the kernel sees a disk without partitions.
 * @throws AgentFault ProtectedDeviceError when it is in use
 */
export async function wipeMetadata(disk: string): Promise<void> {
  // Taking the whole disk for ourselves shows that none of its partitions is mounted before the first byte is lost.
  await (await openExclusively(disk)).close()
  if (isMapped(disk)) await rereadPartitions(disk)
  for (const partition of (await partitionsOf(disk)).reverse()) await wipeOne(partition)
  await wipeOne(disk)
  await rereadPartitions(disk)
}

async function wipeOne(device: string): Promise<void> {
  await run('wipefs', ['--force', '--all', device])
  const handle = await openExclusively(device)
  try {
    const sizeBytes = await deviceSize(device)
    await zero(handle, 0, Math.min(END_BYTES, sizeBytes))
    await zero(handle, Math.max(0, sizeBytes - END_BYTES), sizeBytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Writes zeros from `fromBytes` up to `toBytes`. */
export async function zero(handle: FileHandle, fromBytes: number, toBytes: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(END_BYTES, Math.max(0, toBytes - fromBytes)))
  for (let at = fromBytes; at < toBytes; ) {
    const { bytesWritten } = await handle.write(zeros, 0, Math.min(zeros.length, toBytes - at), at)
    at += bytesWritten
  }
}

/** Partition types of cluster file systems, which other machines may be using at this moment. */
const CLUSTER_PARTITIONS: Record<string, string> = {
  '37affc90-ef7d-4e96-91c3-2d7ae055b174': 'GPFS',
  'aa31e02a-400f-11db-9590-000c2911d1b8': 'VMFS',
  '0xfb': 'VMFS',
}
const CLUSTER_FILESYSTEMS = ['gfs2', 'gfs', 'ocfs2', 'vmfs', 'vmfs_volume_member']

/** Asked of the disk, for udev may not know it yet, and of every partition, for that is where such file systems lie. */
async function refuseClusterFilesystem(disk: string): Promise<void> {
  for (const device of [disk, ...(await partitionsOf(disk))]) {
    // A device without any signature is an error to blkid, and harmless.
    const { stdout } = await run('blkid', ['-p', '-o', 'export', device]).catch(() => ({ stdout: '' }))
    const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1]?.toLowerCase() ?? ''
    const found =
      CLUSTER_PARTITIONS[value('PART_ENTRY_TYPE')] ?? CLUSTER_FILESYSTEMS.find(known => known === value('TYPE'))
    if (found === undefined) continue
    throw new AgentFault(
      'ProtectedDeviceError',
      `${device} holds the cluster file system ${found}, which other machines may be using; the kernel parameter ` +
        'ipa-guard-special-filesystems=0, or driver_info wipe_special_filesystems=true, allows erasing it',
    )
  }
}
