/**
 * Debian packages as a source of files: resolves names to exact versions with all they depend on, downloads and unpacks
 * them into a cache. Nothing is installed, no package script runs, and the machine's own apt state is not touched: apt
 * works on lists of our own, so that an ordinary user can build. apt checks signatures and checksums as always.
 */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault, messageOf } from '#lib/fault.ts'
import { run } from '#lib/run.ts'

export type DebianPackage = {
  name: string
  version: string
  /** Of the package: `all` for one without machine code. */
  architecture: string
  /** File name in the archive's cache, as apt spells it. */
  file: string
  sizeBytes: number
  sha256: string
}

/** One place that Debian packages come from, in the words of a sources.list line. */
export type DebianSource = { uri: string; suite: string; components: string }

/** apt could not say which packages to take, or could not get them. */
export class PackagesUnavailable extends Fault {
  readonly status = 502
  readonly code = 'packages-unavailable'
}

/** A package cache below one directory; two builds at once may share it as far as apt itself allows. */
export class PackageCache {
  readonly #lists: string
  /** Stays empty: apt does not name what it finds in its archive, so it resolves with this one. */
  readonly #noArchives: string
  readonly #archives: string
  readonly #unpacked: string
  readonly #architecture: string
  readonly #aptOptions: string[]

  /** @param architecture Debian's name of it, such as `amd64` */
  constructor(directory: string, architecture: string) {
    this.#lists = join(directory, 'lists')
    this.#noArchives = join(directory, 'no-archives')
    this.#archives = join(directory, 'archives')
    this.#unpacked = join(directory, 'unpacked')
    this.#architecture = architecture
    const set = {
      'APT::Architecture': architecture,
      'APT::Install-Recommends': 'false',
      // apt drops root's rights for downloads, and then could not write into a directory that belongs to root.
      'APT::Sandbox::User': '',
      'Acquire::ForceHash': 'SHA256',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
      'Dir::Cache': join(directory, 'cache'),
      'Dir::Cache::archives': this.#archives,
      'Dir::State::lists': this.#lists,
      // An empty status: nothing counts as installed, so the answer does not depend on this machine.
      'Dir::State::status': join(directory, 'status'),
    }
    this.#aptOptions = Object.entries(set).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  }

  /**
   * The packages `names` and all they depend on, sorted by name.
   * @param options.refresh fetches the archive's lists anew; without it they are fetched only when there are none, so
   * that the same versions are found until somebody asks for newer ones
   */
  async resolve(names: readonly string[], options: { refresh: boolean }): Promise<DebianPackage[]> {
    await this.#prepare(options.refresh)
    const empty = ['-o', `Dir::Cache::archives=${this.#noArchives}`]
    const { stdout } = await this.#apt([...empty, 'install', '--print-uris', '-qq', ...names])
    const found = stdout.split('\n').filter(Boolean).map(parseUriLine)
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * Downloads what is missing and unpacks each package into a directory of its own.
   * @param names must be those that `resolve` was asked for
   * @returns the directories, by package name
   */
  async unpack(names: readonly string[], packages: readonly DebianPackage[]): Promise<Map<string, string>> {
    await this.#apt(['install', '--download-only', '-y', '-qq', ...names])
    const directories = new Map<string, string>()
    for (const one of packages)
      directories.set(one.name, join(this.#unpacked, `${one.file}-${one.sha256.slice(0, 12)}`))
    const present = new Set(await readdir(this.#unpacked))
    const waiting = packages.filter(one => !present.has(`${one.file}-${one.sha256.slice(0, 12)}`))
    // Two at a time: decompression is one thread each.
    const work = async () => {
      for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
        await this.#unpackOne(one, directories.get(one.name) ?? '')
      }
    }
    await Promise.all([work(), work()])
    return directories
  }

  /** Those of this machine's package sources that are Debian itself, the main suite first. */
  async debianSources(options: { refresh: boolean }): Promise<DebianSource[]> {
    await this.#prepare(options.refresh)
    const filters = ['Origin: Debian', 'Created-By: Packages', `Architecture: ${this.#architecture}`]
    const { stdout } = await this.#apt(['indextargets', '--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)', ...filters])
    const lines = [...new Set(stdout.split('\n').filter(Boolean))]
    const sources = lines.map(line => {
      const [uri = '', suite = '', components = ''] = line.split(' ')
      return { uri, suite, components }
    })
    // Updates and security suites are named after the main one.
    return sources.sort((a, b) => a.suite.length - b.suite.length || (a.components < b.components ? -1 : 1))
  }

  /** A half unpacked package never has the final name. */
  async #unpackOne(one: DebianPackage, directory: string): Promise<void> {
    const partial = `${directory}.partial`
    await rm(partial, { recursive: true, force: true })
    await run('dpkg-deb', ['-x', join(this.#archives, one.file), partial])
    await rename(partial, directory)
  }

  async #prepare(refresh: boolean): Promise<void> {
    await mkdir(join(this.#archives, 'partial'), { recursive: true })
    await mkdir(join(this.#lists, 'partial'), { recursive: true })
    await mkdir(join(this.#noArchives, 'partial'), { recursive: true })
    await mkdir(this.#unpacked, { recursive: true })
    const status = this.#aptOptions.find(option => option.startsWith('Dir::State::status='))?.split('=')[1] ?? ''
    await writeFile(status, '')
    const hasLists = (await readdir(this.#lists)).some(
      name => name.endsWith('_Packages') || name.includes('_Packages.'),
    )
    if (refresh || !hasLists) await this.#apt(['update', '-qq'])
  }

  async #apt(args: string[]): Promise<{ stdout: string }> {
    try {
      return await run('apt-get', [...this.#aptOptions, ...args], { env: { LC_ALL: 'C' } })
    } catch (error) {
      const hint = "Its sources are this machine's own, which must be those of Debian 12 or newer"
      throw new PackagesUnavailable(
        `Cannot get Debian packages (${this.#architecture}) with apt-get: ${messageOf(error)}. ${hint}`,
        { cause: error },
      )
    }
  }
}

/** A line of `--print-uris`: `'URI' NAME_VERSION_ARCH.deb SIZE SHA256:HEX`. */
function parseUriLine(line: string): DebianPackage {
  const [, file, size, sha256] = /^'[^']+' (\S+) (\d+) SHA256:([0-9a-f]{64})$/.exec(line) ?? []
  const [, name, version, architecture] = /^([^_]+)_([^_]+)_([^_]+)\.deb$/.exec(file ?? '') ?? []
  if (
    file === undefined ||
    size === undefined ||
    sha256 === undefined ||
    name === undefined ||
    !version ||
    !architecture
  ) {
    throw new PackagesUnavailable(`Cannot read apt-get's answer: found "${line}", expected 'URI' FILE SIZE SHA256:HASH`)
  }
  return { name, version: decodeURIComponent(version), architecture, file, sizeBytes: Number(size), sha256 }
}
