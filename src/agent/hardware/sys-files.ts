/** What the kernel and udev tell in files and links. Nothing here fails for what is not there, and nothing is written. */
import { readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { run } from '#lib/run.ts'

/** A file of /sys or /proc, or null when it is not there or cannot be read. */
export async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return null
  }
}

/** The last part of where a link points, or null. */
export async function linkName(path: string): Promise<string | null> {
  try {
    return basename(await readlink(path))
  } catch {
    return null
  }
}

export function trimmed(text: string | null | undefined): string | null {
  const short = text?.trim() ?? ''
  return short === '' ? null : short
}

/** Waits until udev has worked through its events; without udev there is nothing to wait for. */
export async function settle(): Promise<void> {
  try {
    await run('udevadm', ['settle', '--timeout=30'])
  } catch {}
}
