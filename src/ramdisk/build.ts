/**
 * Builds the ramdisk that machines boot to be worked on: kernel, initramfs, and a manifest that says what is in them.
 * The same inputs give the same bytes; a build whose inputs have not changed is used again. Needs no root and runs
 * nothing of what it packs.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { ensureHostPackages, forRamdisk } from '#lab/host-packages.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type Additions, hashOfDirectory, noAdditions } from './additions.ts'
import { assemble } from './assemble.ts'
import { type Architecture, architectures, packages as contentPackages } from './contents.ts'
import { type Feature, features } from './features.ts'
import { slimNode } from './node-program.ts'
import { type Compression, pack } from './pack.ts'
import { type DebianPackage, PackageCache } from './packages.ts'

const Output = Type.Object({ file: Type.String(), size_bytes: Type.Integer(), sha256: Type.String() })

export const RamdiskManifest = Type.Object({
  /** Hash of all inputs. */
  fingerprint: Type.String(),
  architecture: Type.String(),
  compression: Type.Union([Type.Literal('fast'), Type.Literal('best')]),
  kernel_version: Type.String(),
  node_version: Type.String(),
  agent_sha256: Type.String(),
  kernel: Output,
  initramfs: Output,
  unpacked_bytes: Type.Integer(),
  files: Type.Integer(),
  kernel_modules: Type.Integer(),
  /** Debian packages that files were taken from. */
  packages: Type.Array(Type.Object({ name: Type.String(), version: Type.String(), sha256: Type.String() })),
})
export type RamdiskManifest = Static<typeof RamdiskManifest>

export type RamdiskOptions = {
  /** Default: `var/build/ramdisk`, followed by the names of its features. */
  outDir?: string
  /** Packages, and the work in progress. Default: `var/build/cache`. */
  cacheDir?: string
  /** Smaller, and slower to make. */
  compression?: Compression
  /** Fetches the archive's lists anew and builds whatever is there. */
  force?: boolean
  /** Default: that of this machine. */
  architecture?: Architecture
  /** What is to be in it beside what is in every one. */
  features?: readonly Feature[]
  /** Of the operator's own. */
  additions?: Additions
  /** Default: the Node that runs this. */
  nodeFile?: string
  /** A bundle to take instead of making one from src/agent. */
  agentFile?: string
  log: (line: string) => void
}

export type RamdiskBuild = {
  /** Absolute paths. */
  kernel: string
  initramfs: string
  manifestFile: string
  manifest: RamdiskManifest
  /** False when it was there already. */
  built: boolean
}

/**
 * Builds the ramdisk, or finds the one that was built from the same inputs.
 * Writes `ferrite-agent.kernel`, `ferrite-agent.initramfs` and `ferrite-agent.json` in `outDir`.
 */
export async function buildRamdisk(options: RamdiskOptions): Promise<RamdiskBuild> {
  const { log } = options
  const cacheDir = resolve(options.cacheDir ?? 'var/build/cache')
  const compression = options.compression ?? 'fast'
  const architecture = options.architecture ?? nativeArchitecture()
  const chosen = [...new Set(options.features)].sort()
  const outDir = resolve(options.outDir ?? ['var/build/ramdisk', ...chosen].join('-'))
  const additions = options.additions ?? noAdditions
  await ensureHostPackages(forRamdisk, log)
  await mkdir(cacheDir, { recursive: true })
  const workDirectory = await mkdtemp(join(cacheDir, 'ramdisk-'))
  try {
    const agentFile = options.agentFile ?? join(workDirectory, 'agent.mjs')
    if (options.agentFile === undefined) {
      // Loaded when needed: it brings the bundler with it.
      const { bundleAgent } = await import('./agent-bundle.ts')
      await bundleAgent({ outFile: agentFile })
    }
    const nodeFile = options.nodeFile ?? process.execPath
    const names = [
      ...contentPackages,
      ...chosen.flatMap(name => features[name].packages),
      ...additions.packages,
      ...architectures[architecture].packages,
      architectures[architecture].kernelPackage,
    ]
    const cache = new PackageCache(join(cacheDir, 'packages', architecture), architecture)
    const packages = await cache.resolve(names, { refresh: options.force === true })
    const agentSha256 = await sha256Of(agentFile)
    const inputs = {
      architecture,
      compression,
      features: chosen,
      additions: { ...additions, directories: additions.directories.map(hashOfDirectory) },
      packages,
      agentSha256,
      nodeSha256: await sha256Of(nodeFile),
    }
    const fingerprint = hashText(JSON.stringify({ ...inputs, builder: await hashOwnSources() }))

    if (options.force !== true) {
      const existing = await findBuild(outDir, fingerprint)
      if (existing !== undefined) return existing
    }

    log(`unpacking ${packages.length} Debian packages`)
    const unpacked = await cache.unpack(names, packages)
    const runsHere = architectures[architecture].nodeArch === process.arch
    const strip = runsHere ? 'strip' : `${architectures[architecture].gnuName}-strip`
    const node = await slimNode({ nodeFile, outFile: join(workDirectory, 'node'), runsHere, strip, log })
    const time = await newestFileSeconds(unpacked)
    const assembly = await assemble({
      architecture,
      features: chosen,
      additions,
      packages: unpacked,
      nodeFile: node.file,
      agentFile,
      version: `${fingerprint.slice(0, 12)} (Node ${process.versions.node}, ${architecture})`,
      workDirectory,
    })
    log(
      `packing kernel ${assembly.kernelVersion}, ${assembly.moduleCount} modules, ${assembly.tree.entries.size} paths`,
    )
    const initramfs = join(workDirectory, 'initramfs')
    const packed = await pack({
      tree: assembly.tree,
      firstInit: await readFile(new URL('files/initramfs-init', import.meta.url), 'utf8'),
      busyboxFile: assembly.busyboxFile,
      rootModuleFiles: assembly.rootModuleFiles,
      workDirectory,
      outFile: initramfs,
      compression,
      time,
    })
    const kernel = join(workDirectory, 'kernel')
    await copyFile(assembly.kernelFile, kernel)
    const manifest: RamdiskManifest = {
      fingerprint,
      architecture,
      compression,
      kernel_version: assembly.kernelVersion,
      node_version: process.versions.node,
      agent_sha256: agentSha256,
      kernel: await describe(kernel, outputNames.kernel),
      initramfs: await describe(initramfs, outputNames.initramfs),
      unpacked_bytes: packed.unpackedBytes,
      files: packed.files,
      kernel_modules: assembly.moduleCount,
      packages: describePackages(packages, assembly.tree.packagesUsed()),
    }
    return await publish({ outDir, kernel, initramfs, manifest })
  } finally {
    await rm(workDirectory, { recursive: true, force: true })
  }
}

const outputNames = {
  kernel: 'ferrite-agent.kernel',
  initramfs: 'ferrite-agent.initramfs',
  manifest: 'ferrite-agent.json',
}
const manifestReader = Compile(RamdiskManifest)
const ownFolder = dirname(fileURLToPath(import.meta.url))

function nativeArchitecture(): Architecture {
  for (const [name, platform] of Object.entries(architectures)) {
    // Object.entries forgets that the keys are the architectures.
    if (platform.nodeArch === process.arch) return name as Architecture
  }
  const known = Object.keys(architectures).join(', ')
  throw new InvalidInput(`Cannot build a ramdisk for this machine's architecture ${process.arch}: known are ${known}`)
}

/** The builder is an input like any other: what it is changes what it makes. */
async function hashOwnSources(): Promise<string> {
  const names = (await readdir(ownFolder, { recursive: true })).filter(
    name => (name.endsWith('.ts') && !name.endsWith('.test.ts')) || name.startsWith('files/'),
  )
  const hash = createHash('sha256')
  for (const name of names.sort()) hash.update(`${name}\0`).update(await readFile(join(ownFolder, name)))
  return hash.digest('hex')
}

/** The build in `outDir` when it has this fingerprint and its files have the sizes that its manifest gives. */
async function findBuild(outDir: string, fingerprint: string): Promise<RamdiskBuild | undefined> {
  const manifestFile = join(outDir, outputNames.manifest)
  const text = await readFile(manifestFile, 'utf8').catch(() => undefined)
  const manifest: unknown = text === undefined ? undefined : JSON.parse(text)
  if (!manifestReader.Check(manifest) || manifest.fingerprint !== fingerprint) return undefined
  for (const output of [manifest.kernel, manifest.initramfs]) {
    const found = await stat(join(outDir, output.file)).catch(() => undefined)
    if (found?.size !== output.size_bytes) return undefined
  }
  return {
    kernel: join(outDir, manifest.kernel.file),
    initramfs: join(outDir, manifest.initramfs.file),
    manifestFile,
    manifest,
    built: false,
  }
}

/** Moves the outputs into place, the manifest last: it vouches for the others. */
async function publish(made: {
  outDir: string
  kernel: string
  initramfs: string
  manifest: RamdiskManifest
}): Promise<RamdiskBuild> {
  const { outDir, manifest } = made
  await mkdir(outDir, { recursive: true })
  const manifestFile = join(outDir, outputNames.manifest)
  await rm(manifestFile, { force: true })
  const kernel = join(outDir, outputNames.kernel)
  const initramfs = join(outDir, outputNames.initramfs)
  await moveFile(made.kernel, kernel)
  await moveFile(made.initramfs, initramfs)
  await writeFile(`${manifestFile}.partial`, `${JSON.stringify(manifest, null, 2)}\n`)
  await rename(`${manifestFile}.partial`, manifestFile)
  return { kernel, initramfs, manifestFile, manifest, built: true }
}

async function moveFile(from: string, to: string): Promise<void> {
  // By way of a copy beside the target, as the two may lie on different file systems.
  await copyFile(from, `${to}.partial`)
  await rename(`${to}.partial`, to)
}

/** The one time that all files in the ramdisk carry: the latest among those in the packages. */
async function newestFileSeconds(directories: ReadonlyMap<string, string>): Promise<number> {
  let newest = 0
  for (const directory of directories.values()) newest = Math.max(newest, (await stat(directory)).mtimeMs)
  return Math.floor(newest / 1000)
}

function describePackages(packages: readonly DebianPackage[], used: readonly string[]): RamdiskManifest['packages'] {
  return packages
    .filter(one => used.includes(one.name) || one.name.startsWith('linux-image-'))
    .map(({ name, version, sha256 }) => ({ name, version, sha256 }))
}

async function describe(path: string, file: string): Promise<Static<typeof Output>> {
  return { file, size_bytes: (await stat(path)).size, sha256: await sha256Of(path) }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}

function hashText(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
