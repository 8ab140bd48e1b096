/**
 * Turns a plain image into its chunked form (protocol/chunked-image.ts) in one pass, which also hashes the whole: what
 * the manifest promises is what was hashed, for both come from the same bytes in memory. Each compressed chunk is
 * decoded again and compared before it counts. Runs in the worker process; it makes nothing visible.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { type ChunkManifest, chunkBytes, chunkedVersion, type ImageChunk } from '#protocol/chunked-image.ts'
import { ImageNotPrepared } from '../faults.ts'
import { SteadyWrites } from '../steady-writes.ts'

/** Chunks that are compressed at a time: as many as keep two processors busy beside the hashing. */
const inFlight = 4
const level = 3

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

export interface Chunked {
  /** Of the whole image, by algorithm. */
  readonly hashes: Record<string, string>
  readonly manifest: ChunkManifest
}

/**
 * Reads `from` and writes the data file `to`, which is on the disk afterwards.
 * @param onProgress bytes of the image done
 * @throws ImageNotPrepared when a chunk does not decode to what it was made of
 */
export async function chunkImage(job: {
  from: string
  to: string
  shown: string
  algorithms: readonly string[]
  onProgress?: (bytes: number) => void
  /** Asked before so many more bytes are written. */
  needRoom?: (bytes: number) => Promise<void>
}): Promise<Chunked> {
  await using source = await open(job.from)
  await using target = await open(job.to, 'w')
  const writes = new SteadyWrites(target)
  const { size } = await source.stat()
  const algorithms = [...new Set(['sha256', ...job.algorithms])]
  const whole = algorithms.map(algo => createHash(algo))
  const chunks: ImageChunk[] = []
  const encoding: Promise<Encoded & { buffer: Buffer }>[] = []
  // Used over and over: memory that is new for each piece costs as much of the processor as the hashing.
  const buffers: Buffer[] = []
  let storedBytes = 0

  const storeNext = async () => {
    const encoded = await encoding.shift()
    if (encoded === undefined) return
    if (storedBytes % roomStepBytes < encoded.stored.length) await job.needRoom?.(roomStepBytes)
    await writes.write(encoded.stored, storedBytes)
    storedBytes += encoded.stored.length
    chunks.push(encoded.chunk)
    buffers.push(encoded.buffer)
  }

  try {
    for (let at = 0; at < size; at += chunkBytes) {
      const buffer = buffers.pop() ?? Buffer.allocUnsafeSlow(chunkBytes)
      const piece = buffer.subarray(0, Math.min(chunkBytes, size - at))
      await readFully(source, piece, at, job.shown)
      for (const hash of whole) hash.update(piece)
      if (isZero(piece)) buffers.push(buffer)
      else encoding.push(encode(at / chunkBytes, piece, job.shown).then(encoded => ({ ...encoded, buffer })))
      if (encoding.length >= inFlight) await storeNext()
      job.onProgress?.(at + piece.length)
    }
    while (encoding.length > 0) await storeNext()
  } finally {
    await Promise.allSettled(encoding)
  }
  await target.sync()

  const hashes = Object.fromEntries(algorithms.map((algo, index) => [algo, whole[index]?.digest('hex') ?? '']))
  const manifest: ChunkManifest = {
    version: chunkedVersion,
    size_bytes: size,
    sha256: hashes.sha256 ?? '',
    chunk_bytes: chunkBytes,
    chunks,
  }
  return { hashes, manifest }
}

const roomStepBytes = 256 * 1024 * 1024
const zeros = Buffer.alloc(chunkBytes)

interface Encoded {
  readonly chunk: ImageChunk
  readonly stored: Uint8Array
}

async function encode(index: number, piece: Buffer, shown: string): Promise<Encoded> {
  const packed = await compress(piece, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  })
  const worth = packed.length < piece.length
  if (worth && !(await decompress(packed, { maxOutputLength: piece.length })).equals(piece)) {
    throw new ImageNotPrepared(
      `Cannot prepare image ${shown}: chunk ${index} decodes to something else than it was made of; check this machine's memory`,
    )
  }
  const stored = worth ? packed : piece
  const chunk: ImageChunk = {
    index,
    stored_bytes: stored.length,
    encoding: worth ? 'zstd' : 'plain',
    stored_sha256: sha256(stored),
    sha256: sha256(piece),
  }
  return { chunk, stored }
}

/** @throws ImageNotPrepared when the file is shorter than it was */
async function readFully(source: FileHandle, piece: Buffer, from: number, shown: string): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const { bytesRead } = await source.read(piece, done, piece.length - done, from + done)
    if (bytesRead === 0) {
      throw new ImageNotPrepared(`Cannot prepare image ${shown}: it became shorter while it was read`)
    }
    done += bytesRead
  }
}

function isZero(piece: Buffer): boolean {
  return piece.equals(zeros.subarray(0, piece.length))
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
