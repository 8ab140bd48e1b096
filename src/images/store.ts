/**
 * The store of images (entries.ts says how it lies on the disk). An image is fetched and prepared once, however many ask
 * for it at a time, by a worker process. Who waits is in memory only, and may be lost at any time.
 */
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import { adoptForm, readForm } from './chunked/stored-form.ts'
import { Entries, type EntryKey, keyOf, type Limits, type StoredImage } from './entries.ts'
import { ImageStoreFull } from './faults.ts'
import { type Job, type JobProgress, rawFormats, runJob } from './job.ts'
import { imagesAsked } from './measured.ts'
import { refuseUnfit } from './safety.ts'
import { SharedWork } from './shared-work.ts'
import { Slots } from './slots.ts'

export interface StoreOptions {
  readonly root: string
  readonly log: Log
  /** Read at each use, so that a reload of the configuration is seen. */
  readonly limits: () => Limits & { readonly concurrency: number }
  readonly now: () => number
}

export interface ImageRequest extends Omit<EntryKey, 'form'> {
  readonly source: Job['source']
  readonly convertToRaw: boolean
  readonly decompress: Job['decompress']
  readonly inspect: Job['inspect']
  readonly conversion: Job['conversion']
  /** Whether the chunked form is wanted too: made once, on first use, and only of what is written bit for bit. */
  readonly chunked: boolean
}

/** What a waiter hears: its place among those that wait for a slot, then the work itself. */
export type StoreProgress =
  | JobProgress
  | { readonly phase: 'queued'; readonly bytes: 0; readonly total_bytes: null; readonly position: number }

export interface UseOptions {
  readonly signal: AbortSignal
  readonly onProgress?: (progress: StoreProgress) => void
}

export class ImageStore {
  readonly #options: StoreOptions
  readonly #running = new Map<string, SharedWork<string>>()
  readonly #chunking = new Map<string, SharedWork<void>>()
  readonly #entries: Entries
  readonly #slots: Slots
  readonly #closed = new AbortController()

  constructor(options: StoreOptions) {
    this.#options = options
    this.#entries = new Entries(options)
    this.#slots = new Slots(() => options.limits().concurrency)
  }

  /**
   * Hands `use` the image, fetched first if need be; it is not dropped until `use` is done. To keep it longer, `use`
   * makes a hard link.
   */
  async withImage<T>(request: ImageRequest, use: (image: StoredImage) => Promise<T>, options: UseOptions): Promise<T> {
    await this.#entries.open()
    const image = await this.#pinned(request, options)
    try {
      return await use(request.chunked && isDisk(image) ? await this.#withChunks(image, request, options) : image)
    } finally {
      this.#entries.unpin(image.id)
    }
  }

  /** The entry that a request would get at once; undefined: it would be fetched. Makes no store where there is none. */
  async has(request: ImageRequest): Promise<string | undefined> {
    return this.#entries.find(entryKey(request))
  }

  /** Drops what nobody uses: what is older than its time, then the least recently used until the limit holds. */
  async cleanUp(): Promise<{ dropped: number; bytes: number }> {
    await this.#entries.open()
    return this.#entries.dropUnused(this.#options.limits())
  }

  /** Drops an image that turned out bad for its user; others that use it keep their links. */
  async forget(id: string): Promise<void> {
    await this.#entries.drop(id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error('the image store is closed'))
    await Promise.allSettled([...this.#running.values(), ...this.#chunking.values()].map(({ done }) => done))
  }

  /** The image with a pin on it: between the look and the pin nothing is awaited that could drop it unseen. */
  async #pinned(request: ImageRequest, { signal, onProgress }: UseOptions): Promise<StoredImage> {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted()
      const known = await this.#entries.find(entryKey(request))
      imagesAsked.tell({ from: known === undefined ? 'fetched' : 'stored' })
      const id = known ?? (await this.#prepareShared(request, { signal, ...(onProgress && { onProgress }) }))
      this.#entries.pin(id)
      const image = await this.#entries.load(id)
      if (image) {
        this.#refuseUnfit(image, request)
        await this.#entries.touch(image)
        return image
      }
      // Dropped by another process in this instant: fetch it again, but not for ever.
      this.#entries.unpin(id)
      if (attempt === 3)
        throw new ImageStoreFull(
          `Cannot keep image ${request.shown}: it is dropped from the store as soon as it is fetched`,
        )
    }
  }

  /** Others may have asked for the same content with other rules. */
  #refuseUnfit({ id, source }: StoredImage, { inspect, shown }: ImageRequest): void {
    if (!inspect || !source.inspection) return
    try {
      refuseUnfit(source.inspection, inspect, shown)
    } catch (error) {
      this.#entries.unpin(id)
      throw error
    }
  }

  /** Joins the work on this image, or begins it. It ends early only when nobody waits any more. */
  #prepareShared(request: ImageRequest, { signal, onProgress }: UseOptions): Promise<string> {
    // Not by `chunked`: who wants more than the work under way makes asks for it afterwards.
    const key = `${keyOf(request)} ${JSON.stringify([formOf(request), request.inspect])}`
    const { work, begun } = shared(this.#running, key, () => {
      return new SharedWork(this.#closed.signal, job => this.#prepareOne(request, job))
    })
    // By then all waiters have pins of their own.
    if (begun) work.done.then(id => setImmediate(() => this.#settle(id))).catch(() => {})
    return work.join(signal, onProgress)
  }

  /** The image with its chunked form, made now if need be. Without one it serves too, so no failure here is passed on. */
  async #withChunks(
    image: StoredImage,
    { shown }: ImageRequest,
    { signal, onProgress }: UseOptions,
  ): Promise<StoredImage> {
    if (image.chunks) return image
    const { work } = shared(this.#chunking, image.id, () => {
      return new SharedWork(this.#closed.signal, job => this.#chunkOne(image, shown, job))
    })
    try {
      await work.join(signal, onProgress)
    } catch (error) {
      signal.throwIfAborted()
      this.#options.log.warn({ image: shown, id: image.id }, `serving the plain image only: ${messageOf(error)}`)
    }
    return { ...image, chunks: await readForm(dirname(image.path)) }
  }

  async #chunkOne(image: StoredImage, shown: string, { signal, report }: Work): Promise<void> {
    const workspace = await this.#entries.newWorkPath()
    await this.#slots.take(signal, report)
    try {
      await mkdir(workspace)
      const sha256 = image.image.hashes.sha256 ?? ''
      const facts = await runJob(
        'chunk',
        { shown, workspace, image: image.path, sha256 },
        { signal, onProgress: report, makeRoom: bytes => this.#entries.makeRoom(bytes) },
      )
      await adoptForm(workspace, dirname(image.path))
      this.#options.log.info({ image: shown, id: image.id, ...facts }, 'chunked an image')
    } finally {
      this.#slots.release()
      await rm(workspace, { recursive: true, force: true })
    }
  }

  async #prepareOne(request: ImageRequest, { signal, report }: Work): Promise<string> {
    const workspace = await this.#entries.newWorkPath()
    await this.#slots.take(signal, report)
    try {
      await mkdir(workspace)
      const job: Job = { ...request, workspace, hashes: request.expected ? [request.expected.algo] : [] }
      const result = await runJob('prepare', job, {
        signal,
        onProgress: report,
        makeRoom: bytes => this.#entries.makeRoom(bytes),
      })
      const id = await this.#entries.publish(entryKey(request), result, workspace)
      this.#entries.pin(id)
      this.#options.log.info(
        { image: request.shown, id, bytes: result.image.sizeBytes, converted: result.converted },
        'stored an image',
      )
      return id
    } finally {
      this.#slots.release()
      await rm(workspace, { recursive: true, force: true })
    }
  }

  /** After an image came: its first pin goes, and what is too much with it; failing to clean does not spoil it. */
  #settle(id: string): void {
    this.#entries.unpin(id)
    this.cleanUp().catch(error => this.#options.log.warn({}, `cannot clean the image store: ${messageOf(error)}`))
  }
}

interface Work {
  readonly signal: AbortSignal
  readonly report: (progress: StoreProgress) => void
}

/** What agents write bit for bit. */
function isDisk({ image: { format } }: StoredImage): boolean {
  return format !== null && rawFormats.includes(format)
}

/** The work of that key, begun now unless it is under way. */
function shared<T>(
  all: Map<string, SharedWork<T>>,
  key: string,
  begin: () => SharedWork<T>,
): { work: SharedWork<T>; begun: boolean } {
  const known = all.get(key)
  // Work that was just given up by its last waiter cannot be joined any more.
  if (known && !known.signal.aborted) return { work: known, begun: false }
  const work = begin()
  all.set(key, work)
  const remove = () => {
    if (all.get(key) === work) all.delete(key)
  }
  work.done.then(remove, remove)
  return { work, begun: true }
}

/** What was done to the source, as the end of an entry's name. */
function formOf({ convertToRaw, decompress, inspect }: ImageRequest): string {
  const unpacked = `${decompress.includes('zstd') ? '' : '.packed'}${decompress.includes('gzip') ? '.gunzip' : ''}`
  return `${unpacked}${convertToRaw ? '.raw' : ''}${inspect ? '' : '.unseen'}`
}

function entryKey(request: ImageRequest): EntryKey {
  const { shown, expected, identity } = request
  return { shown, expected, identity, form: formOf(request) }
}
