/**
 * Reads what kind of partition table a disk has, mends the one thing an image cannot bring along (the place of the GPT's
 * backup, which belongs at the end of this disk and not at the end of the image), and adds partitions to it.
 *
 * Source: UEFI specification 5.3 (GPT header), "Legacy MBR" (disk identifier at byte 440).
 */
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import { AgentFault } from '../errors.ts'
import { deviceSize, partitionsOf, rereadPartitions } from '../hardware/device-use.ts'
import { readOrNull, trimmed } from '../hardware/sys-files.ts'

export interface PartitionTable {
  kind: 'gpt' | 'mbr' | 'none'
  /** The four bytes at 440 as `0x1234abcd`; GPT disks mostly have `0x00000000`. */
  diskIdentifier: string
  /** False for a GPT whose backup is not in the last sector. */
  backupAtEnd: boolean
}

export async function sectorBytes(disk: string): Promise<number> {
  const text = trimmed(await readOrNull(`/sys/class/block/${basename(disk)}/queue/logical_block_size`))
  return Number(text ?? 512)
}

export async function readPartitionTable(disk: string): Promise<PartitionTable> {
  const sector = await sectorBytes(disk)
  const start = Buffer.alloc(2 * sector)
  const handle = await open(disk)
  try {
    await handle.read(start, 0, start.length, 0)
  } finally {
    await handle.close()
  }
  const diskIdentifier = `0x${start.readUInt32LE(440).toString(16).padStart(8, '0')}`
  if (start.toString('latin1', sector, sector + 8) === 'EFI PART') {
    const lastSector = BigInt(Math.floor((await deviceSize(disk)) / sector) - 1)
    return { kind: 'gpt', diskIdentifier, backupAtEnd: start.readBigUInt64LE(sector + 32) === lastSector }
  }
  const kind = start.readUInt16LE(510) === 0xaa55 ? 'mbr' : 'none'
  return { kind, diskIdentifier, backupAtEnd: true }
}

/** Moves the backup of a GPT to the end of the disk, which also makes the space behind the image usable. */
export async function moveBackupToEnd(disk: string): Promise<void> {
  const { kind, backupAtEnd } = await readPartitionTable(disk)
  if (kind !== 'gpt' || backupAtEnd) return
  await run('sgdisk', ['-e', disk])
  await rereadPartitions(disk)
}

/**
 * Adds one partition beside those that are there, and waits until the kernel has it.
 * @param purpose for people: what it is for
 * @param make writes it into the table; it is told which there are
 * @returns the new one
 * @throws AgentFault DeploymentError
 */
export async function addPartition(
  disk: string,
  purpose: string,
  make: (before: readonly string[]) => Promise<unknown>,
): Promise<string> {
  const before = await partitionsOf(disk)
  try {
    await make(before)
  } catch (error) {
    throw new AgentFault('DeploymentError', `Cannot make a partition for ${purpose} on ${disk}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  for (let attempt = 0; attempt < 15; attempt++) {
    await rereadPartitions(disk)
    const fresh = (await partitionsOf(disk)).find(partition => !before.includes(partition))
    if (fresh !== undefined) return fresh
    await sleep(200)
  }
  throw new AgentFault('DeploymentError', `The partition for ${purpose} on ${disk} was made but did not appear`)
}

/**
 * The kernel's partitions after an image was written.
 * @throws AgentFault DeploymentError when there are none: not an image of a disk, or one for another sector size
 */
export async function requirePartitions(disk: string): Promise<string[]> {
  await rereadPartitions(disk)
  const partitions = await partitionsOf(disk)
  if (partitions.length > 0) return partitions
  const sector = await sectorBytes(disk)
  throw new AgentFault(
    'DeploymentError',
    `The image was written to ${disk}, but the disk has no partitions now: either it is not the image of a whole disk, ` +
      `or it was made for disks whose sectors are not ${sector} bytes`,
  )
}
