/**
 * Builds the lab's disk image: a small real Debian for BIOS and UEFI machines with virtio, SATA, SCSI or NVMe disks, that
 * takes its host name and keys from a config drive and shows a login prompt on screen and serial line. It proves a
 * deployment; it is not meant for production. Used again as long as nothing it is made from has changed.
 */
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { run } from '#lib/run.ts'
import { PackageCache } from '#ramdisk/packages.ts'
import { makeDisk } from './debian-image/disk.ts'
import { makeRootfs } from './debian-image/rootfs.ts'
import { ensureHostPackages, forImage } from './host-packages.ts'

const ImageFile = Type.Object({
  file: Type.String(),
  disk_format: Type.Union([Type.Literal('raw'), Type.Literal('qcow2')]),
  /** Length of the file, for raw also of the disk; holes count. */
  size_bytes: Type.Integer(),
  /** Bytes that differ from a hole, as far as the file system of the build told. */
  used_bytes: Type.Integer(),
  sha256: Type.String(),
  sha512: Type.String(),
})

export const DebianImageManifest = Type.Object({
  fingerprint: Type.String(),
  suite: Type.String(),
  raw: ImageFile,
  qcow2: ImageFile,
})
export type DebianImageManifest = Static<typeof DebianImageManifest>

export type DebianImage = {
  /** Absolute paths. */
  raw: string
  qcow2: string
  manifestFile: string
  manifest: DebianImageManifest
  /** False when it was there already. */
  built: boolean
}

export type DebianImageOptions = {
  /** The raw image; `.qcow2` and `.json` replace its suffix. Default: `var/build/image/ferrite-debian.raw`. */
  outFile?: string
  /** Package lists and the work in progress. Default: `var/build/cache`. */
  cacheDir?: string
  /** Builds whatever is there, from the newest packages. */
  force?: boolean
  log: (line: string) => void
}

/** Builds the image, or finds the one that is up to date. */
export async function buildDebianImage(options: DebianImageOptions): Promise<DebianImage> {
  const { log } = options
  const raw = resolve(options.outFile ?? 'var/build/image/ferrite-debian.raw')
  const stem = raw.replace(/\.(raw|img)$/, '')
  const outputs = { raw, qcow2: `${stem}.qcow2`, manifestFile: `${stem}.json` }
  const cacheDir = resolve(options.cacheDir ?? 'var/build/cache')
  const fingerprint = await hashOwnSources()
  if (options.force !== true) {
    const existing = await findImage(outputs, fingerprint)
    if (existing !== undefined) return existing
  }

  await ensureHostPackages(forImage, log)
  await mkdir(cacheDir, { recursive: true })
  const workDirectory = await mkdtemp(join(cacheDir, 'image-'))
  try {
    const lists = new PackageCache(join(cacheDir, 'packages/amd64'), 'amd64')
    const sources = await lists.debianSources({ refresh: options.force === true })
    const fsUuid = randomUUID()
    const tarFile = join(workDirectory, 'root.tar')
    log(`installing Debian ${sources[0]?.suite ?? ''} into a tree`)
    await makeRootfs({ sources, fsUuid, tarFile })
    log('making the disk')
    const disk = join(workDirectory, 'disk.raw')
    await makeDisk({ tarFile, workDirectory, outFile: disk, fsUuid, diskUuid: randomUUID(), kernelArguments })
    const compact = join(workDirectory, 'disk.qcow2')
    const form = ['-O', 'qcow2', '-c', '-o', 'compression_type=zstd']
    await run('qemu-img', ['convert', '-f', 'raw', ...form, '-m', '4', '-W', disk, compact])
    const manifest: DebianImageManifest = {
      fingerprint,
      suite: sources[0]?.suite ?? '',
      raw: await describe(disk, basename(outputs.raw), 'raw'),
      qcow2: await describe(compact, basename(outputs.qcow2), 'qcow2'),
    }
    await publish({ disk, compact, outputs, manifest })
    return { ...outputs, manifest, built: true }
  } finally {
    await rm(workDirectory, { recursive: true, force: true })
  }
}

/** The last console is the one that start-up messages go to. */
const kernelArguments = 'console=tty0 console=ttyS0,115200 quiet systemd.gpt_auto=0'

type Outputs = { raw: string; qcow2: string; manifestFile: string }

const manifestReader = Compile(DebianImageManifest)

async function hashOwnSources(): Promise<string> {
  const folder = fileURLToPath(new URL('debian-image/', import.meta.url))
  const hash = createHash('sha256').update(await readFile(fileURLToPath(import.meta.url)))
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  for (const file of files.sort()) hash.update(`${file.slice(folder.length)}\0`).update(await readFile(file))
  return hash.digest('hex')
}

async function findImage(outputs: Outputs, fingerprint: string): Promise<DebianImage | undefined> {
  const text = await readFile(outputs.manifestFile, 'utf8').catch(() => undefined)
  const manifest: unknown = text === undefined ? undefined : JSON.parse(text)
  if (!manifestReader.Check(manifest) || manifest.fingerprint !== fingerprint) return undefined
  const raw = await stat(outputs.raw).catch(() => undefined)
  const qcow2 = await stat(outputs.qcow2).catch(() => undefined)
  if (raw?.size !== manifest.raw.size_bytes || qcow2?.size !== manifest.qcow2.size_bytes) return undefined
  return { ...outputs, manifest, built: false }
}

async function describe(path: string, file: string, diskFormat: 'raw' | 'qcow2'): Promise<Static<typeof ImageFile>> {
  const sha256 = createHash('sha256')
  const sha512 = createHash('sha512')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    sha256.update(chunk)
    sha512.update(chunk)
  }
  const { size, blocks } = await stat(path)
  return {
    file,
    disk_format: diskFormat,
    size_bytes: size,
    used_bytes: blocks * 512,
    sha256: sha256.digest('hex'),
    sha512: sha512.digest('hex'),
  }
}

/** Moves the outputs into place, the manifest last: it vouches for the others. */
async function publish(made: {
  disk: string
  compact: string
  outputs: Outputs
  manifest: DebianImageManifest
}): Promise<void> {
  const { outputs } = made
  await mkdir(resolve(outputs.raw, '..'), { recursive: true })
  await rm(outputs.manifestFile, { force: true })
  await moveSparse(made.disk, outputs.raw)
  await moveSparse(made.compact, outputs.qcow2)
  await writeFile(`${outputs.manifestFile}.partial`, `${JSON.stringify(made.manifest, null, 2)}\n`)
  await rename(`${outputs.manifestFile}.partial`, outputs.manifestFile)
}

async function moveSparse(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    // Another file system: a copy keeps the holes where `cp` does.
    if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error
    await run('cp', ['--sparse=always', from, `${to}.partial`])
    await rename(`${to}.partial`, to)
  }
}
