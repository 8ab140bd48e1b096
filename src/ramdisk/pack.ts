/**
 * Turns a tree into what a machine boots: an initramfs of two parts, one behind the other. First a small compressed cpio
 * with busybox, the modules for a root and the first init; then a plain cpio with the whole system as a squashfs.
 *
 * Why not one compressed cpio: that is unpacked into memory as a whole, some 250 MB, before the first process runs. A
 * squashfs stays packed in memory and is unpacked page by page as files are used, so the machine needs a third of the
 * memory and the agent starts sooner. mksquashfs and cpio get fixed times and owners: same tree, same bytes.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, zstdCompressSync } from 'node:zlib'
import { run } from '#lib/run.ts'
import { type CpioEntry, writeCpio } from './cpio.ts'
import type { Tree } from './tree.ts'

/** How hard to press: seconds on two cores against megabytes. */
export const compressions = {
  fast: { level: 3, blockSize: '256K' },
  best: { level: 22, blockSize: '1M' },
} as const

export type Compression = keyof typeof compressions

/**
 * Writes the initramfs to `outFile`.
 * @param options.time seconds since 1970, for all files inside
 * @returns bytes of the files in the tree and of the initramfs
 */
export async function pack(options: {
  tree: Tree
  firstInit: string
  busyboxFile: string
  rootModuleFiles: readonly string[]
  workDirectory: string
  outFile: string
  compression: Compression
  time: number
}): Promise<{ unpackedBytes: number; packedBytes: number; files: number }> {
  const { workDirectory, time } = options
  const stage = join(workDirectory, 'root')
  const squashFile = join(workDirectory, 'root.squashfs')
  await mkdir(workDirectory, { recursive: true })
  const { unpackedBytes, files } = await options.tree.writeTo(stage)
  await makeSquashfs({ stage, squashFile, compression: options.compression, time })
  await rm(stage, { recursive: true })

  const first = Buffer.concat([...writeCpio(await firstEntries(options), time)])
  const level = options.compression === 'best' ? 19 : 3
  const compressed = zstdCompressSync(first, { params: { [constants.ZSTD_c_compressionLevel]: level } })
  // The kernel looks for the next part at the next multiple of four.
  const gap = new Uint8Array((4 - (compressed.length % 4)) % 4)
  const second = writeCpio(
    [{ kind: 'file', path: 'root.squashfs', mode: 0o600, data: await readFile(squashFile) }],
    time,
  )
  await pipeline(Readable.from(joined([veil, compressed, gap], second)), createWriteStream(options.outFile))
  return { unpackedBytes, files, packedBytes: (await stat(options.outFile)).size }
}

/**
 * The kernel passes over zeros between archives. Ironic, from 2025 on, unpacks whatever file begins as zstd does before it
 * hands it to a machine, and gives up on one that is not zstd to its end.
 */
const veil = new Uint8Array(4)

async function makeSquashfs(options: {
  stage: string
  squashFile: string
  compression: Compression
  time: number
}): Promise<void> {
  const { level, blockSize } = compressions[options.compression]
  const form = ['-comp', 'zstd', '-Xcompression-level', `${level}`, '-b', blockSize]
  const same = ['-all-root', '-all-time', `${options.time}`, '-mkfs-time', `${options.time}`, '-no-xattrs']
  await rm(options.squashFile, { force: true })
  // mksquashfs refuses its own time options when SOURCE_DATE_EPOCH is set as well.
  const command = ['-u', 'SOURCE_DATE_EPOCH', 'mksquashfs', options.stage, options.squashFile]
  await run('env', [...command, '-noappend', '-quiet', '-no-progress', ...form, ...same])
}

async function firstEntries(options: {
  firstInit: string
  busyboxFile: string
  rootModuleFiles: readonly string[]
}): Promise<CpioEntry[]> {
  const directories = ['bin', 'dev', 'merged', 'modules', 'packed', 'proc', 'sys', 'written']
  const modules = options.rootModuleFiles
  return [
    ...directories.map(path => ({ kind: 'directory', path, mode: 0o755 }) as const),
    // The kernel opens it for the first process, before anything is mounted.
    { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'file', path: 'init', mode: 0o755, data: Buffer.from(options.firstInit) },
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: await readFile(options.busyboxFile) },
    {
      kind: 'file',
      path: 'modules/order',
      mode: 0o644,
      data: Buffer.from(modules.map(file => `${basename(file)}\n`).join('')),
    },
    ...(await Promise.all(
      modules.map(async file => ({
        kind: 'file' as const,
        path: `modules/${basename(file)}`,
        mode: 0o644,
        data: await readFile(file),
      })),
    )),
  ]
}

function* joined(...parts: Iterable<Uint8Array>[]): Generator<Uint8Array> {
  for (const part of parts) yield* part
}
