/**
 * Streams a raw image from its server to the disk, hashed on the way. Old metadata goes first, for the image may be
 * shorter than what was there before; the new partition table comes last, when the hash is right. Long rows of zeros in it
 * are left to the disk where it makes them by itself.
 */
import { messageOf } from '#lib/fault.ts'
import type { ImageTraffic } from '#protocol/chunked-image.ts'
import { AgentFault } from '../errors.ts'
import { openExclusively } from '../hardware/device-use.ts'
import { wipeMetadata } from '../hardware/erase-metadata.ts'
import { openDiskWriter } from './disk-writer.ts'
import type { Checksum } from './image-info.ts'
import { markWriting, unbootable, unmarkWriting } from './image-record.ts'
import type { ImageRun, WriteJob } from './prepare-image.ts'
import { type ImageSource, openImage } from './source.ts'
import { Zeroing } from './zero-ranges.ts'

/**
 * @returns what it took
 * @throws AgentFault ImageDownloadError, ImageChecksumError, ImageWriteError; the disk is without partitions then
 */
export async function streamToDisk(job: WriteJob, run: ImageRun): Promise<ImageTraffic> {
  const startedMs = performance.now()
  const { info, device, capacityBytes } = job
  run.progress({ phase: 'download', bytes: 0, total_bytes: null })
  const source = await openImage(run.agent, info, run.signal)
  try {
    requireFit(source.sizeBytes, capacityBytes, device)
    await wipeMetadata(device)
    const zeroedBytes = await pour(source, job, run)
    return {
      form: 'plain',
      image_bytes: source.deliveredBytes,
      received_bytes: source.receivedBytes,
      received_twice_bytes: source.receivedBytes - source.deliveredBytes,
      written_bytes: source.deliveredBytes - zeroedBytes,
      zeroed_bytes: zeroedBytes,
      kept_bytes: 0,
      seconds: Math.round(performance.now() - startedMs) / 1000,
    }
  } finally {
    source.close()
  }
}

/** @returns how much of it the disk made zero by itself */
async function pour(source: ImageSource, job: WriteJob, { agent, progress }: ImageRun): Promise<number> {
  const { info, checksum, device, capacityBytes } = job
  const report = (bytes: number) => progress({ phase: 'write', bytes, total_bytes: source.sizeBytes, detail: device })
  report(0)
  markWriting(agent.store, device, null)
  const handle = await openExclusively(device)
  const writer = openDiskWriter({
    handle,
    name: device,
    device,
    zeroing: await Zeroing.of(device, handle),
    capacityBytes,
    algorithm: checksum.algorithm,
    onWritten: report,
  })
  let failure: unknown = null
  try {
    for await (const chunk of source.chunks()) await writer.write(chunk)
    requireDigest(checksum, await writer.digest(), info.id)
    await writer.finish()
  } catch (error) {
    failure = error
  }
  await writer.close()
  await handle.close()
  if (failure !== null) {
    // The table was not written, unless the disk failed at that very moment: then what came of it goes again.
    await unbootable(device).catch(error => agent.log.error(`Wiping ${device}: ${messageOf(error)}`))
  }
  unmarkWriting(agent.store)
  if (failure !== null) throw failure
  return writer.zeroedBytes()
}

/** @throws AgentFault ImageWriteError when it is known beforehand that the image does not fit */
export function requireFit(sizeBytes: number | null, capacityBytes: number, device: string): void {
  if (sizeBytes === null || sizeBytes <= capacityBytes) return
  throw new AgentFault(
    'ImageWriteError',
    `Cannot write the image to ${device}: it has ${sizeBytes} bytes, the disk only ${capacityBytes}; nothing was written; ` +
      'expected a smaller image, or root device hints that choose a larger disk',
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
