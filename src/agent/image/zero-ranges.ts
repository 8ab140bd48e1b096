/**
 * Makes ranges of a disk read as zeros, as cheaply as the disk lets us: it is told to forget them where it says that they
 * are zeros afterwards, the kernel sends zeros where it says nothing. Some disks do not keep that word: each range is
 * looked at in a few places, and the first one that holds something ends all trust. Everything is sent zeros then.
 *
 * Source: fallocate(2) on block devices (punching a hole fails rather than being slow or inexact), blkdiscard(8); Linux,
 * Documentation/ABI/stable/sysfs-block, write_zeroes_max_bytes.
 */
import { randomInt } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { run } from '#lib/run.ts'
import { zero } from '../hardware/erase-metadata.ts'
import { readOrNull } from '../hardware/sys-files.ts'

/** Lengths must be multiples of the sector; what is less at the end is written. */
const SECTOR_BYTES = 4096
/** Asked for at a time, so that progress is told and an end is heard. */
const PIECE_BYTES = 2 * 1024 * 1024 * 1024
const BATCH_PIECES = 64
/** Of each piece its ends are looked at, and so many places between them. */
const LOOKS = 4
/** The share of what lies between ranges, up to which a span of them is forgotten as a whole. */
const MOST_BETWEEN = 1 / 8

export interface ZeroRange {
  from: number
  to: number
}

/** How a disk's ranges become zeros; one object for one disk that is being written. */
export class Zeroing {
  readonly #device: string
  readonly #handle: FileHandle
  /** `forget`: the disk does it. `kernel`: the kernel sends zeros. `write`: we do. */
  #way: 'forget' | 'kernel' | 'write'
  /** What was not written by us. */
  readonly #trusted: ZeroRange[] = []
  /** The disk was asked for all that is to come. */
  #isForgotten = false

  private constructor(device: string, handle: FileHandle, forgets: boolean) {
    this.#device = device
    this.#handle = handle
    this.#way = forgets ? 'forget' : 'kernel'
  }

  /** @param handle of the same device, held exclusively */
  static async of(device: string, handle: FileHandle): Promise<Zeroing> {
    const sys = `/sys/class/block/${basename(device)}`
    // A partition has the queue of its disk.
    const most =
      (await readOrNull(`${sys}/queue/write_zeroes_max_bytes`)) ??
      (await readOrNull(`${sys}/../queue/write_zeroes_max_bytes`))
    return new Zeroing(device, handle, Number(most ?? 0) > 0)
  }

  /** Whether the disk makes zeros by itself; to one that does not they may as well be written as they come. */
  get isCheap(): boolean {
    return this.#way === 'forget'
  }

  /**
   * Has the disk forget everything from the first range to the last one, in few questions: each takes its time, however
   * short the range is. For those who then `make` these ranges, while nothing that lies between them is of any worth yet.
   * It does nothing where the disk does not forget, or where that would be much more than the ranges.
   * @param onForgotten told where that ends which is forgotten so far
   */
  async forgetSpan(
    ranges: readonly ZeroRange[],
    { signal, onForgotten }: { signal?: AbortSignal; onForgotten?: (to: number) => void } = {},
  ): Promise<void> {
    const [first, last] = [ranges.at(0), ranges.at(-1)]
    if (this.#way !== 'forget' || !first || !last || first === last) return
    const span = { from: first.from, to: last.to - ((last.to - first.from) % SECTOR_BYTES) }
    const emptyBytes = ranges.reduce((bytes, { from, to }) => bytes + to - from, 0)
    if (span.to - span.from - emptyBytes > (span.to - span.from) * MOST_BETWEEN) return
    for (const batch of batches([span])) {
      signal?.throwIfAborted()
      if (!(await this.#ask('fallocate --punch-hole', batch))) return
      for (const { to } of batch) onForgotten?.(to)
    }
    this.#isForgotten = true
  }

  /**
   * @param onZeroed told after every few pieces
   * @throws Error of the system when the disk fails
   */
  async make(
    ranges: readonly ZeroRange[],
    { signal, onZeroed }: { signal?: AbortSignal; onZeroed?: (bytes: number) => void } = {},
  ): Promise<void> {
    for (const batch of batches(ranges)) {
      signal?.throwIfAborted()
      await this.#makeBatch(batch)
      onZeroed?.(batch.reduce((bytes, { from, to }) => bytes + to - from, 0))
    }
  }

  async #makeBatch(batch: readonly ZeroRange[]): Promise<void> {
    const whole = batch.map(({ from, to }) => ({ from, to: to - ((to - from) % SECTOR_BYTES) }))
    const pieces = whole.filter(({ from, to }) => to > from)
    if (this.#way === 'forget' && !this.#isForgotten && !(await this.#ask('fallocate --punch-hole', pieces)))
      this.#way = 'kernel'
    if (this.#way === 'kernel' && !(await this.#ask('blkdiscard --zeroout', pieces))) this.#way = 'write'
    if (this.#way === 'write') await this.#write(pieces)
    else await this.#trust(pieces)
    for (const [index, { to }] of batch.entries()) await zero(this.#handle, whole[index]?.to ?? to, to)
  }

  /** Whether a program is there and did its work; why not does not matter, for there is another way. */
  async #ask(program: string, pieces: readonly ZeroRange[]): Promise<boolean> {
    // A shell starts a program in a tenth of the time that it takes a process as large as ours.
    const script = `while read -r from length; do ${program} --offset "$from" --length "$length" "$0" || exit 1; done`
    const input = pieces.map(({ from, to }) => `${from} ${to - from}\n`).join('')
    return await run('sh', ['-c', script, this.#device], { input }).then(
      () => true,
      () => false,
    )
  }

  /** Looks whether the disk did what it says; else all that it says is done again. */
  async #trust(pieces: readonly ZeroRange[]): Promise<void> {
    this.#trusted.push(...pieces)
    const looks = await Promise.all(pieces.map(piece => this.#looksEmpty(piece)))
    if (looks.every(Boolean)) return
    this.#way = 'write'
    await this.#write(this.#trusted.splice(0))
  }

  async #write(pieces: readonly ZeroRange[]): Promise<void> {
    for (const { from, to } of pieces) await zero(this.#handle, from, to)
  }

  async #looksEmpty({ from, to }: ZeroRange): Promise<boolean> {
    const sectors = (to - from) / SECTOR_BYTES
    const places = [0, sectors - 1, ...Array.from({ length: LOOKS }, () => randomInt(sectors))]
    for (const place of new Set(places)) {
      const found = Buffer.alloc(SECTOR_BYTES)
      await this.#handle.read(found, 0, SECTOR_BYTES, from + place * SECTOR_BYTES)
      if (!found.equals(nothing)) return false
    }
    return true
  }
}

/** Pieces of the ranges, as many at a time as are about as large as one may be. */
function* batches(ranges: readonly ZeroRange[]): Iterable<ZeroRange[]> {
  let batch: ZeroRange[] = []
  let bytes = 0
  for (const { from, to } of ranges) {
    for (let at = from; at < to; at += PIECE_BYTES) {
      const piece = { from: at, to: Math.min(to, at + PIECE_BYTES) }
      batch.push(piece)
      bytes += piece.to - piece.from
      if (bytes < PIECE_BYTES && batch.length < BATCH_PIECES) continue
      yield batch
      batch = []
      bytes = 0
    }
  }
  if (batch.length > 0) yield batch
}

const nothing = Buffer.alloc(SECTOR_BYTES)
