/**
 * Whether what is published for a node can be booted at all: a kernel says how long it is, and a compressed ramdisk shows
 * where it breaks off. Read when a boot has failed, never before; what cannot be told is taken for good.
 *
 * Source: Linux Documentation/arch/x86/boot.rst (setup header), Documentation/driver-api/early-userspace/buffer-format.rst.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { messageOf } from '#lib/fault.ts'
import { isSameFile } from '../files.ts'

export interface DamagedFile {
  kind: 'kernel' | 'ramdisk'
  path: string
  /** Follows its name. */
  damage: string
}

/**
 * @param directory of the node's published files
 * @param built where `ferrite ramdisk build` puts its own, with a manifest of them
 */
export async function damagedFiles(directory: string, built: string | null = null): Promise<DamagedFile[]> {
  const names = await readdir(directory).catch(() => [])
  const found: DamagedFile[] = []
  for (const name of names) {
    const kind = /(^|_)(kernel|ramdisk)$/.exec(name)?.[2] as DamagedFile['kind'] | undefined // one of the pattern's words
    if (kind === undefined) continue
    const path = join(directory, name)
    // What is gone meanwhile is not damaged.
    const damage =
      (await (kind === 'kernel' ? kernelDamage(path) : ramdiskDamage(path)).catch(() => null)) ??
      (built === null ? null : await builtDamage(path, built).catch(() => null))
    if (damage !== null) found.push({ kind, path, damage })
  }
  return found.sort((a, b) => a.kind.localeCompare(b.kind))
}

const sector = 512
const paragraph = 16

async function kernelDamage(path: string): Promise<string | null> {
  const { head, sizeBytes } = await startOf(path, 0x210)
  if (sizeBytes === 0) return 'it has 0 bytes'
  // Kernels of other architectures are files of the firmware, or compressed.
  if (isCompressed(head) || head.subarray(0, 4).toString('latin1') === '\x7fELF') return null
  const isLinux = head.subarray(0x202, 0x206).toString('latin1') === 'HdrS'
  if (!isLinux) return head.subarray(0, 2).toString('latin1') === 'MZ' ? null : 'it is no kernel'
  const setupSectors = head[0x1f1] || 4
  const needed = (setupSectors + 1) * sector + head.readUInt32LE(0x1f4) * paragraph
  return sizeBytes < needed ? `it has ${sizeBytes} bytes of ${needed}` : null
}

async function ramdiskDamage(path: string): Promise<string | null> {
  const { head, sizeBytes } = await startOf(path, 4096)
  if (sizeBytes === 0) return 'it has 0 bytes'
  if (isGzip(head)) return gzipDamage(path, sizeBytes)
  if (isBuilt(head)) return tailDamage(path, sizeBytes)
  const isArchive = /^07070[12]/.test(head.subarray(0, 6).toString('latin1'))
  const isPadded = head.subarray(0, 4).every(byte => byte === 0) && head.some(byte => byte !== 0)
  return isArchive || isCompressed(head) || isPadded ? null : 'it is neither a cpio archive nor a compressed one'
}

async function gzipDamage(path: string, sizeBytes: number): Promise<string | null> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  try {
    await pipeline(createReadStream(path), createGunzip(), nowhere)
    return null
  } catch (error) {
    return `its ${sizeBytes} bytes do not decompress (${messageOf(error)})`
  }
}

/** As `ferrite ramdisk build` packs it: zeros, a compressed archive, and a plain one to the end. */
const isBuilt = (head: Buffer) => head.subarray(0, 8).toString('hex') === '0000000028b52ffd'

async function tailDamage(path: string, sizeBytes: number): Promise<string | null> {
  await using file = await open(path)
  const tail = Buffer.alloc(2 * sector)
  await file.read(tail, 0, tail.length, Math.max(0, sizeBytes - tail.length))
  return tail.includes('TRAILER!!!') ? null : `its ${sizeBytes} bytes break off before the end of its archive`
}

const Built = Type.Object({ file: Type.String(), size_bytes: Type.Integer(), sha256: Type.String() })
const manifestReader = Compile(Type.Object({ kernel: Built, initramfs: Built }))

/** What the manifest knows better; null of files that are none of it. */
async function builtDamage(path: string, built: string): Promise<string | null> {
  const manifest: unknown = JSON.parse(await readFile(join(built, 'ferrite-agent.json'), 'utf8'))
  if (!manifestReader.Check(manifest)) return null
  for (const { file, size_bytes, sha256 } of [manifest.kernel, manifest.initramfs]) {
    if (!(await isSameFile(path, join(built, file)))) continue
    const { size } = await stat(path)
    if (size !== size_bytes) return `it has ${size} bytes, and was built with ${size_bytes}`
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash)
    return hash.digest('hex') === sha256 ? null : 'its sha256 is not that of what was built'
  }
  return null
}

/** The formats that kernels unpack. */
const magics = ['1f8b', '425a68', 'fd377a585a', '5d0000', '894c5a4f', '02214c18', '28b52ffd']

function isCompressed(head: Buffer): boolean {
  const start = head.subarray(0, 8).toString('hex')
  return magics.some(magic => start.startsWith(magic))
}

const isGzip = (head: Buffer) => head[0] === 0x1f && head[1] === 0x8b

async function startOf(path: string, length: number): Promise<{ head: Buffer; sizeBytes: number }> {
  await using file = await open(path)
  const head = Buffer.alloc(length)
  await file.read(head, 0, length, 0)
  return { head, sizeBytes: (await file.stat()).size }
}
