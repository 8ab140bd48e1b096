/**
 * A process that does one job and ends: fetch an image into its workspace, verify, decompress, inspect, convert, chunk,
 * fsync; or only chunk one that is stored.
 * Started by job.ts and spoken to over IPC; when the service goes away, so does the worker, and its converter with it.
 * It writes nowhere but into its workspace and never makes an image visible.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { type DiskFormat, type DiskInspection, inspectDisk } from '#lib/disk-format.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import type { Checksum } from './checksum.ts'
import { chunkImage } from './chunked/chunk-image.ts'
import { type ChunkedFacts, dataFile, finishForm } from './chunked/stored-form.ts'
import { convertToRaw } from './convert.ts'
import { download } from './download.ts'
import {
  ImageChecksumMismatch,
  ImageNotPrepared,
  ImageRefused,
  ImageStoreFull,
  ImageUnreachable,
  imageFaults,
} from './faults.ts'
import { type Fetched, ImageSink, isFull } from './image-sink.ts'
import {
  type ChunkJob,
  type Compression,
  type Job,
  type JobPhase,
  type JobResult,
  rawFormats,
  type ServiceMessage,
  type WorkerMessage,
} from './job.ts'
import { refuseUnfit } from './safety.ts'

const chunkBytes = 1024 * 1024
const roomFor = 'room for it where [pxe] instance_master_path is'

process.on('disconnect', () => process.exit(1))
process.once('message', (message: ServiceMessage) => {
  if (message.kind === 'prepare') void main(message.job, () => prepare(message.job))
  if (message.kind === 'chunk') void main(message.job, () => chunkStored(message.job))
})

async function main(job: Place, work: () => Promise<JobResult | ChunkedFacts>): Promise<void> {
  const end = (message: WorkerMessage) => process.send?.(message, () => process.exit(0))
  try {
    end({ kind: 'done', result: await work() })
  } catch (error) {
    const cause = isFull(error)
      ? new ImageStoreFull(
          `Cannot store image ${job.shown}: the file system of ${job.workspace} is full; expected ${roomFor}`,
        )
      : error
    const known = cause instanceof Fault && Object.hasOwn(imageFaults, cause.name)
    // Checked by the line above: the name is a key.
    const fault = known ? (cause.name as keyof typeof imageFaults) : 'ImageNotPrepared'
    end({
      kind: 'failed',
      fault,
      message: known ? messageOf(cause) : `Cannot prepare image ${job.shown}: ${messageOf(cause)}`,
    })
  }
}

/** What every kind of job says of itself. */
type Place = Pick<Job, 'shown' | 'workspace'>

async function prepare(job: Job): Promise<JobResult> {
  const file = join(job.workspace, 'image')
  const wanted = new Set<Checksum['algo']>(['sha256', ...job.hashes, ...(job.expected ? [job.expected.algo] : [])])
  const fetched = await fetchInto(file, job, [...wanted])
  if (job.expected && fetched.hashes[job.expected.algo] !== job.expected.value) {
    throw new ImageChecksumMismatch(
      `Cannot use image ${job.shown}: its ${job.expected.algo} is ${fetched.hashes[job.expected.algo]}; expected ${job.expected.value} (${fetched.sizeBytes} bytes were fetched)`,
    )
  }

  const packed = await compressionOf(file)
  const decompressed = packed !== null && job.decompress.includes(packed)
  if (decompressed) await decompress(file, packed, job)

  const inspection = job.inspect ? await look(file) : null
  if (job.inspect && inspection) refuseUnfit(inspection, job.inspect, job.shown)
  const convertible = inspection !== null && !rawFormats.includes(inspection.format)
  const converted = job.convertToRaw && convertible
  if (converted) await convert(file, inspection, job)

  const { size } = await stat(file)
  const changed = decompressed || converted
  const format: DiskFormat | null = converted ? 'raw' : (inspection?.format ?? null)
  const algorithms = ['sha256', ...job.hashes.filter(algo => algo !== 'md5')]
  const known = changed ? null : fetched.hashes
  const chunked =
    job.chunked && format !== null && rawFormats.includes(format) ? await chunk(file, algorithms, known, job) : null
  const hashes = known ?? chunked ?? (await hashFile(file, size, algorithms))
  await sync(file)
  await sync(job.workspace)
  return {
    source: { ...fetched, inspection },
    image: { sizeBytes: size, hashes, format },
    converted: changed,
  }
}

/**
 * Makes the chunked form in the pass that hashes, and answers the hashes. Without it an image is worth as much: what goes
 * wrong leaves none, and is left to those who ask again; null then.
 */
async function chunk(
  file: string,
  algorithms: readonly string[],
  known: Readonly<Record<string, string>> | null,
  job: Job,
): Promise<Record<string, string> | null> {
  try {
    const { hashes, manifest } = await chunkFile(file, algorithms, job)
    if (known && hashes.sha256 !== known.sha256) throw new Error('what was fetched is not what lies on the disk')
    await finishForm(job.workspace, manifest, job.shown)
    return hashes
  } catch {
    await rm(dataFile(job.workspace), { force: true })
    return null
  }
}

/** @throws ImageNotPrepared when the image is not any more what was stored */
async function chunkStored(job: ChunkJob): Promise<ChunkedFacts> {
  const { hashes, manifest } = await chunkFile(job.image, [], job)
  if (hashes.sha256 !== job.sha256) {
    throw new ImageNotPrepared(
      `Cannot chunk image ${job.shown}: its file has the SHA-256 ${hashes.sha256} now; expected ${job.sha256}, which it had when it was stored`,
    )
  }
  const facts = await finishForm(job.workspace, manifest, job.shown)
  await sync(job.workspace)
  return facts
}

async function chunkFile(file: string, algorithms: readonly string[], job: Place) {
  const { size } = await stat(file)
  return await chunkImage({
    from: file,
    to: dataFile(job.workspace),
    shown: job.shown,
    algorithms,
    onProgress: progressOf('chunk', size),
    needRoom: bytes => needRoom(bytes, job),
  })
}

async function fetchInto(file: string, job: Job, algorithms: readonly Checksum['algo'][]): Promise<Fetched> {
  const { source } = job
  await using target = await open(file, 'w')
  const sink = new ImageSink(target, algorithms)
  if (source.kind === 'file') {
    await copyInto(sink, source.path, job)
  } else {
    await download(source, sink, {
      shown: job.shown,
      needRoom: bytes => needRoom(bytes, job),
      progressOf: total => progressOf('download', total),
    })
  }
  return await sink.finish()
}

/** @throws ImageUnreachable when somebody writes the file meanwhile: what came may be half of one and half of another */
async function copyInto(sink: ImageSink, path: string, job: Job): Promise<void> {
  await using file = await open(path)
  const { size, mtimeMs } = await file.stat()
  await needRoom(size, job)
  const progress = progressOf('download', size)
  for await (const chunk of file.createReadStream({ highWaterMark: chunkBytes, autoClose: false })) {
    await sink.write(chunk)
    progress(sink.bytes)
  }
  const now = await file.stat()
  if (sink.bytes === size && now.size === size && now.mtimeMs === mtimeMs) return
  throw new ImageUnreachable(
    `Cannot use image ${job.shown}: it was changed while it was read (it had ${size} bytes, ${sink.bytes} were read, it has ${now.size} now); expected a file that nobody writes any more`,
  )
}

const unpackers = {
  zstd: { magic: Buffer.from('28b52ffd', 'hex'), open: createZstdDecompress },
  // With the only method that there is.
  gzip: { magic: Buffer.from('1f8b08', 'hex'), open: createGunzip },
}

async function compressionOf(file: string): Promise<Compression | null> {
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
  const begins = (magic: Buffer) => bytesRead >= magic.length && buffer.subarray(0, magic.length).equals(magic)
  return (['zstd', 'gzip'] as const).find(name => begins(unpackers[name].magic)) ?? null
}

async function decompress(file: string, compression: Compression, job: Job): Promise<void> {
  const plain = `${file}.plain`
  const { size } = await stat(file)
  {
    await using target = await open(plain, 'w')
    const sink = new ImageSink(target, [])
    const progress = progressOf('decompress', null)
    const source = createReadStream(file, { highWaterMark: chunkBytes })
    const stream = source.pipe(unpackers[compression].open())
    source.on('error', error => stream.destroy(error))
    try {
      for await (const chunk of stream) {
        // A few bytes can unfold to any size: room is asked for as it grows.
        if (Math.floor((sink.bytes + chunk.length) / (256 * chunkBytes)) > Math.floor(sink.bytes / (256 * chunkBytes)))
          await needRoom(256 * chunkBytes, job)
        await sink.write(chunk)
        progress(sink.bytes)
      }
    } catch (error) {
      if (isFull(error) || error instanceof Fault) throw error
      throw new ImageRefused(
        `Cannot use image ${job.shown}: its ${size} bytes are not whole ${compression} data (${messageOf(error)})`,
        { cause: error },
      )
    }
    await sink.finish()
  }
  await rename(plain, file)
}

async function look(file: string): Promise<DiskInspection> {
  await using handle = await open(file)
  const read = async (offset: number, length: number) => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }
  return await inspectDisk(read, (await handle.stat()).size)
}

async function convert(file: string, inspection: DiskInspection, job: Job): Promise<void> {
  const raw = `${file}.raw`
  const { size } = await stat(file)
  const hoped = Math.min(size * job.conversion.growthFactor, inspection.virtualSizeBytes)
  // The whole disk would be best; holes usually make it much less.
  await needRoom(inspection.virtualSizeBytes, job).catch(() => needRoom(hoped, job))
  const progress = progressOf('convert', inspection.virtualSizeBytes)
  await convertToRaw({
    from: file,
    to: raw,
    format: inspection.format,
    shown: job.shown,
    ...job.conversion,
    onProgress: share => progress(Math.round(share * inspection.virtualSizeBytes)),
  })
  await rm(file)
  await rename(raw, file)
  const result = await look(file)
  if (!rawFormats.includes(result.format)) {
    throw new ImageRefused(
      `Cannot use image ${job.shown}: inside the ${inspection.format} is a ${result.format}; expected a raw disk`,
    )
  }
}

async function hashFile(
  file: string,
  sizeBytes: number,
  algorithms: readonly string[],
): Promise<Record<string, string>> {
  const unique = [...new Set(algorithms)]
  const hashes = unique.map(algo => createHash(algo))
  const progress = progressOf('verify', sizeBytes)
  let bytes = 0
  for await (const chunk of createReadStream(file, { highWaterMark: chunkBytes })) {
    for (const hash of hashes) hash.update(chunk)
    bytes += chunk.length
    progress(bytes)
  }
  return Object.fromEntries(unique.map((algo, index) => [algo, hashes[index]?.digest('hex') ?? '']))
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path)
  await handle.sync()
}

/** Asks the service to drop unused images when the file system has less than this free. */
async function needRoom(bytes: number, job: Place): Promise<void> {
  const { bavail, bsize } = await statfs(job.workspace)
  if (bavail * bsize >= bytes) return
  const refused = await new Promise<string | null>(resolve => {
    process.once('message', (message: ServiceMessage) =>
      resolve(message.kind === 'room' ? message.refused : 'out of step'),
    )
    process.send?.({ kind: 'room', bytes } satisfies WorkerMessage)
  })
  if (refused !== null)
    throw new ImageStoreFull(
      `Cannot store image ${job.shown}: it needs ${bytes} bytes; ${refused}; expected ${roomFor}`,
    )
}

/** Reports at most four times a second. */
function progressOf(phase: JobPhase, total: number | null): (bytes: number) => void {
  let nextMs = 0
  return bytes => {
    const nowMs = performance.now()
    if (nowMs < nextMs && bytes !== total) return
    nextMs = nowMs + 250
    process.send?.({ kind: 'progress', progress: { phase, bytes, total_bytes: total } } satisfies WorkerMessage)
  }
}
