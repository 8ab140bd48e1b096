/**
 * What lies in the store of images (entries.ts says how), for people and metrics: a look at the directories that takes
 * nothing and changes nothing. What is dropped meanwhile is left out.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { chunkedFiles } from './chunked/stored-form.ts'
import type { EntryRecord } from './entries.ts'

export interface ListedImage {
  /** The SHA-256 of its source, and what was done to that. */
  id: string
  /** How it was asked for: a URL without login, or another reference. */
  source: string
  /** Of the disk that is written; null: not known. */
  format: string | null
  sizeBytes: number
  /** Room that it takes here, with its chunked form. */
  bytes: number
  chunked: boolean
  /** Somebody has a link to it: it is served to a machine. */
  inUse: boolean
  usedAtMs: number
}

/** The most recently used first; empty where there is no store yet. @param root [pxe] instance_master_path */
export async function listImages(root: string): Promise<ListedImage[]> {
  const names = await readdir(join(root, 'entries')).catch(() => [])
  const found = await Promise.all(names.map(id => look(join(root, 'entries', id), id)))
  return found.filter(image => image !== undefined).sort((a, b) => b.usedAtMs - a.usedAtMs)
}

async function look(directory: string, id: string): Promise<ListedImage | undefined> {
  const noteOf = (name: string) => stat(join(directory, name)).catch(() => null)
  const [entry, image, ...chunks] = await Promise.all(['entry.json', 'image', ...chunkedFiles].map(noteOf))
  if (!entry || !image) return undefined
  const text = await readFile(join(directory, 'entry.json'), 'utf8').catch(() => '')
  if (text === '') return undefined
  const record = JSON.parse(text) as EntryRecord // written by publish and nobody else, and visible only as a whole
  const files = [image, ...chunks].filter(file => file !== null && file !== undefined)
  return {
    id,
    source: record.shown,
    format: record.image.format,
    sizeBytes: record.image.sizeBytes,
    // Holes take no room: blocks are of 512 bytes.
    bytes: files.reduce((sum, { blocks }) => sum + blocks * 512, 0),
    chunked: chunks.every(file => file),
    inUse: files.some(({ nlink }) => nlink > 1),
    usedAtMs: entry.mtimeMs,
  }
}
