/**
 * Streams a raw image from its server to the disk, hashed on the way. Old metadata goes first, for the image may be
 * shorter than what was there before; the new partition table comes last, when the hash is right.
 */
import { messageOf } from '#lib/fault.ts'
import { AgentFault } from '../errors.ts'
import { openExclusively } from '../hardware/device-use.ts'
import { wipeMetadata } from '../hardware/erase-metadata.ts'
import { openDiskWriter } from './disk-writer.ts'
import type { Checksum } from './image-info.ts'
import { markWriting, unbootable, unmarkWriting } from './image-record.ts'
import type { ImageRun, WriteJob } from './prepare-image.ts'
import { openImage } from './source.ts'

/** @throws AgentFault ImageDownloadError, ImageChecksumError, ImageWriteError; the disk is without partitions then */
export async function streamToDisk({ info, checksum, device, capacityBytes }: WriteJob, run: ImageRun): Promise<void> {
  const { agent, signal, progress } = run
  progress({ phase: 'download', bytes: 0, total_bytes: null })
  const source = await openImage(agent, info, signal)
  requireFit(source.sizeBytes, capacityBytes, device)

  markWriting(agent.store, device, null)
  await wipeMetadata(device)
  const report = (bytes: number) => progress({ phase: 'write', bytes, total_bytes: source.sizeBytes, detail: device })
  report(0)
  const handle = await openExclusively(device)
  const writer = openDiskWriter({
    handle,
    name: device,
    capacityBytes,
    algorithm: checksum.algorithm,
    onWritten: report,
  })
  try {
    for await (const chunk of source.chunks()) await writer.write(chunk)
    requireDigest(checksum, await writer.digest(), info.id)
    await writer.finish()
  } catch (error) {
    await writer.close()
    await handle.close()
    // The table was never written; this removes what a file system at the very start of the image may have left.
    await unbootable(device).catch(failure => agent.log.error(`Wiping ${device}: ${messageOf(failure)}`))
    unmarkWriting(agent.store)
    throw error
  }
  await writer.close()
  await handle.close()
  unmarkWriting(agent.store)
}

/** @throws AgentFault ImageWriteError when it is known beforehand that the image does not fit */
export function requireFit(sizeBytes: number | null, capacityBytes: number, device: string): void {
  if (sizeBytes === null || sizeBytes <= capacityBytes) return
  throw new AgentFault(
    'ImageWriteError',
    `Cannot write the image to ${device}: it has ${sizeBytes} bytes, the disk only ${capacityBytes}; nothing was written`,
  )
}

/** @throws AgentFault ImageChecksumError */
export function requireDigest({ algorithm, expected }: Checksum, found: string, id: string): void {
  if (found === expected) return
  throw new AgentFault(
    'ImageChecksumError',
    `The ${algorithm} checksum of image ${id} is ${found}, expected ${expected}; the disk was left without partitions`,
  )
}
