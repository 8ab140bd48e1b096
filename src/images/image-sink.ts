/** A file that an image is written into as it comes, hashed on the way; runs of zeros become holes. */
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { Checksum } from './checksum.ts'
import { SteadyWrites } from './steady-writes.ts'

const zeros = Buffer.alloc(64 * 1024)

/** What came, and its hashes by algorithm. */
export interface Fetched {
  readonly sizeBytes: number
  readonly hashes: Record<string, string>
}

export class ImageSink {
  bytes = 0
  readonly #file: FileHandle
  readonly #writes: SteadyWrites
  readonly #algorithms: readonly Checksum['algo'][]
  #hashes: Hash[] = []

  constructor(file: FileHandle, algorithms: readonly Checksum['algo'][]) {
    this.#file = file
    this.#writes = new SteadyWrites(file)
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
    if (!isZero(chunk)) await this.#writes.write(chunk, this.bytes)
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

/** Whether the file system has no room left. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}
