/**
 * A process that does one job and ends: fetch an image into its workspace, verify, decompress, inspect, convert, chunk,
 * fsync; or only chunk one that is stored.
 * Started by job.ts and spoken to over IPC; when the service goes away, so does the worker, and its converter with it.
 * It writes nowhere but into its workspace and never makes an image visible.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { createZstdDecompress } from 'node:zlib'
import { type DiskFormat, type DiskInspection, inspectDisk } from '#lib/disk-format.ts'
import { Fault, messageOf } from '#lib/fault.ts'
import { writeFully } from '#lib/write-fully.ts'
import type { Checksum } from './checksum.ts'
import { chunkImage } from './chunked/chunk-image.ts'
import { type ChunkedFacts, dataFile, finishForm } from './chunked/stored-form.ts'
import { convertToRaw } from './convert.ts'
import {
  ImageChecksumMismatch,
  ImageNotPrepared,
  ImageRefused,
  ImageStoreFull,
  ImageUnreachable,
  imageFaults,
} from './faults.ts'
import { ask, explain, type HttpAnswer } from './http.ts'
import {
  type ChunkJob,
  type Job,
  type JobPhase,
  type JobResult,
  rawFormats,
  type ServiceMessage,
  type WorkerMessage,
} from './job.ts'
import { refuseUnfit } from './safety.ts'

const downloadAttempts = 5
const chunkBytes = 1024 * 1024
const zeros = Buffer.alloc(64 * 1024)
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

  const decompressed = job.decompressZstd && (await isZstd(file))
  if (decompressed) await decompress(file, job)

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

interface Fetched {
  readonly sizeBytes: number
  readonly hashes: Record<string, string>
}

async function fetchInto(file: string, job: Job, algorithms: readonly Checksum['algo'][]): Promise<Fetched> {
  const { source } = job
  await using target = await open(file, 'w')
  const sink = new ImageSink(target, algorithms)
  if (source.kind === 'file') {
    const { size } = await stat(source.path)
    await needRoom(size, job)
    const progress = progressOf('download', size)
    for await (const chunk of createReadStream(source.path, { highWaterMark: chunkBytes })) {
      await sink.write(chunk)
      progress(sink.bytes)
    }
  } else {
    await download(source, sink, job)
  }
  return await sink.finish()
}

/**
 * Fetches, and goes on where a broken connection left off if the server can: the hash runs on. A server that cannot is
 * asked again from the start.
 */
async function download(source: Extract<Job['source'], { kind: 'http' }>, sink: ImageSink, job: Job): Promise<void> {
  let validator: string | undefined
  for (let attempt = 1; ; attempt += 1) {
    try {
      const resume = sink.bytes > 0 && validator !== undefined
      const answer = await ask(
        'GET',
        source.url,
        source.settings,
        resume ? { headers: { range: `bytes=${sink.bytes}-`, 'if-range': validator ?? '' } } : {},
      )
      const total = await begin(answer, sink, job)
      validator = strongValidator(answer)
      const progress = progressOf('download', total)
      try {
        for await (const chunk of answer.body as Readable) {
          await sink.write(chunk)
          progress(sink.bytes)
        }
      } catch (error) {
        if (isFull(error)) throw error
        throw new Interrupted(
          `${explain(error, answer.url)} after ${sink.bytes} of ${total ?? 'an unknown number of'} bytes`,
          { cause: error },
        )
      }
      if (total !== null && sink.bytes !== total)
        throw new Interrupted(`the transfer ended after ${sink.bytes} of ${total} bytes`)
      return
    } catch (error) {
      const mayPass = error instanceof Interrupted || error instanceof ServerBusy
      if (!mayPass) throw error
      if (attempt === downloadAttempts) {
        throw new ImageUnreachable(
          `Cannot fetch image ${job.shown}: ${messageOf(error)}, in each of ${attempt} attempts`,
          { cause: error },
        )
      }
      await delay(Math.min(5000, 100 * 3 ** (attempt - 1)) * (0.75 + Math.random() / 2))
    }
  }
}

/** The connection broke; another try may go further. */
class Interrupted extends Error {}
/** The server answered that it cannot now. */
class ServerBusy extends Error {}

/** Reads the status; answers the whole image's size, null when the server does not tell. */
async function begin(answer: HttpAnswer, sink: ImageSink, job: Job): Promise<number | null> {
  const { status, headers } = answer
  const length = headers['content-length'] === undefined ? null : Number(headers['content-length'])
  if (status === 206) {
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(String(headers['content-range'])) ?? []
    if (Number(from) === sink.bytes && total !== undefined) return Number(total)
    await answer.body.dump()
    await sink.restart()
    throw new Interrupted(`the server answered another range than asked for (${headers['content-range']})`)
  }
  if (status === 200) {
    await sink.restart()
    if (length !== null) await needRoom(length, job)
    return length
  }
  await answer.body.dump()
  if (status === 416) await sink.restart()
  if (status >= 500 || status === 429 || status === 416) throw new ServerBusy(`the server answers ${status}`)
  throw new ImageUnreachable(
    `Cannot fetch image ${job.shown}: the server answers ${status}; expected 200${status === 401 || status === 403 ? ' (see [deploy] image_server_auth_strategy)' : ''}`,
  )
}

/** What proves that a later range belongs to the same content. */
function strongValidator({ headers }: HttpAnswer): string | undefined {
  const { etag, 'last-modified': modified } = headers
  if (typeof etag === 'string' && !etag.startsWith('W/')) return etag
  return typeof modified === 'string' ? modified : undefined
}

/** Writes and hashes what comes; runs of zeros become holes. */
class ImageSink {
  bytes = 0
  readonly #file: FileHandle
  readonly #algorithms: readonly Checksum['algo'][]
  #hashes: Hash[] = []

  constructor(file: FileHandle, algorithms: readonly Checksum['algo'][]) {
    this.#file = file
    this.#algorithms = algorithms
    this.#hashes = algorithms.map(algo => createHash(algo))
  }

  async restart(): Promise<void> {
    if (this.bytes > 0) await this.#file.truncate(0)
    this.bytes = 0
    this.#hashes = this.#algorithms.map(algo => createHash(algo))
  }

  async write(chunk: Buffer): Promise<void> {
    for (const hash of this.#hashes) hash.update(chunk)
    if (!isZero(chunk)) await writeFully(this.#file, chunk, this.bytes)
    this.bytes += chunk.length
  }

  async finish(): Promise<Fetched> {
    // The file ends where the last hole ends.
    await this.#file.truncate(this.bytes)
    return {
      sizeBytes: this.bytes,
      hashes: Object.fromEntries(
        this.#algorithms.map((algo, index) => [algo, this.#hashes[index]?.digest('hex') ?? '']),
      ),
    }
  }
}

function isZero(chunk: Buffer): boolean {
  for (let at = 0; at < chunk.length; at += zeros.length) {
    const part = chunk.subarray(at, at + zeros.length)
    if (!part.equals(zeros.subarray(0, part.length))) return false
  }
  return true
}

async function isZstd(file: string): Promise<boolean> {
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
  return bytesRead === 4 && buffer.readUInt32LE(0) === 0xfd2fb528
}

async function decompress(file: string, job: Job): Promise<void> {
  const plain = `${file}.plain`
  const { size } = await stat(file)
  {
    await using target = await open(plain, 'w')
    const sink = new ImageSink(target, [])
    const progress = progressOf('decompress', null)
    const source = createReadStream(file, { highWaterMark: chunkBytes })
    const stream = source.pipe(createZstdDecompress())
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
        `Cannot use image ${job.shown}: its ${size} bytes are not whole zstd data (${messageOf(error)})`,
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

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}
