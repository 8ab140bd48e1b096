/**
 * Puts an image on the root disk: fetch, check, write, config drive. The order is such that the disk becomes bootable
 * only after the image has proved to be the right one, and every failure leaves a disk that does not boot.
 *
 * Source: openstack/ironic-python-agent `extensions/standby.py` (decisions, result texts).
 */
import type { AgentNode, ImageInfo, PartitionUuids } from '#protocol/agent.ts'
import type { ImageTraffic } from '#protocol/chunked-image.ts'
import type { RunContext } from '../context.ts'
import { deviceSize } from '../hardware/device-use.ts'
import type { Hardware } from '../hardware/manager.ts'
import { digestFromFile } from './checksum-file.ts'
import { chunksToDisk } from './chunked/write-chunked.ts'
import { writeConfigDrive } from './config-drive.ts'
import { type Checksum, claimedChecksum, finishChecksum, isUrl } from './image-info.ts'
import { keepPartitionUuids } from './image-record.ts'
import { moveBackupToEnd, readPartitionTable, requirePartitions } from './partition-table.ts'
import { fetchBeside } from './source.ts'
import { convertToDisk } from './write-converted.ts'
import { writePartitions } from './write-partitions.ts'
import { streamToDisk } from './write-raw.ts'

export interface ImageRun extends RunContext {
  hardware: Hardware
  node: AgentNode | null
}

export interface WriteJob {
  info: ImageInfo
  checksum: Checksum
  device: string
  capacityBytes: number
}

export interface Prepared {
  /** The sentence conductors expect, without the command's name. */
  text: string
  /** What it took; null of images that a converter wrote. */
  traffic: ImageTraffic | null
}

export async function prepareImage(info: ImageInfo, configdrive: unknown, run: ImageRun): Promise<Prepared> {
  // Whatever comes of this: what was there before is not what the next question is about.
  keepPartitionUuids(run.agent.store, {})
  const { name: device } = await run.hardware.call('osInstallDevice', run.node)
  const checksum = await resolveChecksum(info, run)
  const given = configdrive ?? info.configdrive ?? null
  const configDrive = typeof given === 'string' && given !== '' ? given : null
  let traffic: ImageTraffic | null = null
  const write = async (to: string) => {
    const job: WriteJob = { info, checksum, device: to, capacityBytes: await deviceSize(to) }
    traffic = await chunksToDisk(job, run)
    if (traffic !== null) return
    // gpt says what is inside a raw image; there is nothing to convert.
    if (info.disk_format === 'raw' || info.disk_format === 'gpt') traffic = await streamToDisk(job, run)
    else await convertToDisk(job, run)
  }

  const uuids =
    info.image_type === 'partition'
      ? await writePartitions({ info, device, configDrive, writeRoot: write }, run)
      : await writeWholeDisk({ device, configDrive, write }, run)
  keepPartitionUuids(run.agent.store, uuids)
  const efi = uuids['efi system partition uuid']
  const suffix = efi ? ` efi_system_partition_uuid=${efi}` : ''
  const text = `image (${info.id}) written to device ${device} root_uuid=${uuids['root uuid']}${suffix}`
  return { text, traffic }
}

async function writeWholeDisk(
  { device, configDrive, write }: { device: string; configDrive: string | null; write: (to: string) => Promise<void> },
  run: ImageRun,
): Promise<PartitionUuids> {
  await write(device)
  await requirePartitions(device)
  await moveBackupToEnd(device)
  if (configDrive !== null) await writeConfigDrive(device, configDrive, run)
  const { diskIdentifier } = await readPartitionTable(device)
  return { 'root uuid': diskIdentifier }
}

async function resolveChecksum(info: ImageInfo, { agent }: ImageRun): Promise<Checksum> {
  const claim = claimedChecksum(info, agent.options)
  if (!isUrl(claim.value)) return finishChecksum(claim, claim.value, agent.options)
  const file = await fetchBeside(agent, info, claim.value)
  return finishChecksum(claim, digestFromFile(file, info.urls[0] ?? '', claim.value), agent.options)
}
