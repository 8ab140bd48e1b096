/**
 * What an operator puts into a ramdisk of his own: Debian packages, further modules of Debian's kernel, and directories of
 * files, among them drivers that Debian does not have. They lie over everything else.
 */
import { createHash } from 'node:crypto'
import { type Dirent, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidInput } from '#lib/fault.ts'
import type { Tree } from './tree.ts'

export interface Additions {
  /** All files of these Debian packages but their documentation, such as `firmware-bnx2x`. */
  readonly packages: readonly string[]
  /** Names of kernel modules. */
  readonly modules: readonly string[]
  /** Each file of these directories gets the same path in the ramdisk. */
  readonly directories: readonly string[]
}

export const noAdditions: Additions = { packages: [], modules: [], directories: [] }

const documentation = /^\/usr\/share\/(bash-completion|bug|doc|doc-base|info|lintian|locale|man)\//

export function addPackage(tree: Tree, name: string): void {
  for (const path of tree.filesOf(name)) if (!documentation.test(path)) tree.pick(path)
}

/** @throws InvalidInput when it is not a directory, or holds what is neither file, link nor directory */
export function addDirectory(tree: Tree, directory: string): void {
  for (const [path, entry] of entriesBelow(directory)) {
    const disk = join(directory, path)
    if (entry.isDirectory()) {
      if (!tree.has(path)) tree.directory(path, statSync(disk).mode & 0o7777)
    } else if (entry.isSymbolicLink()) tree.link(path, readlinkSync(disk))
    else if (entry.isFile()) tree.file(path, disk)
    else throw new InvalidInput(`Cannot add ${disk} to the ramdisk: it is neither a file, a link nor a directory`)
  }
}

/**
 * Kernel modules that the tree has already: path below /lib/modules/VERSION to where they lie.
 * @throws InvalidInput for those of another kernel, which would never be loaded
 */
export function modulesAmong(tree: Tree, version: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const [path, entry] of tree.entries) {
    const [, kernel, module] = /^\/usr\/lib\/modules\/([^/]+)\/(.+\.ko(?:\.\w+)?)$/.exec(path) ?? []
    if (kernel === undefined || module === undefined || entry.kind !== 'file') continue
    if (kernel !== version) {
      throw new InvalidInput(`Cannot add ${path} to the ramdisk: it is for the kernel ${kernel}, expected ${version}`)
    }
    found.set(module, entry.source)
  }
  return found
}

/** Of names and contents: what is different there makes another ramdisk. */
export function hashOfDirectory(directory: string): string {
  const hash = createHash('sha256')
  for (const [path, entry] of entriesBelow(directory)) {
    const disk = join(directory, path)
    hash.update(`${path}\0`)
    if (entry.isFile()) hash.update(`${statSync(disk).mode}\0`).update(readFileSync(disk))
    else if (entry.isSymbolicLink()) hash.update(readlinkSync(disk))
  }
  return hash.digest('hex')
}

/** Absolute paths in the ramdisk, parents before what is in them. */
function entriesBelow(directory: string): [path: string, entry: Dirent][] {
  const found: [string, Dirent][] = []
  const walk = (path: string): void => {
    const inside = readdirSync(join(directory, path), { withFileTypes: true })
    for (const entry of inside.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const inner = `${path}/${entry.name}`
      found.push([inner, entry])
      if (entry.isDirectory()) walk(inner)
    }
  }
  try {
    walk('')
  } catch (error) {
    throw new InvalidInput(`Cannot add the directory ${directory} to the ramdisk: ${String(error)}`, { cause: error })
  }
  return found
}
