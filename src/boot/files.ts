/**
 * Files that machines fetch while they boot. Each becomes visible whole, by rename or by link: a machine that asks at
 * the wrong moment gets the old file or the new one, never half of one. Knows paths, not nodes.
 */
import { randomUUID } from 'node:crypto'
import {
  chmod,
  constants,
  copyFile,
  link,
  mkdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Makes a directory; one that is made here gets `mode` as its permissions, null those of the process. */
export async function makeDirectory(path: string, mode: number | null): Promise<void> {
  const made = await mkdir(path, { recursive: true })
  // What mkdir is told, the process's mask still changes.
  if (made !== undefined && mode !== null) await chmod(path, mode)
}

/** Writes a file, with `mode` as its permissions. */
export async function putFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await replacing(path, temporary => writeFile(temporary, content, { mode, flag: 'wx' }))
}

/**
 * Makes `path` the same file as `source`: a second name where the file system allows it, else a copy. A name left by
 * an earlier call is replaced.
 */
export async function putLink(path: string, source: string, mode: number): Promise<void> {
  if (await isSameFile(path, source)) return
  await replacing(path, async temporary => {
    try {
      await link(source, temporary)
    } catch (error) {
      if (!CANNOT_LINK.includes((error as NodeJS.ErrnoException).code ?? '')) throw error // what node:fs throws
      await putCopy(temporary, source, mode)
    }
  })
}

/** Makes `path` a symbolic link with this text. */
export async function putSymlink(path: string, text: string): Promise<void> {
  if ((await readlink(path).catch(() => null)) === text) return
  await replacing(path, temporary => symlink(text, temporary))
}

/** Other file system, too many names, or a file system or user without hard links. */
const CANNOT_LINK = ['EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EACCES']

async function putCopy(path: string, source: string, mode: number): Promise<void> {
  await copyFile(source, path, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
  await chmod(path, mode)
}

async function replacing(path: string, make: (temporary: string) => Promise<unknown>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.part`)
  try {
    await make(temporary)
    await rename(temporary, path)
  } finally {
    // Renaming one name of a file onto another name of it does nothing and leaves both.
    await rm(temporary, { force: true })
  }
}

/** Two names of one file; a name without a file is none. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([a, b].map(path => stat(path).catch(() => null)))
  return first !== null && second !== null && first?.ino === second?.ino && first?.dev === second?.dev
}
