/**
 * Writes a stream to a disk or file while it is hashed: reading fills one block of shared memory, the hash thread and the
 * kernel work on others. A few blocks are all the memory there is, so a slow disk slows the reader. Disks are written past
 * the page cache, several blocks at a time.
 *
 * The first block is kept back until `finish`, when the digest is known to be right: it holds the partition table, and so
 * neither a failure nor a power cut at any moment leaves half an image that boots.
 */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { writeFully } from '#lib/write-fully.ts'
import { AgentFault } from '../errors.ts'
import { ALIGNMENT, sharedPages } from './direct-access.ts'
import { startHashThread } from './hash-thread.ts'

const BLOCK_BYTES = 2 * 1024 * 1024
const BLOCKS = 8
/** What is written is pushed to the disk this often, so that little is left to do at the end. */
const FLUSH_BYTES = 64 * 1024 * 1024

export interface DiskWriterOptions {
  handle: FileHandle
  /** For messages. */
  name: string
  /** The block device behind the handle, to be written past the page cache; null: a file. */
  device: string | null
  /** What fits; Infinity for files. */
  capacityBytes: number
  /** Null: nothing is hashed. */
  algorithm: string | null
  /** Told after every block that is in the kernel's hands. */
  onWritten: (bytes: number) => void
}

export interface DiskWriter {
  /** @throws AgentFault ImageWriteError when it does not fit or the disk fails; ENOSPC of a file passes through */
  write(chunk: Uint8Array): Promise<void>
  /** All but the first block is on the disk; the digest of everything, hex, or '' without an algorithm. */
  digest(): Promise<string>
  /** Writes the block kept back and waits until the disk has everything. */
  finish(): Promise<void>
  /** Gives thread and memory back; the file handle stays open. Always call it. */
  close(): Promise<void>
}

type Block = Uint8Array<SharedArrayBuffer>

export function openDiskWriter({
  handle,
  name,
  device,
  capacityBytes,
  algorithm,
  onWritten,
}: DiskWriterOptions): DiskWriter {
  const hash = algorithm === null ? null : startHashThread(algorithm)
  const free: Block[] = Array.from({ length: BLOCKS }, () => sharedPages(BLOCK_BYTES))
  const disk = new TwoWays(handle, device)
  const wanting: (() => void)[] = []
  let current: Block | null = null
  let filled = 0
  let received = 0
  let first: Block | null = null
  let position = 0
  let writtenBytes = 0
  let flush: Promise<void> = Promise.resolve()
  let unflushed = 0
  let failure: unknown = null
  const inFlight = new Set<Promise<void>>()

  const fail = (error: unknown) => {
    failure ??= writeError(name, error)
    for (const wake of wanting.splice(0)) wake()
  }

  const release = (block: Block) => {
    free.push(block)
    wanting.shift()?.()
  }

  /** Sends a full (or the last) block on its two ways; it is free again when both are done. */
  const dispatch = (block: Block, length: number) => {
    const part = block.subarray(0, length)
    const at = position
    position += length
    const hashed = hash === null ? Promise.resolve() : hash.update(part)
    let written: Promise<void> = Promise.resolve()
    if (at === 0) {
      first = part
    } else {
      written = disk.write(part, at).then(() => {
        writtenBytes += length
        onWritten(writtenBytes)
      })
      unflushed += length
      if (unflushed >= FLUSH_BYTES) {
        unflushed = 0
        // One at a time, beside the writes that follow.
        flush = Promise.all([flush, written]).then(() => handle.datasync())
        flush.catch(fail)
      }
    }
    const both = Promise.all([hashed, written]).then(() => {
      if (at !== 0) release(block)
    }, fail)
    inFlight.add(both)
    void both.then(() => inFlight.delete(both))
  }

  const nextBlock = async (): Promise<Block> => {
    for (;;) {
      if (failure !== null) throw failure
      const block = free.pop()
      if (block !== undefined) return block
      await new Promise<void>(resolve => wanting.push(resolve))
    }
  }

  return {
    write: async chunk => {
      received += chunk.length
      if (received > capacityBytes) {
        throw new AgentFault(
          'ImageWriteError',
          `The image is larger than ${name}: the disk has ${capacityBytes} bytes, and there are more`,
        )
      }
      for (let done = 0; done < chunk.length; ) {
        current ??= await nextBlock()
        const take = Math.min(chunk.length - done, BLOCK_BYTES - filled)
        current.set(chunk.subarray(done, done + take), filled)
        filled += take
        done += take
        if (filled < BLOCK_BYTES) continue
        dispatch(current, filled)
        current = null
        filled = 0
      }
      if (failure !== null) throw failure
    },
    digest: async () => {
      if (current !== null) dispatch(current, filled)
      current = null
      filled = 0
      await Promise.all(inFlight)
      if (failure === null) await flush.catch(fail)
      if (failure !== null) throw failure
      return hash === null ? '' : await hash.digest()
    },
    finish: async () => {
      try {
        // What follows the table must be on the disk before the table is.
        await handle.sync()
        if (first !== null) await disk.write(first, 0)
        await handle.sync()
        onWritten(position)
      } catch (error) {
        throw writeError(name, error)
      }
    },
    close: async () => {
      await Promise.allSettled([...inFlight, flush])
      await disk.close()
      await hash?.stop()
    },
  }
}

/** A disk by the direct way for whole blocks, by the ordinary one for the rest and for what cannot do it. */
class TwoWays {
  readonly #buffered: FileHandle
  #direct: Promise<FileHandle | null>

  constructor(buffered: FileHandle, device: string | null) {
    this.#buffered = buffered
    this.#direct =
      device === null ? Promise.resolve(null) : open(device, constants.O_WRONLY | constants.O_DIRECT).catch(() => null)
  }

  async write(part: Uint8Array, at: number): Promise<void> {
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

  async close(): Promise<void> {
    await (await this.#direct)?.close()
  }
}

function writeError(name: string, error: unknown): unknown {
  if (error instanceof AgentFault) return error
  const code = error instanceof Error && 'code' in error ? error.code : null
  if (code === 'ENOSPC') return error
  return new AgentFault(
    'ImageWriteError',
    `Writing to ${name} failed: ${error instanceof Error ? error.message : String(error)}`,
    {
      cause: error,
    },
  )
}
