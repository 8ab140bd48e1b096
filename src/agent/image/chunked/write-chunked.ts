/**
 * Writes an image from its chunked form (protocol/chunked-image.ts): only what holds data is fetched and written, the rest
 * is made to read as zeros. Every chunk proves itself by its hash before it is decoded. The first chunk, which holds the
 * partition table, is written last, so that no failure leaves half an image that boots.
 *
 * What was written stays of use after a failure: the next command that asks for the same image looks at the disk and
 * fetches only what is not there.
 */
import type { FileHandle } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { messageOf } from '#lib/fault.ts'
import { type ChunkManifest, emptyRanges, type ImageTraffic, plainBytes } from '#protocol/chunked-image.ts'
import { AgentFault } from '../../errors.ts'
import { openExclusively } from '../../hardware/device-use.ts'
import { wipeMetadata } from '../../hardware/erase-metadata.ts'
import { markWriting, unbootable, unmarkWriting } from '../image-record.ts'
import type { ImageRun, WriteJob } from '../prepare-image.ts'
import { requireFit } from '../write-raw.ts'
import { Zeroing, type ZeroRange } from '../zero-ranges.ts'
import { type ChunkThreads, startChunkThreads } from './chunk-thread.ts'
import { ChunkTransfer, type Piece } from './chunk-transfer.ts'
import { fetchManifest } from './manifest.ts'
import { forgetRecord, openRecord } from './written-record.ts'

/**
 * @returns what it took; null when there is no chunked form to be had, and nothing was touched then
 * @throws AgentFault ImageDownloadError, ImageChecksumError, ImageWriteError; the disk is without partitions then
 */
export async function chunksToDisk(job: WriteJob, run: ImageRun): Promise<ImageTraffic | null> {
  const { info, device, capacityBytes } = job
  const offered = info.ferrite_chunked
  if (!offered) return null
  run.progress({ phase: 'download', bytes: 0, total_bytes: null, detail: 'manifest' })
  const manifest = await fetchManifest(run.agent, info, offered, run.signal)
  if (manifest === null) return null
  requireFit(manifest.size_bytes, capacityBytes, device)

  const startedMs = performance.now()
  await wipeMetadata(device)
  markWriting(run.agent.store, device, null)
  const handle = await openExclusively(device)
  const threads = startChunkThreads(device, manifest.chunk_bytes, Math.min(3, Math.max(2, availableParallelism())))
  const write = new ChunkWrite({
    job,
    run,
    manifest,
    manifestSha256: offered.manifest_sha256,
    url: offered.data_url,
    threads,
  })
  let failure: unknown = null
  try {
    await write.all(handle)
  } catch (error) {
    failure = error
  }
  await threads.close()
  write.close()
  await handle.close()
  if (failure !== null) {
    await unbootable(device).catch(error => run.agent.log.error(`Wiping ${device}: ${messageOf(error)}`))
  }
  unmarkWriting(run.agent.store)
  if (failure !== null) throw failure
  const traffic = { ...write.traffic(), seconds: Math.round(performance.now() - startedMs) / 1000 }
  run.agent.log.info(`Image ${info.id} is on ${device}: ${JSON.stringify(traffic)}`)
  return traffic
}

interface ChunkWriteOptions {
  job: WriteJob
  run: ImageRun
  manifest: ChunkManifest
  manifestSha256: string
  url: string
  threads: ChunkThreads
}

/** One image onto one disk, and what it took so far. */
class ChunkWrite {
  readonly #options: ChunkWriteOptions
  readonly #pieces: Piece[]
  readonly #dataBytes: number
  /** What lies before it is not forgotten any more by the disk, and may be written. */
  readonly #forgotten = new Frontier()
  #transfer: ChunkTransfer | null = null
  #received = 0
  /** Stored bytes of what is on the disk now because it was fetched. */
  #useful = 0
  #written = 0
  #zeroed = 0
  #kept = 0

  constructor(options: ChunkWriteOptions) {
    this.#options = options
    let offset = 0
    this.#pieces = options.manifest.chunks.map((chunk, place) => {
      const piece = { chunk, place, offset, received: 0, block: null, badTimes: 0 }
      offset += chunk.stored_bytes
      return piece
    })
    this.#dataBytes = offset
  }

  traffic(): Omit<ImageTraffic, 'seconds'> {
    return {
      form: 'chunked',
      image_bytes: this.#options.manifest.size_bytes,
      received_bytes: this.#received,
      received_twice_bytes: this.#received - this.#useful,
      written_bytes: this.#written,
      zeroed_bytes: this.#zeroed,
      kept_bytes: this.#kept,
    }
  }

  /** When nothing is under way any more. */
  close(): void {
    this.#transfer?.close()
  }

  async all(handle: FileHandle): Promise<void> {
    const { job, run, manifest, manifestSha256, url, threads } = this.#options
    const { info } = job
    this.#report()
    const record = openRecord(run.agent.store, { device: job.device, manifestSha256 }, this.#pieces.length)
    // The first chunk is not in there: it is written when everything else is.
    const known = new Set(record.before)
    for (const place of await this.#stillThere(this.#pieces.filter(piece => known.has(piece.place)))) record.add(place)

    const stop = new AbortController()
    const signal = AbortSignal.any([run.signal, stop.signal])
    this.#transfer = new ChunkTransfer({
      agent: run.agent,
      info,
      url,
      dataBytes: this.#dataBytes,
      signal,
      write: async (piece, block) => {
        await this.#forgotten.reached(piece.chunk.index * manifest.chunk_bytes + this.#plain(piece))
        return await threads.write(piece.chunk, block, this.#plain(piece))
      },
      onDone: piece => {
        this.#useful += piece.chunk.stored_bytes
        this.#written += this.#plain(piece)
        if (piece.chunk.index > 0) record.add(piece.place)
        this.#report()
      },
      onReceived: bytes => {
        this.#received += bytes
      },
    })
    const transfer = this.#transfer
    try {
      const zeroing = await Zeroing.of(job.device, handle)
      const empty = emptyRanges(manifest)
      const missing = this.#pieces.filter(({ received, chunk }) => received < chunk.stored_bytes)
      await bothOrNeither(stop, [
        () => transfer.run(missing.filter(({ chunk }) => chunk.index > 0)),
        () => this.#guarded(() => this.#empty(zeroing, empty, signal)),
      ])
      // What follows the table must be on the disk before the table is.
      await this.#guarded(() => handle.sync())
      await transfer.run(missing.filter(({ chunk }) => chunk.index === 0))
      await this.#guarded(() => handle.sync())
    } catch (error) {
      record.save()
      throw error
    }
    forgetRecord(run.agent.store)
    this.#report()
  }

  async #empty(zeroing: Zeroing, ranges: readonly ZeroRange[], signal: AbortSignal): Promise<void> {
    try {
      const onForgotten = (to: number) => this.#forgotten.advance(to)
      if (this.#kept === 0) await zeroing.forgetSpan(ranges, { signal, onForgotten })
    } finally {
      this.#forgotten.advance(Number.POSITIVE_INFINITY)
    }
    const onZeroed = (bytes: number) => {
      this.#zeroed += bytes
      this.#report()
    }
    await zeroing.make(ranges, { signal, onZeroed })
  }

  /** Of chunks that were written before, the places of those that the disk still holds; they count as received. */
  async #stillThere(pieces: readonly Piece[]): Promise<number[]> {
    const { threads, run } = this.#options
    const places: number[] = []
    const looks = pieces.map(async piece => {
      const { kind } = await threads.check(piece.chunk, this.#plain(piece))
      if (kind !== 'done') return
      piece.received = piece.chunk.stored_bytes
      places.push(piece.place)
      this.#kept += this.#plain(piece)
      this.#report()
    })
    await Promise.all(looks)
    if (pieces.length > 0)
      run.agent.log.info(`${places.length} of ${pieces.length} chunks that were written before are still there`)
    return places
  }

  #plain({ chunk }: Piece): number {
    return plainBytes(this.#options.manifest, chunk.index)
  }

  /** @throws AgentFault ImageWriteError in place of the system's own */
  async #guarded(work: () => Promise<void>): Promise<void> {
    const { run, job } = this.#options
    try {
      await work()
    } catch (error) {
      run.signal.throwIfAborted()
      if (error instanceof AgentFault) throw error
      throw new AgentFault('ImageWriteError', `Writing to ${job.device} failed: ${messageOf(error)}`, { cause: error })
    }
  }

  #report(): void {
    const { job, run, manifest } = this.#options
    const bytes = this.#written + this.#zeroed + this.#kept
    run.progress({
      phase: 'write',
      bytes,
      total_bytes: manifest.size_bytes,
      detail: `${job.device}: ${mib(this.#received)} MiB received, ${mib(this.#written)} MiB written`,
    })
  }
}

/** A place that moves towards the end of the disk, and those who wait for it to pass theirs. */
class Frontier {
  #at = 0
  #waiting: { at: number; go: () => void }[] = []

  advance(to: number): void {
    this.#at = to
    const due = this.#waiting.filter(({ at }) => at <= to)
    this.#waiting = this.#waiting.filter(({ at }) => at > to)
    for (const { go } of due) go()
  }

  async reached(at: number): Promise<void> {
    if (at > this.#at) await new Promise<void>(go => this.#waiting.push({ at, go }))
  }
}

/** Runs both at once; when one fails the other is stopped, and the first failure is the one that is told. */
async function bothOrNeither(stop: AbortController, works: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = []
  await Promise.all(
    works.map(work =>
      work().catch(error => {
        failures.push(error)
        stop.abort(error)
      }),
    ),
  )
  if (failures.length > 0) throw failures[0]
}

function mib(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}
