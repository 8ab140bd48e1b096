/**
 * Where the blocks of an image go, in the order of their places: whole ones past the page cache where that can be done,
 * the rest and whatever cannot be done so by the ordinary way. Zeros in a long row are not written where the disk makes
 * them by itself; the disk reads the same afterwards. It hashes nothing and keeps nothing back.
 */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { writeFully } from '#lib/write-fully.ts'
import { ALIGNMENT, BLOCK_BYTES, sharedPages } from './direct-access.ts'
import type { Zeroing, ZeroRange } from './zero-ranges.ts'

/** A shorter row of zeros is written sooner than the disk is asked for it; after the longer one it is asked. */
const ROW = { least: 16 * 1024 * 1024, most: 1024 * 1024 * 1024 }

export interface DiskTargetOptions {
  handle: FileHandle
  /** The block device behind the handle, to be written past the page cache; null: a file. */
  device: string | null
  /** Null: zeros are written like anything else. */
  zeroing: Zeroing | null
}

export class DiskTarget {
  readonly #buffered: FileHandle
  #direct: Promise<FileHandle | null>
  readonly #zeroing: Zeroing | null
  readonly #zeros = sharedPages(BLOCK_BYTES)
  /** Zeros in a row that came last and are not on the disk yet. */
  #row: ZeroRange | null = null
  #asked: Promise<void> = Promise.resolve()
  #zeroedBytes = 0

  constructor({ handle, device, zeroing }: DiskTargetOptions) {
    this.#buffered = handle
    this.#zeroing = zeroing
    this.#direct =
      device === null ? Promise.resolve(null) : open(device, constants.O_WRONLY | constants.O_DIRECT).catch(() => null)
  }

  /** What the disk was asked to make zero by itself. */
  get zeroedBytes(): number {
    return this.#zeroedBytes
  }

  /**
   * Resolves when the kernel has the block, or when it counts as one more of a row of zeros. Call it in the order of
   * places; blocks are on their way together.
   * @throws Error of the system
   */
  async write(part: Uint8Array, at: number): Promise<void> {
    if (!this.#zeroing?.isCheap || !isZero(part, this.#zeros)) {
      await Promise.all([this.#endRow(), this.put(part, at)])
      return
    }
    this.#row = { from: this.#row?.from ?? at, to: at + part.length }
    if (this.#row.to - this.#row.from >= ROW.most) await this.#endRow()
  }

  /** Writes a block wherever it belongs and whatever is in it. @throws Error of the system */
  async put(part: Uint8Array, at: number): Promise<void> {
    const direct = await this.#direct
    if (direct === null || part.length % ALIGNMENT !== 0) return await writeFully(this.#buffered, part, at)
    try {
      await writeFully(direct, part, at)
    } catch (error) {
      // Some devices have wishes of their own for direct access; the ordinary way takes everything.
      if (!(error instanceof Error && 'code' in error && error.code === 'EINVAL')) throw error
      this.#direct = Promise.resolve(null)
      await writeFully(this.#buffered, part, at)
    }
  }

  /** Resolves when all zeros are in their places. @throws Error of the system */
  async settle(): Promise<void> {
    await this.#endRow()
    await this.#asked
  }

  /** Gives back what was opened here; the handle stays open. */
  async close(): Promise<void> {
    await this.#asked.catch(() => {})
    await (await this.#direct)?.close()
  }

  async #endRow(): Promise<void> {
    const [row, zeroing] = [this.#row, this.#zeroing]
    this.#row = null
    if (row === null || zeroing === null) return
    const length = row.to - row.from
    if (length < ROW.least) return await this.#writeZeros(row)
    this.#zeroedBytes += length
    this.#asked = this.#asked.then(() => zeroing.make([row]))
    // Whoever settles hears of it.
    this.#asked.catch(() => {})
  }

  async #writeZeros({ from, to }: ZeroRange): Promise<void> {
    for (let at = from; at < to; at += BLOCK_BYTES) {
      await this.put(this.#zeros.subarray(0, Math.min(BLOCK_BYTES, to - at)), at)
    }
  }
}

function isZero(part: Uint8Array, zeros: Uint8Array): boolean {
  return Buffer.compare(part, zeros.subarray(0, part.length)) === 0
}
