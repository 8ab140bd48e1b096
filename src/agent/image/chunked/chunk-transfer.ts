/**
 * Fetches chunks over a few connections at once and hands each to the threads. A connection that breaks costs what was on
 * its way: what came of a chunk is kept and only the rest is asked for. How much is asked for at a time shrinks when
 * connections break and grows while they hold, so that little is lost by either. Memory is a fixed number of blocks.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#lib/fault.ts'
import type { ImageInfo } from '#protocol/agent.ts'
import type { ImageChunk } from '#protocol/chunked-image.ts'
import { BulkLine } from '../../bulk-get.ts'
import type { AgentContext } from '../../context.ts'
import { AgentFault } from '../../errors.ts'
import { request, shown } from '../../http.ts'
import { type Block, giveBack, takeBlock } from '../direct-access.ts'
import { proxies } from '../source.ts'
import type { ChunkOutcome } from './chunk-thread.ts'

const LINES = 3
/** So many that connections fill some while threads work on others, and that each broken line may hold one back. */
const BLOCKS = 8
/** Bytes that are asked for at a time; what is on its way when a connection breaks is at most this on each. */
const SPAN = { first: 1024 * 1024, least: 64 * 1024, most: 8 * 1024 * 1024, growAfter: 128 }
/** How often a chunk may come and not be what the manifest says. */
const BAD_LIMIT = 3
const BROKEN_PAUSE_MS = 200

/** A chunk on its way. */
export interface Piece {
  readonly chunk: ImageChunk
  /** Its place in the manifest, and in the data file. */
  readonly place: number
  readonly offset: number
  received: number
  block: Block | null
  badTimes: number
}

export interface ChunkTransferOptions {
  agent: AgentContext
  info: ImageInfo
  url: string
  /** Of the whole data file. */
  dataBytes: number
  signal: AbortSignal
  /** Checks, decodes and writes; the block is free afterwards. */
  write: (piece: Piece, block: Block) => Promise<ChunkOutcome>
  /** A chunk is on the disk. */
  onDone: (piece: Piece) => void
  /** Bytes that came, good or not. */
  onReceived: (bytes: number) => void
}

/** For one image; `run` may be called several times. */
export class ChunkTransfer {
  readonly #options: ChunkTransferOptions
  readonly #blocks = Array.from({ length: BLOCKS }, takeBlock)
  readonly #free = [...this.#blocks]
  readonly #deadline: number
  #pending: Piece[] = []
  #left = 0
  #span = SPAN.first
  #heldSince = 0
  #stop = new AbortController()
  #changed = Promise.withResolvers<void>()

  constructor(options: ChunkTransferOptions) {
    this.#options = options
    const { downloadMaxDurationMs } = options.agent.options
    this.#deadline = downloadMaxDurationMs > 0 ? performance.now() + downloadMaxDurationMs : Number.POSITIVE_INFINITY
  }

  /**
   * Fetches these and resolves when all are on the disk.
   * @throws AgentFault ImageDownloadError, ImageDownloadTimeoutError, ImageChecksumError, ImageWriteError
   */
  async run(pieces: readonly Piece[]): Promise<void> {
    this.#pending = [...pieces]
    this.#left = pieces.length
    this.#stop = new AbortController()
    const wake = () => this.#wake()
    this.#options.signal.addEventListener('abort', wake)
    await Promise.allSettled(Array.from({ length: Math.min(LINES, pieces.length) }, () => this.#line()))
    this.#options.signal.removeEventListener('abort', wake)
    this.#options.signal.throwIfAborted()
    this.#stop.signal.throwIfAborted()
  }

  /** Gives the memory back; when nothing is under way any more, also with the threads. */
  close(): void {
    for (const block of this.#blocks) giveBack(block)
  }

  /** One connection: takes the next span until nothing is left. */
  async #line(): Promise<void> {
    const line = new BulkLine()
    const signal = AbortSignal.any([this.#stop.signal, this.#options.signal])
    let failures = 0
    try {
      while (this.#left > 0) {
        signal.throwIfAborted()
        const span = this.#takeSpan()
        if (span.length === 0) {
          // The rest is with other lines or with the threads, and may come back.
          await this.#change()
          continue
        }
        const delivered = new Set<Piece>()
        let came = false
        try {
          await this.#fetch(span, { line, signal, came: () => (came = true), delivered })
          failures = 0
          this.#held()
        } catch (error) {
          signal.throwIfAborted()
          line.close()
          failures = came ? 1 : failures + 1
          await this.#broke(error, failures, came, signal)
        } finally {
          this.#giveBack(span.filter(piece => !delivered.has(piece)))
        }
      }
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      line.close()
      this.#wake()
    }
  }

  /** Pieces that lie one after the other in the data file, about as much as is asked for at a time. */
  #takeSpan(): Piece[] {
    const span: Piece[] = []
    let bytes = 0
    for (const piece of this.#pending) {
      const last = span.at(-1)
      if (bytes >= this.#span || (last && last.offset + last.chunk.stored_bytes !== piece.offset)) break
      // What came of a later one would be asked for again.
      if (last && piece.received > 0) break
      span.push(piece)
      bytes += piece.chunk.stored_bytes - piece.received
    }
    this.#pending.splice(0, span.length)
    return span
  }

  async #fetch(
    span: readonly Piece[],
    { line, signal, came, delivered }: { line: BulkLine; signal: AbortSignal; came: () => void; delivered: Set<Piece> },
  ): Promise<void> {
    const [first] = span
    const last = span.at(-1)
    if (first === undefined || last === undefined) return
    this.#checkTime()
    const from = first.offset + first.received
    const to = Math.min(from + this.#span, last.offset + last.chunk.stored_bytes)
    const { agent, info, url, onReceived } = this.#options
    const answer = await request(agent.options, {
      url,
      headers: { 'Accept-Encoding': 'identity', Range: `bytes=${from}-${to - 1}` },
      timeoutMs: agent.options.downloadTimeoutMs,
      signal,
      bulk: line,
      ...proxies(info),
    })
    this.#examine(answer, from)
    for await (const bytes of answer.body) {
      came()
      onReceived(bytes.length)
      this.#checkTime()
      for (let used = 0; used < bytes.length; ) {
        const piece = span[delivered.size]
        if (piece === undefined) throw new Error('more came than was asked for')
        piece.block ??= await this.#block(signal)
        const take = Math.min(bytes.length - used, piece.chunk.stored_bytes - piece.received)
        piece.block.set(bytes.subarray(used, used + take), piece.received)
        piece.received += take
        used += take
        if (piece.received < piece.chunk.stored_bytes) continue
        delivered.add(piece)
        void this.#deliver(piece, piece.block)
      }
    }
  }

  #examine(
    {
      status,
      headers,
      url,
      body,
    }: { status: number; headers: Record<string, unknown>; url: string; body: { destroy(): void } },
    from: number,
  ): void {
    const { dataBytes } = this.#options
    const [, begin, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(String(headers['content-range'])) ?? []
    if (status === 206 && Number(begin) === from && Number(total) === dataBytes) return
    body.destroy()
    if (status === 206 && Number(total) !== dataBytes) {
      throw new Fatal(
        `${shown(url)} has ${total} bytes, the manifest's chunks have ${dataBytes}: it was changed on the server`,
      )
    }
    if (status === 206)
      throw new Error(`${shown(url)} answered ${String(headers['content-range'])}, asked for was byte ${from}`)
    if (status === 200) throw new Fatal(`${shown(url)} is served without ranges`)
    const message = `${shown(url)} answered ${status}`
    throw status >= 400 && status < 500 && status !== 408 && status !== 429 ? new Fatal(message) : new Error(message)
  }

  /** Never rejects: what goes wrong ends the transfer. */
  async #deliver(piece: Piece, block: Block): Promise<void> {
    const { write, onDone, info, agent } = this.#options
    try {
      const outcome = await write(piece, block)
      this.#free.push(block)
      piece.block = null
      if (outcome.kind === 'done') {
        this.#left--
        onDone(piece)
      } else if (outcome.kind === 'failed') {
        throw new AgentFault(
          'ImageWriteError',
          `Writing chunk ${piece.chunk.index} of image ${info.id} failed: ${outcome.why}`,
        )
      } else {
        piece.badTimes++
        piece.received = 0
        if (piece.badTimes >= BAD_LIMIT) {
          throw new AgentFault(
            'ImageChecksumError',
            `Chunk ${piece.chunk.index} of image ${info.id} came ${piece.badTimes} times and was wrong each time: ${outcome.why}`,
          )
        }
        agent.log.warn(`Chunk ${piece.chunk.index} of image ${info.id} is wrong and is asked for again: ${outcome.why}`)
        this.#giveBack([piece])
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#wake()
  }

  /** Waits after a break, or gives up. Where something came, the next try is not far. */
  async #broke(error: unknown, failures: number, came: boolean, signal: AbortSignal): Promise<void> {
    const { agent, url } = this.#options
    const { downloadRetries, downloadRetryPauseMs } = agent.options
    this.#span = SPAN.least
    this.#heldSince = 0
    if (error instanceof AgentFault) throw error
    if (error instanceof Fatal || failures > downloadRetries) {
      const times = failures <= 1 ? '' : `, ${failures} times in a row`
      throw new AgentFault(
        'ImageDownloadError',
        `Fetching the chunks ${shown(url)} failed${times}, with ${this.#left} left: ${messageOf(error)}`,
        { cause: error },
      )
    }
    agent.log.warn(`A connection to ${shown(url)} broke, with ${this.#left} chunks left: ${messageOf(error)}`)
    const pauseMs = came ? Math.min(BROKEN_PAUSE_MS, downloadRetryPauseMs) : downloadRetryPauseMs
    await sleep(pauseMs, undefined, { signal })
  }

  #held(): void {
    if (++this.#heldSince % SPAN.growAfter === 0) this.#span = Math.min(SPAN.most, this.#span * 2)
  }

  async #block(signal: AbortSignal): Promise<Block> {
    for (;;) {
      signal.throwIfAborted()
      const block = this.#free.pop()
      if (block !== undefined) return block
      await this.#change()
    }
  }

  #giveBack(pieces: readonly Piece[]): void {
    if (pieces.length === 0) return
    this.#pending.unshift(...pieces)
    this.#wake()
  }

  #fail(error: unknown): void {
    this.#stop.abort(error)
    this.#wake()
  }

  #change(): Promise<void> {
    return this.#changed.promise
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }

  #checkTime(): void {
    if (performance.now() < this.#deadline) return
    const { downloadMaxDurationMs } = this.#options.agent.options
    throw new AgentFault(
      'ImageDownloadTimeoutError',
      `Fetching the image took longer than the allowed ${downloadMaxDurationMs / 1000} s; ${this.#left} chunks were left`,
    )
  }
}

/** Asking again would bring the same. */
class Fatal extends Error {}
