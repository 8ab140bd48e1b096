/**
 * Writes a stream to a disk or file while it is hashed: reading fills one block of shared memory, the hash thread and the
 * kernel work on others. A few blocks are all the memory there is, so a slow disk slows the reader.
 *
 * The first block is kept back until `finish`, when the digest is known to be right: it holds the partition table, and so
 * neither a failure nor a power cut at any moment leaves half an image that boots.
 */
import type { FileHandle } from 'node:fs/promises'
import { AgentFault } from '../errors.ts'
import { BLOCK_BYTES, type Block, giveBack, takeBlock } from './direct-access.ts'
import { DiskTarget } from './disk-target.ts'
import { startHashThread } from './hash-thread.ts'
import type { Zeroing } from './zero-ranges.ts'

const BLOCKS = 8
/** What is written is pushed to the disk this often, so that little is left to do at the end. */
const FLUSH_BYTES = 64 * 1024 * 1024

export interface DiskWriterOptions {
  handle: FileHandle
  /** For messages. */
  name: string
  /** The block device behind the handle, to be written past the page cache; null: a file. */
  device: string | null
  /** How the disk makes zeros, where it may; null: they are written. */
  zeroing?: Zeroing | null
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
  /** Of what was given to `write`, what the disk made zero by itself. */
  zeroedBytes(): number
  /** Gives thread and memory back; the file handle stays open. Always call it. */
  close(): Promise<void>
}

export function openDiskWriter({
  handle,
  name,
  device,
  zeroing = null,
  capacityBytes,
  algorithm,
  onWritten,
}: DiskWriterOptions): DiskWriter {
  const hash = algorithm === null ? null : startHashThread(algorithm)
  const blocks = Array.from({ length: BLOCKS }, takeBlock)
  const free = [...blocks]
  const disk = new DiskTarget({ handle, device, zeroing })
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
    failure ??= writeError(name, device, error)
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
          `The image is larger than ${name}: the disk has ${capacityBytes} bytes, and there are more; ` +
            'expected a smaller image, or root device hints that choose a larger disk',
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
      if (failure === null) await Promise.all([flush, disk.settle()]).catch(fail)
      if (failure !== null) throw failure
      return hash === null ? '' : await hash.digest()
    },
    finish: async () => {
      try {
        // What follows the table must be on the disk before the table is.
        await handle.sync()
        if (first !== null) await disk.put(first, 0)
        await handle.sync()
        onWritten(position)
      } catch (error) {
        throw writeError(name, device, error)
      }
    },
    zeroedBytes: () => disk.zeroedBytes,
    close: async () => {
      await Promise.allSettled([...inFlight, flush])
      await disk.close()
      await hash?.stop()
      // Nobody reads or writes them any more.
      for (const block of blocks) giveBack(block)
    },
  }
}

function writeError(name: string, device: string | null, error: unknown): unknown {
  if (error instanceof AgentFault) return error
  const code = error instanceof Error && 'code' in error ? error.code : null
  // Of a file its owner knows more; a disk that says so is one whose medium is smaller than it says.
  if (code === 'ENOSPC' && device === null) return error
  return new AgentFault(
    'ImageWriteError',
    `Writing to ${name} failed: ${error instanceof Error ? error.message : String(error)}`,
    {
      cause: error,
    },
  )
}
