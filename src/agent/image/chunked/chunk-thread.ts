/**
 * Threads that take chunks as they came over the network: check the hash, decode, write to the disk past the page cache.
 * While one waits for the disk another decodes, and the main thread only reads sockets. Stored bytes lie in shared memory;
 * only their places travel. This file is both ends, as hash-thread.ts is: imported it starts a thread, run as one it works.
 */
import { createHash } from 'node:crypto'
import { constants, openSync, readSync, writeSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { zstdDecompressSync } from 'node:zlib'
import type { ImageChunk } from '#protocol/chunked-image.ts'
import { ALIGNMENT, type Block, openDirect, pages } from '../direct-access.ts'

/** What became of a chunk. `bad`: its bytes are not what the manifest says. `failed`: the disk. */
export type ChunkOutcome =
  | { kind: 'done' }
  | { kind: 'bad'; why: string }
  | { kind: 'failed'; code: string | null; why: string }

export interface ChunkThreads {
  /** Writes a chunk whose stored bytes fill the front of `block`, which is free again when this resolves. */
  write(chunk: ImageChunk, block: Block, plainBytes: number): Promise<ChunkOutcome>
  /** Is the piece of the disk what the chunk says already? `bad` when not. */
  check(chunk: ImageChunk, plainBytes: number): Promise<ChunkOutcome>
  /** Ends the threads and closes their files. Always call it. */
  close(): Promise<void>
}

interface Task {
  chunk: ImageChunk
  /** Null: look whether it is there. */
  block: Block | null
  plainBytes: number
}

const ROLE = 'ferrite-chunks'

/**
 * @param device a block device that the caller holds exclusively
 * @param chunkBytes how much of it a chunk is
 */
export function startChunkThreads(device: string, chunkBytes: number, count: number): ChunkThreads {
  const threads = Array.from({ length: count }, () => startThread({ role: ROLE, device, chunkBytes }))
  const give = (task: Task) => {
    const [idlest] = [...threads].sort((a, b) => a.waiting() - b.waiting())
    if (idlest === undefined) throw new Error('there are no threads')
    return idlest.ask(task)
  }
  return {
    write: (chunk, block, plainBytes) => give({ chunk, block, plainBytes }),
    check: (chunk, plainBytes) => give({ chunk, block: null, plainBytes }),
    close: async () => {
      await Promise.all(threads.map(thread => thread.stop()))
    },
  }
}

/** Told to a thread when it starts: the file loads nothing but Node's own modules there. */
interface Assignment {
  role: typeof ROLE
  device: string
  chunkBytes: number
}

function startThread(assignment: Assignment) {
  const worker = new Worker(new URL(import.meta.url), { workerData: assignment })
  const waiting: { resolve: (outcome: ChunkOutcome) => void; reject: (error: unknown) => void }[] = []
  let failure: unknown = null
  const fail = (error: unknown) => {
    failure = error
    for (const { reject } of waiting.splice(0)) reject(error)
  }
  worker.on('message', (outcome: ChunkOutcome) => waiting.shift()?.resolve(outcome))
  worker.on('error', fail)
  worker.on('exit', code => fail(new Error(`a writing thread ended early (code ${code})`)))
  return {
    waiting: () => waiting.length,
    ask: (task: Task) =>
      new Promise<ChunkOutcome>((resolve, reject) => {
        if (failure !== null) return reject(failure)
        waiting.push({ resolve, reject })
        worker.postMessage(task)
      }),
    stop: async () => {
      await worker.terminate()
    },
  }
}

/** The thread's view of the disk. */
class Disk {
  #direct: number | null
  readonly #buffered: number
  readonly chunkBytes: number
  readonly piece: Uint8Array

  constructor({ device, chunkBytes }: Assignment) {
    this.chunkBytes = chunkBytes
    this.piece = pages(chunkBytes)
    this.#buffered = openSync(device, constants.O_RDWR)
    this.#direct = openDirect(device)
  }

  /** Writes the first `length` bytes of `piece`. */
  write(length: number, at: number): void {
    const aligned = length - (length % ALIGNMENT)
    for (let done = 0; done < length; ) {
      // What is left after a short write, or less than a page, goes the other way.
      const direct = done < aligned && done % ALIGNMENT === 0 ? this.#direct : null
      const end = direct === null ? length : aligned
      try {
        done += writeSync(direct ?? this.#buffered, this.piece, done, end - done, at + done)
      } catch (error) {
        // Some devices have wishes of their own for direct access; the ordinary way takes everything.
        if (direct === null || !(error instanceof Error && 'code' in error && error.code === 'EINVAL')) throw error
        this.#direct = null
      }
    }
  }

  read(length: number, at: number): Uint8Array {
    for (let done = 0; done < length; ) {
      const count = readSync(this.#buffered, this.piece, done, length - done, at + done)
      if (count === 0) return this.piece.subarray(0, done)
      done += count
    }
    return this.piece.subarray(0, length)
  }
}

function settle(disk: Disk, { chunk, block, plainBytes }: Task): ChunkOutcome {
  const at = chunk.index * disk.chunkBytes
  try {
    if (block === null) return compare(disk.read(plainBytes, at), chunk.sha256, 'its piece of the disk')
    const stored = block.subarray(0, chunk.stored_bytes)
    const verdict = compare(stored, chunk.stored_sha256, 'what came')
    if (verdict.kind !== 'done') return verdict
    const plain = decode(chunk, stored, plainBytes)
    if (typeof plain === 'string') return { kind: 'bad', why: plain }
    disk.piece.set(plain)
    // Given back now: left to the collector, which does not hurry for memory that is not on its heap, it was 65 MiB more
    // in each thread.
    if (plain.buffer instanceof ArrayBuffer) plain.buffer.transfer(0)
    disk.write(plainBytes, at)
    return { kind: 'done' }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : null
    return { kind: 'failed', code, why: error instanceof Error ? error.message : String(error) }
  }
}

function compare(bytes: Uint8Array, expected: string, what: string): ChunkOutcome {
  const found = createHash('sha256').update(bytes).digest('hex')
  return found === expected
    ? { kind: 'done' }
    : { kind: 'bad', why: `the sha256 of ${what} is ${found}, expected ${expected}` }
}

/** The piece of the disk, or why it cannot be had. */
function decode({ encoding }: ImageChunk, stored: Uint8Array, plainBytes: number): Uint8Array | string {
  if (encoding === 'plain') {
    return stored.length === plainBytes ? stored : `it has ${stored.length} bytes, its place ${plainBytes}`
  }
  try {
    // Into one piece of memory, with room to spare: one that is full is followed by another.
    const plain = zstdDecompressSync(stored, { maxOutputLength: plainBytes, chunkSize: plainBytes + ALIGNMENT })
    return plain.length === plainBytes ? plain : `it decodes to ${plain.length} bytes, its place has ${plainBytes}`
  } catch (error) {
    return `it cannot be decoded: ${error instanceof Error ? error.message : String(error)}`
  }
}

if (!isMainThread && workerData?.role === ROLE) {
  let disk: Disk | null = null
  parentPort?.on('message', (task: Task) => {
    disk ??= new Disk(workerData)
    parentPort?.postMessage(settle(disk, task))
  })
}
