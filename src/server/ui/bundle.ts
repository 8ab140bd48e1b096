/**
 * Packs the web console into files that a browser loads: modules with hashed names, their style sheets and fonts, each
 * beside its compressed forms, and `build.json` that lists them. The same sources lead to the same folder, named by
 * their hash, which appears by rename: whoever finds it finds all of it. Needs the console's packages, as a checkout has
 * them; a package of the service brings the folder with it.
 */
import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { BuildOptions, Plugin } from 'esbuild'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
const entryPoint = 'src/console/main.tsx'
/** What every bundle depends on, besides its modules: the packages, and how it is made. */
const always = ['package-lock.json', 'src/console/tsconfig.json', 'src/server/ui/bundle.ts']
const worthwhile = new Set(['.js', '.css', '.svg'])
/** How long folders of earlier sources stay beside a new one: pages that are open still load from them. */
const keepBuildsMs = 3_600_000

/** What `build.json` says. */
export interface ConsoleBuild {
  /** The page's modules and style sheets, in the order in which it names them. */
  readonly scripts: readonly string[]
  readonly styles: readonly string[]
  /** Every module that the first page needs before it shows anything: the entry and what it imports. */
  readonly firstLoad: readonly string[]
  /** Every file that may be asked for, by its name below the folder. */
  readonly files: readonly string[]
  /** The sources that it was made of. */
  readonly sources: readonly string[]
}

/** The sources of the console lie here; false in a package. */
export async function hasSources(): Promise<boolean> {
  return stat(join(root, entryPoint)).then(
    () => true,
    () => false,
  )
}

/**
 * Builds what is not built yet.
 * @param options.directory holds a folder for each build
 * @returns the folder of the present sources
 */
export async function buildConsole({ directory }: { directory: string }): Promise<string> {
  const builds = await datedBuilds(resolve(directory))
  for (const { folder } of builds) if (await isOfPresentSources(folder)) return folder
  const unfinished = join(resolve(directory), `unfinished-${randomUUID()}`)
  try {
    const described = await bundle(unfinished)
    const folder = join(resolve(directory), await hashOf(described.sources))
    await Promise.all((await readdir(unfinished)).map(name => compress(join(unfinished, name))))
    await writeFile(join(unfinished, 'build.json'), `${JSON.stringify(described, null, 1)}\n`)
    await rename(unfinished, folder).catch(async error => {
      // Another process was quicker; its folder holds the same.
      if (!(await isOfPresentSources(folder))) throw error
    })
    const old = builds.filter(({ builtMs }) => builtMs < Date.now() - keepBuildsMs)
    for (const build of old) await rm(build.folder, { recursive: true, force: true })
    return folder
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** What a folder of buildConsole() holds. */
export async function readBuild(folder: string): Promise<ConsoleBuild> {
  return JSON.parse(await readFile(join(folder, 'build.json'), 'utf8')) // buildConsole() wrote it
}

/** The folders of the builds in a directory, whatever they were made of; the newest first. */
export async function buildsIn(directory: string): Promise<string[]> {
  return (await datedBuilds(resolve(directory))).map(({ folder }) => folder)
}

/** Modules first; then the one style sheet, of those parts whose modules are in use. */
async function bundle(outdir: string): Promise<ConsoleBuild> {
  // Only where something is built: services that find their console never load it, and packages do not have it.
  const { build } = await import('esbuild')
  const styles = new StyleImports()
  const common = commonOptions(outdir)
  const { metafile } = await build({
    ...common,
    entryPoints: { console: entryPoint },
    splitting: true,
    plugins: [styles.plugin],
  })
  const outputs = Object.entries(metafile.outputs).map(([path, output]) => ({ name: basename(path), ...output }))
  const entry = outputs.find(output => output.entryPoint === entryPoint)
  if (!entry) throw new Error(`The bundle has no module for ${entryPoint}`)
  const used = new Set(outputs.flatMap(output => Object.keys(output.inputs)))
  const sheet = await build({
    ...common,
    entryNames: 'console-[hash]',
    stdin: { contents: styles.sheetOf(used), loader: 'css', resolveDir: root },
  })
  const sheets = Object.keys(sheet.metafile.outputs).map(path => basename(path))
  const imports = new Map(
    outputs.map(({ name, imports }) => [name, imports.map(({ path, kind }) => ({ name: basename(path), kind }))]),
  )
  const modules = [...used, ...styles.ofOurs(used)].filter(path => path.startsWith('src/'))
  return {
    scripts: [entry.name],
    styles: sheets.filter(name => name.endsWith('.css')),
    firstLoad: staticImports(entry.name, imports),
    files: [...outputs.map(output => output.name), ...sheets].filter(name => !name.endsWith('.map')).sort(),
    sources: [...new Set([...modules, ...always])].sort(),
  }
}

function commonOptions(outdir: string) {
  return {
    absWorkingDir: root,
    outdir,
    metafile: true,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome120', 'firefox121', 'safari17'],
    jsx: 'automatic',
    minify: true,
    sourcemap: 'external',
    entryNames: '[name]-[hash]',
    chunkNames: 'part-[hash]',
    assetNames: '[name]-[hash]',
    publicPath: '/ui/assets/',
    loader: { '.woff2': 'file', '.svg': 'file' },
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'none',
    logLevel: 'error',
  } as const satisfies BuildOptions
}

/**
 * Takes the style sheets that modules import out of the bundle, to put in one sheet those only whose modules are used:
 * the bundler itself would take the sheet of every component that the library has, once per page.
 */
class StyleImports {
  readonly #imports: { importer: string; sheet: string }[] = []

  readonly plugin: Plugin = {
    name: 'style imports',
    setup: ({ onResolve, onLoad, resolve: find }) => {
      onResolve({ filter: /\.css$/ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (pluginData === this) return undefined
        const found = await find(path, { importer, resolveDir, kind, pluginData: this })
        if (found.errors.length > 0) return { errors: found.errors }
        this.#imports.push({ importer: relative(root, importer), sheet: found.path })
        return { path: found.path, namespace: 'style' }
      })
      onLoad({ filter: /./, namespace: 'style' }, () => ({ contents: '', loader: 'js' }))
    },
  }

  /** The style sheets in our sources, relative to the root. */
  ofOurs(used: ReadonlySet<string>): string[] {
    return this.#sheets(used).map(sheet => relative(root, sheet))
  }

  /** @param used modules that are in the bundle, relative to the root */
  sheetOf(used: ReadonlySet<string>): string {
    // What all stands on comes first, what is our own has the last word.
    const rank = (sheet: string) => (sheet.endsWith('/base.css') ? 0 : sheet.startsWith(join(root, 'src')) ? 2 : 1)
    const sorted = this.#sheets(used).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
    return sorted.map(sheet => `@import ${JSON.stringify(sheet)};`).join('\n')
  }

  #sheets(used: ReadonlySet<string>): string[] {
    return [...new Set(this.#imports.filter(({ importer }) => used.has(importer)).map(({ sheet }) => sheet))]
  }
}

/** The module and all that it imports before it runs; what it loads later is left out. */
function staticImports(
  entry: string,
  imports: ReadonlyMap<string, readonly { name: string; kind: string }[]>,
): string[] {
  const found = new Set([entry])
  for (const module of found) {
    for (const { name, kind } of imports.get(module) ?? []) if (kind === 'import-statement') found.add(name)
  }
  return [...found]
}

async function compress(file: string): Promise<void> {
  if (!worthwhile.has(extname(file))) return
  const bytes = await readFile(file)
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(bytes, { params }),
    promisify(gzip)(bytes, { level: 9 }),
  ])
  await Promise.all([writeFile(`${file}.br`, br), writeFile(`${file}.gz`, gz)])
}

async function isOfPresentSources(folder: string): Promise<boolean> {
  const build = await readBuild(folder).catch(() => undefined) // Another process removed it.
  const hash = build && (await hashOf(build.sources).catch(() => undefined)) // One of them is gone.
  return hash === basename(folder)
}

/** @param sources relative to the root */
async function hashOf(sources: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const source of sources) hash.update(`${source}\0`).update(await readFile(join(root, source)))
  return hash.digest('hex').slice(0, 16)
}

/** Newest first. */
async function datedBuilds(directory: string): Promise<{ folder: string; builtMs: number }[]> {
  const names = await readdir(directory).catch((): string[] => [])
  const folders = names.filter(name => /^[0-9a-f]{16}$/.test(name)).map(name => join(directory, name))
  const dated = await Promise.all(
    folders.map(async folder => ({
      folder,
      builtMs: await stat(join(folder, 'build.json')).then(
        found => found.mtimeMs,
        () => 0,
      ),
    })),
  )
  return dated.filter(({ builtMs }) => builtMs > 0).sort((a, b) => b.builtMs - a.builtMs)
}
