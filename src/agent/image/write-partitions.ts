/**
 * Puts a partition image on a disk: partition table, file systems beside the root, config drive, and at last the image
 * itself into the root partition. Until the image has proved to be the right one the root partition has no beginning and
 * nothing has been made bootable, so every failure leaves a disk that does not boot.
 *
 * Source: openstack/ironic-python-agent `partition_utils.py`, `extensions/standby.py` (order, names, result).
 */
import { machine } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'
import type { ImageInfo, PartitionName, PartitionUuids } from '#protocol/agent.ts'
import { AgentFault } from '../errors.ts'
import { wantedBootMode, wantedLabel } from '../hardware/boot-mode.ts'
import { deviceSize, partitionsOf, rereadPartitions } from '../hardware/device-use.ts'
import { wipeMetadata } from '../hardware/erase-metadata.ts'
import { probe } from '../hardware/probe.ts'
import { fillConfigDrive, loadConfigDrive } from './config-drive.ts'
import { makeFileSystem, requireFileSystemTool } from './file-systems.ts'
import { type Layout, labels, layoutScript, planLayout } from './partition-layout.ts'
import type { ImageRun } from './prepare-image.ts'

/** Everything but the image itself, which `writeRoot` is asked to put into a partition. */
export interface PartitionJob {
  info: ImageInfo
  /** The whole disk. */
  device: string
  configDrive: string | null
  writeRoot: (partition: string) => Promise<void>
}

/** @throws AgentFault DeploymentError, InvalidImage, FileSystemNotSupported, or what `writeRoot` throws */
export async function writePartitions(job: PartitionJob, context: ImageRun): Promise<PartitionUuids> {
  const { info, device } = job
  const { agent, node, progress } = context
  const keepsEphemeral = info.preserve_ephemeral === true
  const ephemeralFormat = info.ephemeral_format || 'ext4'
  // What can be found to be wrong is found before anything on the disk is lost.
  if ((info.ephemeral_mb ?? 0) > 0 && !keepsEphemeral) await requireFileSystemTool(ephemeralFormat)
  const drive = job.configDrive === null ? null : await loadConfigDrive(job.configDrive, context)
  const bootMode = wantedBootMode(node, agent.settings)
  const layout = planLayout({
    info,
    bootMode,
    label: wantedLabel(node, bootMode),
    configDriveBytes: drive?.length ?? 0,
    isPower: machine().startsWith('ppc64'),
  })
  await requireRoom(device, layout)

  progress({ phase: 'partition', bytes: 0, total_bytes: null, detail: device })
  const partitions = keepsEphemeral ? await present(device, layout) : await create(device, layout)
  const at = (name: PartitionName) => partitions.get(name)
  const format = async (name: PartitionName, type: string) => {
    const partition = at(name)
    if (partition !== undefined) await makeFileSystem(type, partition, { label: labels[name] })
  }
  await format('efi system partition', 'vfat')
  await format('swap', 'swap')
  if (!keepsEphemeral) await format('ephemeral', ephemeralFormat)
  const driveAt = at('configdrive')
  if (drive !== null && driveAt !== undefined) await fillConfigDrive(driveAt, drive, context)

  const root = at('root') ?? '' // every layout has one
  await job.writeRoot(root)
  await rereadPartitions(device)
  await refuseDiskInPartition(root)
  const prep = at('PReP Boot partition')
  return {
    'root uuid': await uuidOf(root),
    'efi system partition uuid': await uuidOrNull(at('efi system partition')),
    ...(prep === undefined ? {} : { 'PReP Boot partition uuid': await uuidOf(prep) }),
    partitions: Object.fromEntries(partitions),
  }
}

async function requireRoom(device: string, { neededBytes, partitions }: Layout): Promise<void> {
  const sizeBytes = await deviceSize(device)
  if (neededBytes <= sizeBytes) return
  const sizes = partitions.map(partition => `${partition.name} ${partition.sizeBytes / 2 ** 20} MiB`)
  throw new AgentFault(
    'DeploymentError',
    `Cannot lay out ${device}: it has ${sizeBytes} bytes, needed are ${neededBytes} (${sizes.join(', ')}); nothing was written`,
  )
}

/** @throws AgentFault InvalidImage when the image is one of a whole disk: nothing could boot from it here */
async function refuseDiskInPartition(root: string): Promise<void> {
  const { type, tableType } = await probe(root)
  if (type !== null || tableType === null) return
  throw new AgentFault(
    'InvalidImage',
    `The image was written to partition ${root}, and has a partition table (${tableType}) of its own: expected a file system, as it is declared as a partition image`,
  )
}

type Partitions = ReadonlyMap<PartitionName, string>

async function create(device: string, layout: Layout): Promise<Partitions> {
  await wipeMetadata(device)
  const options = ['--quiet', '--no-reread', '--wipe', 'always', '--wipe-partitions', 'always']
  try {
    await run('sfdisk', [...options, device], { input: layoutScript(layout) })
  } catch (error) {
    throw new AgentFault('DeploymentError', `Cannot partition ${device}: ${messageOf(error)}`, { cause: error })
  }
  for (let attempt = 0; attempt < 50; attempt++) {
    await rereadPartitions(device)
    const found = await partitionsOf(device)
    if (found.length === layout.partitions.length) return named(layout, found)
    await sleep(200)
  }
  throw new AgentFault('DeploymentError', `The partitions of ${device} were made but did not appear`)
}

/** The partitions of the deployment before, when they are those that this one would make. */
async function present(device: string, layout: Layout): Promise<Partitions> {
  await rereadPartitions(device)
  const found = await partitionsOf(device)
  const sizes = await Promise.all(found.map(deviceSize))
  const fits = (index: number, wanted: Layout['partitions'][number]) => {
    const present = sizes[index] ?? 0
    // Tools round the end of a partition differently.
    const close = Math.abs(present - wanted.sizeBytes) <= 2 ** 20
    return wanted.name === 'ephemeral' ? close : close || present > wanted.sizeBytes
  }
  if (found.length === layout.partitions.length && layout.partitions.every((wanted, index) => fits(index, wanted))) {
    return named(layout, found)
  }
  const wanted = layout.partitions.map(({ name, sizeBytes }) => `${name} ${sizeBytes / 2 ** 20} MiB`)
  const seen = found.map((name, index) => `${name} ${(sizes[index] ?? 0) / 2 ** 20} MiB`)
  throw new AgentFault(
    'DeploymentError',
    `Cannot preserve the ephemeral partition of ${device}: expected its partitions to be ${wanted.join(', ')}; found ${seen.join(', ') || 'none'}; nothing was written`,
  )
}

function named({ partitions }: Layout, devices: readonly string[]): Partitions {
  return new Map(partitions.map(({ name }, index) => [name, devices[index] ?? '']))
}

/** Of the file system; of the partition where there is none. */
async function uuidOf(partition: string): Promise<string> {
  const { uuid, partitionUuid } = await probe(partition)
  const found = uuid ?? partitionUuid
  if (found !== null) return found
  throw new AgentFault(
    'DeploymentError',
    `Cannot find a UUID of ${partition}: neither a file system nor a table has one`,
  )
}

async function uuidOrNull(partition: string | undefined): Promise<string | null> {
  return partition === undefined ? null : await uuidOf(partition)
}
