/**
 * Where the chunked form of a stored image lies: three files beside the plain one in its entry. `chunked.json` comes
 * last, by rename, and without it the others do not count: half a form does not exist.
 *
 *     <entry>/chunks  manifest.json  chunked.json
 */
import { createHash } from 'node:crypto'
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChunkManifest, manifestLimitBytes } from '#protocol/chunked-image.ts'
import { ImageNotPrepared } from '../faults.ts'

/** What is noted of the form. */
export interface ChunkedFacts {
  readonly manifestSha256: string
  readonly manifestBytes: number
  /** Of the data file: what is sent. */
  readonly storedBytes: number
  /** Of the disk that the chunks describe: what is written. */
  readonly dataBytes: number
}

export interface StoredChunks extends ChunkedFacts {
  readonly manifestPath: string
  readonly dataPath: string
}

const files = { data: 'chunks', manifest: 'manifest.json', facts: 'chunked.json' } as const

/** Names of the files whose links say that the form is in use. */
export const chunkedFiles: readonly string[] = Object.values(files)

/** Where a worker writes the data file of a form in the making. */
export function dataFile(workspace: string): string {
  return join(workspace, files.data)
}

/**
 * Completes a form whose data file lies in the workspace.
 * @throws ImageNotPrepared when there are so many chunks that no agent would read the manifest
 */
export async function finishForm(workspace: string, manifest: ChunkManifest, shown: string): Promise<ChunkedFacts> {
  const text = JSON.stringify(manifest)
  if (text.length > manifestLimitBytes) {
    throw new ImageNotPrepared(
      `Cannot chunk image ${shown}: its manifest would have ${text.length} bytes; at most ${manifestLimitBytes} are read by agents`,
    )
  }
  await writeSynced(join(workspace, files.manifest), text)
  const facts: ChunkedFacts = {
    manifestSha256: createHash('sha256').update(text).digest('hex'),
    manifestBytes: Buffer.byteLength(text),
    storedBytes: manifest.chunks.reduce((sum, { stored_bytes }) => sum + stored_bytes, 0),
    dataBytes: manifest.chunks.reduce(
      (sum, { index }) => sum + Math.min(manifest.chunk_bytes, manifest.size_bytes - index * manifest.chunk_bytes),
      0,
    ),
  }
  await writeSynced(join(workspace, files.facts), JSON.stringify(facts))
  return facts
}

/** Moves a finished form from its workspace into an entry; another process may have been quicker. */
export async function adoptForm(workspace: string, entry: string): Promise<void> {
  if (await readForm(entry)) return
  // The facts go last. Whoever reads before sees no form; remains of a crash are replaced.
  for (const name of [files.data, files.manifest, files.facts]) {
    await rename(join(workspace, name), join(entry, name))
  }
  await syncPath(entry)
}

/** The entry's chunked form, if it has one and its files are whole. */
export async function readForm(entry: string): Promise<StoredChunks | null> {
  const [manifestPath, dataPath] = [join(entry, files.manifest), join(entry, files.data)]
  try {
    // Written by finishForm and nobody else; what does not parse is a form that does not exist.
    const facts = JSON.parse(await readFile(join(entry, files.facts), 'utf8')) as ChunkedFacts
    const [manifest, data] = await Promise.all([stat(manifestPath), stat(dataPath)])
    if (manifest.size !== facts.manifestBytes || data.size !== facts.storedBytes) return null
    return { ...facts, manifestPath, dataPath }
  } catch {
    return null
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  await writeFile(path, text)
  await syncPath(path)
}

async function syncPath(path: string): Promise<void> {
  await using handle = await open(path)
  await handle.sync()
}
