/** What lies on a disk or partition by its own signatures. Asked of the disk itself: udev may not have looked at it yet. */
import { run } from '#lib/run.ts'
import { partitionsOf } from './device-use.ts'

export interface Signatures {
  /** `ext4`, `vfat`, `swap`, ...; null without any. */
  type: string | null
  uuid: string | null
  label: string | null
  /** `gpt`, `dos`, ... of a partition table on the device itself. */
  tableType: string | null
  /** Of the partition in its table: a GUID in lower case, or `0xef` in an MBR. */
  partitionType: string | null
  partitionUuid: string | null
  partitionNumber: number | null
}

export async function probe(device: string): Promise<Signatures> {
  // A device without any signature is an error to blkid.
  const { stdout } = await run('blkid', ['-p', '-o', 'export', device]).catch(() => ({ stdout: '' }))
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1]?.replace(/\\(.)/g, '$1') || null
  const number = value('PART_ENTRY_NUMBER')
  return {
    type: value('TYPE'),
    uuid: value('UUID'),
    label: value('LABEL'),
    tableType: value('PTTYPE'),
    partitionType: value('PART_ENTRY_TYPE')?.toLowerCase() ?? null,
    partitionUuid: value('PART_ENTRY_UUID'),
    partitionNumber: number === null ? null : Number(number),
  }
}

export interface FoundPartition {
  device: string
  signatures: Signatures
}

/** The first partition of a disk that has what is looked for, or null. */
export async function findPartition(
  disk: string,
  isWanted: (signatures: Signatures) => boolean,
): Promise<FoundPartition | null> {
  for (const device of await partitionsOf(disk)) {
    const signatures = await probe(device)
    if (isWanted(signatures)) return { device, signatures }
  }
  return null
}

/** Whether a file system or its partition is known by this UUID, in any case of letters. */
export function hasUuid({ uuid, partitionUuid }: Signatures, wanted: string): boolean {
  return [uuid, partitionUuid].some(found => found?.toLowerCase() === wanted.toLowerCase())
}
