/**
 * The file tree of the ramdisk while it is put together: files picked one by one out of unpacked packages, each with the
 * links it goes through and the shared libraries it needs. The tree is merged-usr (`/bin` is `/usr/bin`) whatever the
 * packages say. It holds no contents, only where they lie, until it is written out.
 */
import { type Dirent, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { chmod, copyFile, link, lstat, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { Fault } from '#lib/fault.ts'
import { readElf } from './elf.ts'

export type TreeEntry =
  | { kind: 'directory'; mode: number }
  | { kind: 'link'; target: string }
  | { kind: 'file'; source: string; package?: string }
  | { kind: 'data'; data: Uint8Array; mode: number }

/** Something that the ramdisk must hold is in none of the packages. */
export class FileNotInPackages extends Fault {
  readonly status = 500
  readonly code = 'file-not-in-packages'
}

type Source = { package: string; disk: string; kind: 'file' | 'link' | 'directory' }

export class Tree {
  /** Absolute path in the ramdisk to what is there; parents are always present. */
  readonly entries = new Map<string, TreeEntry>()
  readonly #sources: Map<string, Source>
  readonly #libraryDirectories: readonly string[]

  /**
   * @param packages unpacked packages by name; where two hold the same path the first by name wins
   * @param libraryDirectories where the dynamic loader looks, absolute, most wanted first
   */
  constructor(packages: ReadonlyMap<string, string>, libraryDirectories: readonly string[]) {
    this.#sources = indexPackages(packages)
    this.#libraryDirectories = libraryDirectories
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
      this.directory(`/usr/${name}`)
      this.link(`/${name}`, `usr/${name}`)
    }
  }

  directory(path: string, mode = 0o755): void {
    const clean = merged(path)
    if (clean === '/') return
    this.#parents(clean)
    this.entries.set(clean, { kind: 'directory', mode })
  }

  link(path: string, target: string): void {
    const clean = merged(path)
    this.#parents(clean)
    this.entries.set(clean, { kind: 'link', target })
  }

  /** A file with contents of ours. */
  data(path: string, data: string | Uint8Array, mode = 0o644): void {
    const clean = merged(path)
    this.#parents(clean)
    this.entries.set(clean, { kind: 'data', data: typeof data === 'string' ? Buffer.from(data) : data, mode })
  }

  /** A file of this machine, with the shared libraries that it needs from the packages. */
  file(path: string, source: string): void {
    const clean = merged(path)
    this.#parents(clean)
    this.entries.set(clean, { kind: 'file', source })
    this.#libraries(clean, source)
  }

  /** Picks `path` out of the packages: a file, a link with what it points to, or a directory with all that is in it. */
  pick(path: string): void {
    const clean = merged(path)
    const source = this.#sources.get(clean)
    if (source === undefined) throw new FileNotInPackages(`Cannot add ${path} to the ramdisk: no package holds it`)
    this.#take(clean, source)
  }

  /** Picks the program `name` from wherever programs lie. */
  program(name: string): void {
    const path = [`/usr/sbin/${name}`, `/usr/bin/${name}`].find(candidate => this.#sources.has(candidate))
    if (path === undefined) throw new FileNotInPackages(`Cannot add the program ${name}: no package holds it`)
    this.pick(path)
  }

  has(path: string): boolean {
    return this.entries.has(merged(path))
  }

  /** Where the packages keep `path` on this machine's disk. */
  sourceOf(path: string): string {
    const source = this.#sources.get(merged(path))
    if (source === undefined) throw new FileNotInPackages(`Cannot read ${path}: no package holds it`)
    return source.disk
  }

  /** Paths in the packages that begin with `prefix`, sorted; directories are not among them. */
  find(prefix: string): string[] {
    const clean = merged(prefix)
    const found: string[] = []
    for (const [path, source] of this.#sources) {
      if (path.startsWith(clean) && source.kind !== 'directory') found.push(path)
    }
    return found.sort()
  }

  /** Paths that the package `name` holds, sorted; directories are not among them. */
  filesOf(name: string): string[] {
    const found: string[] = []
    for (const [path, source] of this.#sources) {
      if (source.package === name && source.kind !== 'directory') found.push(path)
    }
    return found.sort()
  }

  /** Names of the packages that something was picked from, sorted. */
  packagesUsed(): string[] {
    const names = new Set<string>()
    for (const entry of this.entries.values()) {
      if (entry.kind === 'file' && entry.package !== undefined) names.add(entry.package)
    }
    return [...names].sort()
  }

  /** Makes the tree real below `directory`, which must not exist. Files of the cache are hard-linked, not copied. */
  async writeTo(directory: string): Promise<{ unpackedBytes: number; files: number }> {
    let unpackedBytes = 0
    let files = 0
    await mkdir(directory, { recursive: true })
    const sorted = [...this.entries].sort(([a], [b]) => (a < b ? -1 : 1))
    for (const [path, entry] of sorted) {
      const disk = join(directory, path)
      if (entry.kind === 'directory') {
        await mkdir(disk)
        await chmod(disk, entry.mode)
      } else if (entry.kind === 'link') {
        await symlink(entry.target, disk)
      } else {
        if (entry.kind === 'data') {
          await writeFile(disk, entry.data)
          await chmod(disk, entry.mode)
        } else {
          // The cache may lie on another file system.
          await link(entry.source, disk).catch(() => copyFile(entry.source, disk))
        }
        unpackedBytes += (await lstat(disk)).size
        files++
      }
    }
    return { unpackedBytes, files }
  }

  #take(path: string, source: Source): void {
    if (this.entries.has(path) && source.kind !== 'directory') return
    if (source.kind === 'directory') {
      this.directory(path)
      for (const [inner, each] of this.#sources) if (inner.startsWith(`${path}/`)) this.#take(inner, each)
      return
    }
    this.#parents(path)
    if (source.kind === 'link') {
      const target = readlinkSync(source.disk)
      this.entries.set(path, { kind: 'link', target })
      const aim = merged(posix.resolve(dirname(path), target))
      const next = this.#sources.get(aim)
      // A link may point to what only exists at run time, such as /proc/self/mounts.
      if (next !== undefined) this.#take(aim, next)
      return
    }
    this.entries.set(path, { kind: 'file', source: source.disk, package: source.package })
    this.#libraries(path, source.disk)
  }

  #libraries(path: string, disk: string): void {
    const elf = readElf(readFileSync(disk))
    // A kernel module is an ELF file as well, with nothing to load.
    if (elf === undefined) return
    if (elf.interpreter !== undefined) this.pick(elf.interpreter)
    const own = elf.searchPath.map(each => each.replace(/\$\{?ORIGIN\}?/, dirname(path)))
    for (const name of elf.needed) {
      const found = [...own, ...this.#libraryDirectories].find(each => this.#sources.has(merged(join(each, name))))
      if (found === undefined) {
        throw new FileNotInPackages(`Cannot add ${path}: it needs the library ${name}, which no package holds`)
      }
      this.pick(join(found, name))
    }
  }

  #parents(path: string): void {
    const parent = dirname(path)
    if (parent === '/' || this.entries.has(parent)) return
    this.#parents(parent)
    this.entries.set(parent, { kind: 'directory', mode: 0o755 })
  }
}

/** `/lib/x` and `/usr/lib/x` are one place. */
function merged(path: string): string {
  return posix.normalize(path).replace(/^\/(bin|sbin|lib|lib64)(?=\/)/, '/usr/$1')
}

function indexPackages(packages: ReadonlyMap<string, string>): Map<string, Source> {
  const sources = new Map<string, Source>()
  const names = [...packages.keys()].sort()
  for (const name of names) {
    const root = packages.get(name) ?? ''
    const walk = (path: string): void => {
      for (const child of readdirSync(join(root, path), { withFileTypes: true })) {
        const inner = posix.join(path, child.name)
        const key = merged(inner)
        const kind = kindOf(child)
        if (kind !== undefined && !sources.has(key)) sources.set(key, { package: name, disk: join(root, inner), kind })
        if (kind === 'directory') walk(inner)
      }
    }
    walk('/')
  }
  return sources
}

function kindOf(entry: Dirent): Source['kind'] | undefined {
  if (entry.isSymbolicLink()) return 'link'
  if (entry.isDirectory()) return 'directory'
  return entry.isFile() ? 'file' : undefined
}
