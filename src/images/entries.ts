/**
 * What lies in the image store, by content. An entry becomes visible by a rename after everything of it is on the disk,
 * so half an image does not exist. Users take hard links: a file with a second link is in use and never dropped.
 *
 *     <root>/entries/<sha256 of the source>[.raw]/image, entry.json    .raw: turned into a raw disk; see store.ts
 *                                                /chunks, ...          the chunked form; see chunked/stored-form.ts
 *     <root>/work/<pid>.<start>.<n>/                                   of a process; dropped once that is gone
 *
 * All bookkeeping is in these directories. Only the pins, which keep an entry while this process hands it out, are in
 * memory.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Log } from '#lib/log.ts'
import type { Checksum } from './checksum.ts'
import { adoptForm, chunkedFiles, readForm, type StoredChunks } from './chunked/stored-form.ts'
import type { JobResult } from './job.ts'

/** What tells one entry from others. */
export interface EntryKey {
  /** How messages name the image. */
  readonly shown: string
  /** Finds the image again without asking its source; null: `identity` does. */
  readonly expected: Checksum | null
  /** What tells this content from others of the same source when no checksum is known: size, times. */
  readonly identity: string
  /** What was done to the source, as the end of an entry's name. */
  readonly form: string
}

export interface StoredImage extends JobResult {
  readonly id: string
  readonly path: string
  /** null: not asked for yet, not of a raw disk, or it could not be made. */
  readonly chunks: StoredChunks | null
}

export interface Limits {
  readonly maxBytes: number
  readonly ttlMs: number
}

interface Entry {
  readonly id: string
  readonly diskBytes: number
  readonly usedMs: number
}

export type EntryRecord = JobResult & { readonly key: string; readonly shown: string }

/** What takes room in an entry, and what users make links of. */
const payloadFiles: readonly string[] = ['image', ...chunkedFiles]
/** An entry's name begins with a SHA-256 in hex. */
const hashCharacters = 64

export class Entries {
  readonly #root: string
  readonly #log: Log
  readonly #now: () => number
  readonly #pins = new Map<string, number>()
  #sequence = 0
  #ready: Promise<void> | undefined

  constructor({ root, log, now }: { root: string; log: Log; now: () => number }) {
    this.#root = root
    this.#log = log
    this.#now = now
  }

  /** Makes the directories and removes what dead processes left in them; once. */
  open(): Promise<void> {
    this.#ready ??= this.#prepare().catch(error => {
      this.#ready = undefined
      throw error
    })
    return this.#ready
  }

  /** A new directory for work of this process; not made yet. */
  async newWorkPath(): Promise<string> {
    return join(this.#root, 'work', `${await processName(process.pid)}.${++this.#sequence}`)
  }

  /** Makes a finished workspace an entry. The worker has synced the image; here its name is made to last. */
  async publish(key: EntryKey, result: JobResult, workspace: string): Promise<string> {
    const id = `${result.source.hashes.sha256}${key.form}`
    await writeSynced(
      join(workspace, 'entry.json'),
      JSON.stringify({ ...result, key: keyOf(key), shown: key.shown } satisfies EntryRecord),
    )
    await syncDirectory(workspace)
    const entries = join(this.#root, 'entries')
    try {
      await rename(workspace, join(entries, id))
    } catch (error) {
      // The same content is there already, under another name or from another process: it serves as well.
      if (!isCode(error, 'ENOTEMPTY', 'EEXIST')) throw error
      await this.#addKey(id, key, result)
      if (await readForm(workspace)) await adoptForm(workspace, join(entries, id))
    }
    await syncDirectory(entries)
    return id
  }

  /** An entry found by another reference learns this one's hash, so that the next request needs no download. */
  async #addKey(id: string, key: EntryKey, result: JobResult): Promise<void> {
    const known = await this.#record(id)
    if (!known) return
    const merged: EntryRecord = {
      ...known,
      key: key.expected ? known.key : keyOf(key),
      source: { ...known.source, hashes: { ...known.source.hashes, ...result.source.hashes } },
    }
    const path = join(this.#root, 'entries', id, 'entry.json')
    await writeSynced(`${path}.${randomUUID()}`, JSON.stringify(merged)).then(written => rename(written, path))
  }

  /** The entry of that key; undefined: there is none. */
  async find(wanted: EntryKey): Promise<string | undefined> {
    const { expected, form } = wanted
    if (expected?.algo === 'sha256') {
      const id = `${expected.value}${form}`
      return (await this.#record(id)) ? id : undefined
    }
    const key = keyOf(wanted)
    for (const id of await this.#names()) {
      if (id.slice(hashCharacters) !== form) continue
      const record = await this.#record(id)
      if (record && (expected ? record.source.hashes[expected.algo] === expected.value : record.key === key)) return id
    }
    return undefined
  }

  /** None where nothing was ever stored. */
  async #names(): Promise<string[]> {
    return readdir(join(this.#root, 'entries')).catch(error => {
      if (isCode(error, 'ENOENT')) return []
      throw error
    })
  }

  /** Undefined: it is not there any more, or not as it was. */
  async load(id: string): Promise<StoredImage | undefined> {
    const record = await this.#record(id)
    if (!record) return undefined
    const path = join(this.#root, 'entries', id, 'image')
    const size = await stat(path).then(
      found => found.size,
      () => undefined,
    )
    if (size === record.image.sizeBytes) return { ...record, id, path, chunks: await readForm(dirname(path)) }
    this.#log.warn(
      { id, size, expected: record.image.sizeBytes },
      'a stored image was changed on the disk; dropping it',
    )
    await rm(join(this.#root, 'entries', id), { recursive: true, force: true })
    return undefined
  }

  /** It was used now. */
  async touch({ path }: StoredImage): Promise<void> {
    const now = this.#now() / 1000
    await utimes(join(dirname(path), 'entry.json'), now, now).catch(() => {})
  }

  async #record(id: string): Promise<EntryRecord | undefined> {
    try {
      // Written by publish and nobody else; a record that does not parse is an entry that does not exist.
      return JSON.parse(await readFile(join(this.#root, 'entries', id, 'entry.json'), 'utf8')) as EntryRecord
    } catch {
      return undefined
    }
  }

  /** Drops what nobody uses: what is older than its time, then the least recently used until the limit holds. */
  async dropUnused({ maxBytes, ttlMs }: Limits): Promise<{ dropped: number; bytes: number }> {
    const entries = await this.#list()
    let total = entries.reduce((sum, { diskBytes }) => sum + diskBytes, 0)
    const dropped: Entry[] = []
    for (const entry of entries) {
      const expired = this.#now() - entry.usedMs > ttlMs
      if ((!expired && total <= maxBytes) || !(await this.drop(entry.id))) continue
      dropped.push(entry)
      total -= entry.diskBytes
    }
    const bytes = dropped.reduce((sum, { diskBytes }) => sum + diskBytes, 0)
    if (dropped.length > 0) this.#log.info({ dropped: dropped.length, bytes }, 'dropped unused images')
    return { dropped: dropped.length, bytes }
  }

  /** Least recently used first. */
  async #list(): Promise<Entry[]> {
    const found: Entry[] = []
    for (const id of await readdir(join(this.#root, 'entries'))) {
      const directory = join(this.#root, 'entries', id)
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
  async drop(id: string): Promise<boolean> {
    const directory = join(this.#root, 'entries', id)
    for (const name of payloadFiles) {
      const file = await stat(join(directory, name)).catch(() => null)
      if (file && file.nlink > 1) return false
    }
    const trash = await this.newWorkPath()
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

  /** Drops what nobody uses until so much is free. @throws Error saying how much is free when that is not enough */
  async makeRoom(bytes: number): Promise<void> {
    const free = async () => {
      const { bavail, bsize } = await statfs(this.#root)
      return bavail * bsize
    }
    for (const entry of await this.#list()) {
      if ((await free()) >= bytes) return
      await this.drop(entry.id)
    }
    const left = await free()
    if (left < bytes) throw new Error(`${left} bytes are free in ${this.#root} and no unused image is left to drop`)
  }

  /** Keeps an entry until it is unpinned as often. To be called right after a look, with nothing awaited between. */
  pin(id: string): void {
    this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1)
  }

  unpin(id: string): void {
    const left = (this.#pins.get(id) ?? 1) - 1
    if (left === 0) this.#pins.delete(id)
    else this.#pins.set(id, left)
  }

  async #prepare(): Promise<void> {
    await mkdir(join(this.#root, 'entries'), { recursive: true })
    await mkdir(join(this.#root, 'work'), { recursive: true })
    for (const name of await readdir(join(this.#root, 'work'))) {
      if (await ownerLives(name)) continue
      this.#log.info({ name }, 'removing what a process left in the image store')
      await rm(join(this.#root, 'work', name), { recursive: true, force: true })
    }
  }
}

/** By what the image is asked for: its checksum, else what is known of its source. */
export function keyOf({ expected, identity }: Pick<EntryKey, 'expected' | 'identity'>): string {
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
