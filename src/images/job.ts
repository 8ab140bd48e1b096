/**
 * The work on an image that must not run in the service's event loop: fetch, hash, decompress, inspect, convert, chunk.
 * Each job is a child process of its own (worker.ts) that gets processor and disk after everybody else; this file starts
 * it, listens, and kills it. It decides nothing about where images live.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { DiskFormat, DiskInspection } from '#lib/disk-format.ts'
import type { Checksum } from './checksum.ts'
import type { ChunkedFacts } from './chunked/stored-form.ts'
import { ImageNotPrepared, imageFaults } from './faults.ts'
import type { HttpSettings } from './http.ts'

export interface Job {
  /** How messages name the image. */
  readonly shown: string
  readonly source:
    | { readonly kind: 'http'; readonly url: string; readonly settings: HttpSettings }
    | { readonly kind: 'file'; readonly path: string }
  /** An empty directory; the result is `image` in it. */
  readonly workspace: string
  /** What the fetched bytes must hash to. */
  readonly expected: Checksum | null
  /** What is unpacked when the content begins as such. */
  readonly decompress: readonly Compression[]
  /** null: take the bytes as they are, without a look. */
  readonly inspect: {
    readonly declared: string | null
    readonly permitted: readonly string[]
    readonly deep: boolean
  } | null
  readonly convertToRaw: boolean
  readonly conversion: { readonly memoryLimitMib: number; readonly attempts: number; readonly growthFactor: number }
  /** Of the finished image, beside SHA-256. */
  readonly hashes: readonly Checksum['algo'][]
  /** Whether the workspace is to hold the chunked form as well, where the result is a raw disk. */
  readonly chunked: boolean
}

/** Only the chunked form, of an image that is in the store. */
export interface ChunkJob {
  readonly shown: string
  readonly workspace: string
  readonly image: string
  /** What it must still hash to. */
  readonly sha256: string
}

export type Compression = 'zstd' | 'gzip'

/** Formats of which every byte is one of the disk. */
export const rawFormats: readonly DiskFormat[] = ['raw', 'gpt', 'iso']

export interface JobResult {
  /** As fetched. */
  readonly source: {
    readonly sizeBytes: number
    readonly hashes: Readonly<Record<string, string>>
    /** null: nobody looked. */
    readonly inspection: DiskInspection | null
  }
  /** As it lies in the workspace; the same as the source unless it was decompressed or converted. */
  readonly image: {
    readonly sizeBytes: number
    readonly hashes: Readonly<Record<string, string>>
    readonly format: DiskFormat | null
  }
  /** Whether the image is not byte for byte the source. */
  readonly converted: boolean
}

export type JobPhase = 'download' | 'decompress' | 'convert' | 'verify' | 'chunk'

/** The kinds of jobs, what each takes and answers. */
export interface Jobs {
  prepare: { job: Job; result: JobResult }
  chunk: { job: ChunkJob; result: ChunkedFacts }
}

export interface JobProgress {
  readonly phase: JobPhase
  readonly bytes: number
  /** null while unknown. */
  readonly total_bytes: number | null
}

/** From the worker to the service. */
export type WorkerMessage =
  | { kind: 'progress'; progress: JobProgress }
  | { kind: 'room'; bytes: number }
  | { kind: 'done'; result: JobResult | ChunkedFacts }
  | { kind: 'failed'; fault: keyof typeof imageFaults; message: string }

/** From the service to the worker. */
export type ServiceMessage =
  | { kind: 'prepare'; job: Job }
  | { kind: 'chunk'; job: ChunkJob }
  | { kind: 'room'; refused: string | null }

/**
 * Runs a job to its end.
 * @param makeRoom makes so many bytes free in the workspace's file system, or throws
 * @throws one of the image faults; what the signal says when it aborts
 */
export async function runJob<K extends keyof Jobs>(
  kind: K,
  job: Jobs[K]['job'],
  surroundings: Surroundings,
): Promise<Jobs[K]['result']> {
  const { signal } = surroundings
  signal.throwIfAborted()
  const [program = '', ...args] = [...afterOthers, process.execPath]
  // Not process.execArgv: what our own process was started with (a test runner, a debugger) is not the worker's.
  const child = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), [], {
    execPath: program,
    execArgv: args,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const kill = () => child.kill('SIGKILL')
  signal.addEventListener('abort', kill)
  try {
    // Each kind has one pair of a job and its result: what this worker was asked is what it answers.
    const ask = { kind, job } as Exclude<ServiceMessage, { kind: 'room' }>
    return (await resultOf(child, ask, surroundings)) as Jobs[K]['result']
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', kill)
    kill()
  }
}

interface Surroundings {
  readonly signal: AbortSignal
  readonly onProgress: (progress: JobProgress) => void
  readonly makeRoom: (bytes: number) => Promise<void>
}

/**
 * Heartbeats come before conversions: the worker, its threads and its converter get what others leave of the processor,
 * and the last place at the disk. Idle rather than nice: what is merely nice keeps the processor to the end of its slice
 * when somebody else wakes up. Set by programs before it starts, for the kernel counts both per thread.
 */
const afterOthers = ['chrt', '--idle', '0', 'ionice', '-c', '2', '-n', '7']

function resultOf(
  child: ChildProcess,
  asked: Exclude<ServiceMessage, { kind: 'room' }>,
  { onProgress, makeRoom }: Surroundings,
): Promise<JobResult | ChunkedFacts> {
  const { job } = asked
  return new Promise((resolve, reject) => {
    let lastWords = ''
    let outcome: (() => void) | undefined
    const tell = (message: ServiceMessage) => child.send(message, () => {})
    child.stderr?.on('data', (chunk: Buffer) => {
      lastWords = (lastWords + chunk).slice(-2000)
    })
    child.on('message', (message: WorkerMessage) => {
      switch (message.kind) {
        case 'progress':
          onProgress(message.progress)
          return
        case 'room':
          makeRoom(message.bytes).then(
            () => tell({ kind: 'room', refused: null }),
            error => tell({ kind: 'room', refused: error instanceof Error ? error.message : String(error) }),
          )
          return
        case 'done':
          outcome = () => resolve(message.result)
          return
        case 'failed':
          outcome = () => reject(new imageFaults[message.fault](message.message))
          return
        default:
          message satisfies never
      }
    })
    child.on('error', error =>
      reject(new ImageNotPrepared(`Cannot prepare image ${job.shown}: its process does not start`, { cause: error })),
    )
    // Only when the process is gone are its files at rest.
    child.on('close', (code, signal) => {
      if (outcome) return outcome()
      const end = signal === null ? `status ${code}` : `signal ${signal}`
      const said = lastWords.trim() === '' ? '' : `: ${lastWords.trim().split('\n').slice(-5).join(' | ')}`
      reject(new ImageNotPrepared(`Cannot prepare image ${job.shown}: its process ended with ${end}${said}`))
    })
    tell(asked)
  })
}
