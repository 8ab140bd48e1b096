/**
 * Puts an image on the root disk: fetch, check, write, config drive. The order is such that the disk becomes bootable
 * only after the image has proved to be the right one, and every failure leaves a disk that does not boot.
 *
 * Source: openstack/ironic-python-agent `extensions/standby.py` (decisions, result texts).
 */
import type { AgentNode, ImageInfo } from '#protocol/agent.ts'
import type { RunContext } from '../context.ts'
import { AgentFault } from '../errors.ts'
import { deviceSize } from '../hardware/device-use.ts'
import type { Hardware } from '../hardware/manager.ts'
import { digestFromFile } from './checksum-file.ts'
import { writeConfigDrive } from './config-drive.ts'
import { type Checksum, claimedChecksum, finishChecksum, isUrl } from './image-info.ts'
import { keepPartitionUuids } from './image-record.ts'
import { moveBackupToEnd, readPartitionTable, requirePartitions } from './partition-table.ts'
import { fetchBeside } from './source.ts'
import { convertToDisk } from './write-converted.ts'
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

/** @returns the sentence conductors expect, without the command's name */
export async function prepareImage(info: ImageInfo, configdrive: unknown, run: ImageRun): Promise<string> {
  if (info.image_type === 'partition') {
    throw new AgentFault(
      'InvalidImage',
      `Cannot write image ${info.id}: it is a partition image, and this agent writes whole disks only`,
    )
  }
  const { name: device } = await run.hardware.call('osInstallDevice', run.node)
  const job: WriteJob = {
    info,
    checksum: await resolveChecksum(info, run),
    device,
    capacityBytes: await deviceSize(device),
  }

  // gpt says what is inside a raw image; there is nothing to convert.
  if (info.disk_format === 'raw' || info.disk_format === 'gpt') await streamToDisk(job, run)
  else await convertToDisk(job, run)

  await requirePartitions(device)
  await moveBackupToEnd(device)

  const drive = configdrive ?? info.configdrive ?? null
  if (typeof drive === 'string' && drive !== '') await writeConfigDrive(device, drive, run)

  const { diskIdentifier } = await readPartitionTable(device)
  keepPartitionUuids(run.agent.store, { 'root uuid': diskIdentifier })
  return `image (${info.id}) written to device ${device} root_uuid=${diskIdentifier}`
}

async function resolveChecksum(info: ImageInfo, { agent }: ImageRun): Promise<Checksum> {
  const claim = claimedChecksum(info, agent.options)
  if (!isUrl(claim.value)) return finishChecksum(claim, claim.value, agent.options)
  const file = await fetchBeside(agent, info, claim.value)
  return finishChecksum(claim, digestFromFile(file, info.urls[0] ?? '', claim.value), agent.options)
}
