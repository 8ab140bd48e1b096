/**
 * The content-addressed store of images. An image is fetched and prepared once, however many ask for it at a time, by a
 * worker process; it becomes visible by a rename after everything of it is on the disk, so half an image does not
 * exist. Users take hard links: a file with a second link is in use and never dropped.
 *
 *     <root>/entries/<sha256 of the source>[.raw]/image, entry.json    .raw: turned into a raw disk; see formOf
 *                                                /chunks, ...          the chunked form; see chunked/stored-form.ts
 *     <root>/work/<pid>.<start>.<n>/                                   of a process; dropped once that is gone
 *
 * All bookkeeping is in these directories; what is in memory (who waits, what is pinned) may be lost at any time.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import type { Checksum } from './checksum.ts'
import { adoptForm, chunkedFiles, readForm, type StoredChunks } from './chunked/stored-form.ts'
import { ImageStoreFull } from './faults.ts'
import { type Job, type JobProgress, type JobResult, rawFormats, runJob } from './job.ts'
import { refuseUnfit } from './safety.ts'
import { SharedWork } from './shared-work.ts'
import { Slots } from './slots.ts'

export interface StoreOptions {
  readonly root: string
  readonly log: Log
  /** Read at each use, so that a reload of the configuration is seen. */
  readonly limits: () => { readonly maxBytes: number; readonly ttlMs: number; readonly concurrency: number }
  readonly now: () => number
}

export interface ImageRequest {
  readonly shown: string
  readonly source: Job['source']
  /** Finds the image again without asking its source; null: `identity` does. */
  readonly expected: Checksum | null
  /** What tells this content from others of the same source when no checksum is known: size, times. */
  readonly identity: string
  readonly convertToRaw: boolean
  readonly decompressZstd: boolean
  readonly inspect: Job['inspect']
  readonly conversion: Job['conversion']
  /** Whether the chunked form is wanted too: made once, on first use, and only of what is written bit for bit. */
  readonly chunked: boolean
}

export interface StoredImage extends JobResult {
  readonly id: string
  readonly path: string
  /** null: not asked for yet, not of a raw disk, or it could not be made. */
  readonly chunks: StoredChunks | null
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
  readonly #pins = new Map<string, number>()
  readonly #slots: Slots
  #sequence = 0
  #ready: Promise<void> | undefined
  readonly #closed = new AbortController()

  constructor(options: StoreOptions) {
    this.#options = options
    this.#slots = new Slots(() => options.limits().concurrency)
  }

  /**
   * Hands `use` the image, fetched first if need be; it is not dropped until `use` is done. To keep it longer, `use`
   * makes a hard link.
   */
  async withImage<T>(request: ImageRequest, use: (image: StoredImage) => Promise<T>, options: UseOptions): Promise<T> {
    await this.#open()
    const image = await this.#pinned(request, options)
    try {
      return await use(request.chunked && isDisk(image) ? await this.#withChunks(image, request, options) : image)
    } finally {
      this.#unpin(image.id)
    }
  }

  /** Drops what nobody uses: what is older than its time, then the least recently used until the limit holds. */
  async cleanUp(): Promise<{ dropped: number; bytes: number }> {
    await this.#open()
    const { maxBytes, ttlMs } = this.#options.limits()
    const entries = await this.#entries()
    let total = entries.reduce((sum, { diskBytes }) => sum + diskBytes, 0)
    const dropped: Entry[] = []
    for (const entry of entries) {
      const expired = this.#options.now() - entry.usedMs > ttlMs
      if ((!expired && total <= maxBytes) || !(await this.#drop(entry))) continue
      dropped.push(entry)
      total -= entry.diskBytes
    }
    const bytes = dropped.reduce((sum, { diskBytes }) => sum + diskBytes, 0)
    if (dropped.length > 0) this.#options.log.info({ dropped: dropped.length, bytes }, 'dropped unused images')
    return { dropped: dropped.length, bytes }
  }

  /** Drops an image that turned out bad for its user; others that use it keep their links. */
  async forget(id: string): Promise<void> {
    const entry = (await this.#entries()).find(known => known.id === id)
    if (entry) await this.#drop(entry)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error('the image store is closed'))
    await Promise.allSettled([...this.#running.values(), ...this.#chunking.values()].map(({ done }) => done))
  }

  #open(): Promise<void> {
    this.#ready ??= this.#prepare().catch(error => {
      this.#ready = undefined
      throw error
    })
    return this.#ready
  }

  async #prepare(): Promise<void> {
    await mkdir(join(this.#options.root, 'entries'), { recursive: true })
    await mkdir(join(this.#options.root, 'work'), { recursive: true })
    for (const name of await readdir(join(this.#options.root, 'work'))) {
      if (await ownerLives(name)) continue
      this.#options.log.info({ name }, 'removing what a process left in the image store')
      await rm(join(this.#options.root, 'work', name), { recursive: true, force: true })
    }
  }

  /** The image with a pin on it: between the look and the pin nothing is awaited that could drop it unseen. */
  async #pinned(request: ImageRequest, { signal, onProgress }: UseOptions): Promise<StoredImage> {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted()
      const id =
        (await this.#find(request)) ??
        (await this.#prepareShared(request, { signal, ...(onProgress && { onProgress }) }))
      this.#pin(id)
      const image = await this.#load(id)
      if (image) {
        this.#refuseUnfit(image, request)
        const now = this.#options.now() / 1000
        await utimes(join(image.path, '..', 'entry.json'), now, now).catch(() => {})
        return image
      }
      // Dropped by another process in this instant: fetch it again, but not for ever.
      this.#unpin(id)
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
      this.#unpin(id)
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
    const workspace = await this.#newWorkPath()
    await this.#slots.take(signal, report)
    try {
      await mkdir(workspace)
      const sha256 = image.image.hashes.sha256 ?? ''
      const facts = await runJob(
        'chunk',
        { shown, workspace, image: image.path, sha256 },
        { signal, onProgress: report, makeRoom: bytes => this.#makeRoom(bytes) },
      )
      await adoptForm(workspace, dirname(image.path))
      this.#options.log.info({ image: shown, id: image.id, ...facts }, 'chunked an image')
    } finally {
      this.#slots.release()
      await rm(workspace, { recursive: true, force: true })
    }
  }

  async #prepareOne(request: ImageRequest, { signal, report }: Work): Promise<string> {
    const workspace = await this.#newWorkPath()
    await this.#slots.take(signal, report)
    try {
      await mkdir(workspace)
      const job: Job = { ...request, workspace, hashes: request.expected ? [request.expected.algo] : [] }
      const result = await runJob('prepare', job, {
        signal,
        onProgress: report,
        makeRoom: bytes => this.#makeRoom(bytes),
      })
      const id = await this.#publish(request, result, workspace)
      this.#pin(id)
      this.#options.log.info(
        { image: request.shown, id, bytes: result.image.sizeBytes, converted: result.converted },
        'stored an image',
      )
      // Right after the newcomer is pinned by its users; failing to clean does not spoil it.
      setImmediate(() =>
        this.cleanUp().catch(error => this.#options.log.warn({}, `cannot clean the image store: ${messageOf(error)}`)),
      )
      return id
    } finally {
      this.#slots.release()
      await rm(workspace, { recursive: true, force: true })
    }
  }

  /** After an image came: its first pin goes, and what is too much with it; failing to clean does not spoil it. */
  #settle(id: string): void {
    this.#unpin(id)
    this.cleanUp().catch(error => this.#options.log.warn({}, `cannot clean the image store: ${messageOf(error)}`))
  }

  async #newWorkPath(): Promise<string> {
    return join(this.#options.root, 'work', `${await processName(process.pid)}.${++this.#sequence}`)
  }

  /** Makes a finished workspace an entry. The worker has synced the image; here its name is made to last. */
  async #publish(request: ImageRequest, result: JobResult, workspace: string): Promise<string> {
    const id = `${result.source.hashes.sha256}${formOf(request)}`
    await writeSynced(
      join(workspace, 'entry.json'),
      JSON.stringify({ ...result, key: keyOf(request), shown: request.shown } satisfies EntryRecord),
    )
    await syncDirectory(workspace)
    const entries = join(this.#options.root, 'entries')
    try {
      await rename(workspace, join(entries, id))
    } catch (error) {
      // The same content is there already, under another name or from another process: it serves as well.
      if (!isCode(error, 'ENOTEMPTY', 'EEXIST')) throw error
      await this.#addKey(id, request, result)
      if (await readForm(workspace)) await adoptForm(workspace, join(entries, id))
    }
    await syncDirectory(entries)
    return id
  }

  /** An entry found by another reference learns this one's hash, so that the next request needs no download. */
  async #addKey(id: string, request: ImageRequest, result: JobResult): Promise<void> {
    const known = await this.#record(id)
    if (!known) return
    const merged: EntryRecord = {
      ...known,
      key: request.expected ? known.key : keyOf(request),
      source: { ...known.source, hashes: { ...known.source.hashes, ...result.source.hashes } },
    }
    const path = join(this.#options.root, 'entries', id, 'entry.json')
    await writeSynced(`${path}.${randomUUID()}`, JSON.stringify(merged)).then(written => rename(written, path))
  }

  async #find(request: ImageRequest): Promise<string | undefined> {
    const form = formOf(request)
    const { expected } = request
    if (expected?.algo === 'sha256') {
      const id = `${expected.value}${form}`
      return (await this.#record(id)) ? id : undefined
    }
    const key = keyOf(request)
    for (const id of await readdir(join(this.#options.root, 'entries'))) {
      if (id.slice(64) !== form) continue
      const record = await this.#record(id)
      if (record && (expected ? record.source.hashes[expected.algo] === expected.value : record.key === key)) return id
    }
    return undefined
  }

  async #load(id: string): Promise<StoredImage | undefined> {
    const record = await this.#record(id)
    if (!record) return undefined
    const path = join(this.#options.root, 'entries', id, 'image')
    const size = await stat(path).then(
      found => found.size,
      () => undefined,
    )
    if (size === record.image.sizeBytes) return { ...record, id, path, chunks: await readForm(dirname(path)) }
    this.#options.log.warn(
      { id, size, expected: record.image.sizeBytes },
      'a stored image was changed on the disk; dropping it',
    )
    await rm(join(this.#options.root, 'entries', id), { recursive: true, force: true })
    return undefined
  }

  async #record(id: string): Promise<EntryRecord | undefined> {
    try {
      // Written by #publish and nobody else; a record that does not parse is an entry that does not exist.
      return JSON.parse(await readFile(join(this.#options.root, 'entries', id, 'entry.json'), 'utf8')) as EntryRecord
    } catch {
      return undefined
    }
  }

  /** Least recently used first. */
  async #entries(): Promise<Entry[]> {
    const found: Entry[] = []
    for (const id of await readdir(join(this.#options.root, 'entries'))) {
      const directory = join(this.#options.root, 'entries', id)
      const [record, ...payload] = await Promise.all(
        ['entry.json', ...payloadFiles].map(name => stat(join(directory, name)).catch(() => null)),
      )
      // Holes take no room: blocks are of 512 bytes.
      const diskBytes = payload.reduce((sum, file) => sum + (file ? file.blocks * 512 : 0), 0)
      found.push({ id, diskBytes, usedMs: record ? record.mtimeMs : 0 })
    }
    return found.sort((a, b) => a.usedMs - b.usedMs)
  }

  /** @returns whether it could be dropped: nobody holds a link or a pin */
  async #drop({ id }: Entry): Promise<boolean> {
    const directory = join(this.#options.root, 'entries', id)
    for (const name of payloadFiles) {
      const file = await stat(join(directory, name)).catch(() => null)
      if (file && file.nlink > 1) return false
    }
    const trash = await this.#newWorkPath()
    // Pins are taken without awaiting after a look: this second look and the rename belong together.
    if (this.#pins.has(id)) return false
    try {
      await rename(directory, trash)
    } catch {
      return false
    }
    await rm(trash, { recursive: true, force: true })
    return true
  }

  /** @throws Error saying how much is free when dropping everything unused is not enough */
  async #makeRoom(bytes: number): Promise<void> {
    const free = async () => {
      const { bavail, bsize } = await statfs(this.#options.root)
      return bavail * bsize
    }
    for (const entry of await this.#entries()) {
      if ((await free()) >= bytes) return
      await this.#drop(entry)
    }
    const left = await free()
    if (left < bytes)
      throw new Error(`${left} bytes are free in ${this.#options.root} and no unused image is left to drop`)
  }

  #pin(id: string): void {
    this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1)
  }

  #unpin(id: string): void {
    const left = (this.#pins.get(id) ?? 1) - 1
    if (left === 0) this.#pins.delete(id)
    else this.#pins.set(id, left)
  }
}

interface Work {
  readonly signal: AbortSignal
  readonly report: (progress: StoreProgress) => void
}

/** What takes room in an entry, and what users make links of. */
const payloadFiles: readonly string[] = ['image', ...chunkedFiles]

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

interface Entry {
  readonly id: string
  readonly diskBytes: number
  readonly usedMs: number
}

type EntryRecord = JobResult & { readonly key: string; readonly shown: string }

/** What was done to the source, as the end of an entry's name. */
function formOf({ convertToRaw, decompressZstd, inspect }: ImageRequest): string {
  return `${decompressZstd ? '' : '.packed'}${convertToRaw ? '.raw' : ''}${inspect ? '' : '.unseen'}`
}

function keyOf({ expected, identity }: ImageRequest): string {
  return expected ? `${expected.algo}:${expected.value}` : identity
}

/** `<pid>.<start>`: pids come again, a start time with them does not. */
async function processName(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces; the start time is the 20th field after it. Source: proc_pid_stat(5).
  return `${pid}.${line.slice(line.lastIndexOf(')') + 2).split(' ')[19]}`
}

async function ownerLives(name: string): Promise<boolean> {
  const [pid = '', start] = name.split('.')
  if (!/^\d+$/.test(pid)) return false
  return await processName(Number(pid)).then(
    current => current === `${pid}.${start}`,
    () => false,
  )
}

async function writeSynced(path: string, text: string): Promise<string> {
  await using file = await open(path, 'w')
  await file.writeFile(text)
  await file.sync()
  return path
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path)
  await directory.sync()
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
