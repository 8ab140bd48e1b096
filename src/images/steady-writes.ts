/**
 * Writing much without making others wait: what is written is sent to the disk every few megabytes. Without that the
 * kernel keeps gigabytes, and whoever writes a few bytes to the same file system when it lets go of them, such as the
 * database, waits until all are there.
 */
import type { FileHandle } from 'node:fs/promises'
import { writeFully } from '#lib/write-fully.ts'

const unsentBytes = 16 * 1024 * 1024

export class SteadyWrites {
  readonly #file: FileHandle
  #unsent = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    await writeFully(this.#file, bytes, at)
    this.#unsent += bytes.length
    if (this.#unsent < unsentBytes) return
    this.#unsent = 0
    await this.#file.datasync()
  }
}
