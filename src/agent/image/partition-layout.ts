/**
 * Where the partitions of a partition image lie: which there are, in which order, how large, of which type. Pure; what
 * it says is carried out elsewhere.
 *
 * Source: openstack/ironic-python-agent `disk_utils.py` (order, sizes); UEFI specification 5.3.3 and the list of MBR
 * partition types for the types.
 */
import type { ImageInfo, PartitionName } from '#protocol/agent.ts'
import { AgentFault } from '../errors.ts'
import type { BootMode } from '../hardware/boot-mode.ts'

const MIB = 1024 * 1024
/** Before the first partition: the table, and for BIOS what the boot loader hides behind it. */
const START_BYTES = MIB
/** Behind the last one: the second copy of a GPT. */
const TAIL_BYTES = MIB

export interface PlannedPartition {
  /** As `get_partition_uuids` calls it. */
  name: PartitionName
  sizeBytes: number
}

export interface Layout {
  label: 'gpt' | 'dos'
  /** In the order of their numbers, from 1 on. */
  partitions: readonly PlannedPartition[]
  /** What a disk must have at least. */
  neededBytes: number
}

export interface LayoutRequest {
  info: Pick<ImageInfo, 'root_mb' | 'swap_mb' | 'ephemeral_mb'>
  bootMode: BootMode
  label: 'gpt' | 'dos'
  /** 0: none. */
  configDriveBytes: number
  /** POWER machines without UEFI start from a partition of their own. */
  isPower: boolean
}

/** @throws AgentFault InvalidImage without a size for the root partition, DeploymentError when an MBR has too few places */
export function planLayout({ info, bootMode, label, configDriveBytes, isPower }: LayoutRequest): Layout {
  const rootMb = info.root_mb ?? 0
  if (rootMb <= 0) {
    throw new AgentFault(
      'InvalidImage',
      'Cannot lay out the disk: image_info root_mb is missing or not positive; a partition image needs the size of its root partition in MiB',
    )
  }
  const partitions: PlannedPartition[] = []
  const add = (name: PartitionName, sizeMib: number) => {
    if (sizeMib > 0) partitions.push({ name, sizeBytes: sizeMib * MIB })
  }
  add('efi system partition', bootMode === 'uefi' ? 550 : 0)
  add('BIOS Boot partition', bootMode === 'bios' && label === 'gpt' && !isPower ? 1 : 0)
  add('PReP Boot partition', bootMode === 'bios' && isPower ? 8 : 0)
  add('ephemeral', info.ephemeral_mb ?? 0)
  add('swap', info.swap_mb ?? 0)
  add('configdrive', Math.ceil(configDriveBytes / MIB))
  // The last one, so that it can grow.
  add('root', rootMb)
  if (label === 'dos' && partitions.length > 4) {
    throw new AgentFault(
      'DeploymentError',
      `Cannot lay out the disk: an MBR has places for 4 partitions, needed are ${partitions.map(({ name }) => name).join(', ')}; the capability disk_label:gpt gives more`,
    )
  }
  const sum = partitions.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
  return { label, partitions, neededBytes: START_BYTES + sum + (label === 'gpt' ? TAIL_BYTES : 0) }
}

/** Input of sfdisk; sectors of any size. */
export function layoutScript({ label, partitions }: Layout): string {
  const lines = [`label: ${label}`]
  let startBytes = START_BYTES
  for (const { name, sizeBytes } of partitions) {
    const place = `start=${startBytes / MIB}MiB, size=${sizeBytes / MIB}MiB, type=${types[name][label]}`
    // BIOSes look for a partition that is marked before they start what the boot sector holds.
    const mark = label === 'dos' && name === 'root' ? ', bootable' : ''
    lines.push(label === 'gpt' ? `${place}, name="${labels[name]}"` : `${place}${mark}`)
    startBytes += sizeBytes
  }
  return `${lines.join('\n')}\n`
}

/** Labels of the file systems, and names of the partitions in a GPT. */
export const labels: Readonly<Record<PartitionName, string>> = {
  'efi system partition': 'efi-part',
  'BIOS Boot partition': 'bios-boot',
  'PReP Boot partition': 'prep',
  ephemeral: 'ephemeral0',
  swap: 'swap1',
  configdrive: 'config-2',
  root: 'root',
}

const linux = { gpt: '0FC63DAF-8483-4772-8E79-3D69D8477DE4', dos: '83' }
const types: Readonly<Record<PartitionName, { gpt: string; dos: string }>> = {
  'efi system partition': { gpt: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', dos: 'ef' },
  'BIOS Boot partition': { gpt: '21686148-6449-6E6F-744E-656564454649', dos: 'da' },
  'PReP Boot partition': { gpt: '9E1A2D38-C612-4316-AA26-8B49521E5A8B', dos: '41' },
  ephemeral: linux,
  swap: { gpt: '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F', dos: '82' },
  configdrive: linux,
  root: linux,
}
