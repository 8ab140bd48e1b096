/**
 * Looks into the mounted file system of an image without ever leaving it: a link of the image that leads elsewhere, into
 * the ramdisk for one, counts as absent. Runs nothing of the image; what little is written goes the same way.
 */
import { constants } from 'node:fs'
import { copyFile, mkdir, open, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** The real path of a file or directory of the image, or null when there is none inside of it. */
export async function inside(root: string, path: string): Promise<string | null> {
  const real = await realpath(join(root, path)).catch(() => null)
  if (real === null) return null
  const base = await realpath(root)
  return real === base || real.startsWith(`${base}/`) ? real : null
}

/** Names in a directory of the image, sorted; none when it is not there. */
export async function namesIn(root: string, path: string): Promise<string[]> {
  const real = await inside(root, path)
  if (real === null) return []
  return (await readdir(real).catch(() => [])).sort()
}

/** The text of a regular file of the image, or null. */
export async function textOf(root: string, path: string): Promise<string | null> {
  const real = await inside(root, path)
  if (real === null || !(await stat(real)).isFile()) return null
  return await readFile(real, 'utf8')
}

/** Replaces the text of a file of the image. @param path as `inside` told it, so no link */
export async function rewrite(path: string, text: string): Promise<void> {
  const handle = await open(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW)
  try {
    await handle.writeFile(text)
  } finally {
    await handle.close()
  }
}

/** Regular files below a directory, as paths relative to it, sorted. Links are left out. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

/** Copies regular files and directories; FAT has no links, and those of an image are not followed. */
export async function copyTree(from: string, to: string): Promise<void> {
  for (const file of await filesBelow(from)) {
    const target = join(to, file)
    await mkdir(join(target, '..'), { recursive: true })
    await copyFile(join(from, file), target)
  }
}
