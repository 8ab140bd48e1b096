/** Files that cannot be booted are found out by what is in them; whatever is not known is left alone. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { link, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { damagedFiles } from './boot-files.ts'

/** As long as its header says. */
function kernel(): Buffer {
  const file = Buffer.alloc(100_000, 'a')
  file[0x1f1] = 4
  file.write('HdrS', 0x202, 'latin1')
  file.writeUInt32LE((file.length - 5 * 512) >> 4, 0x1f4)
  return file
}

const packed = gzipSync(randomBytes(50_000))
/** As `ferrite ramdisk build` packs it: a compressed archive, then a plain one, whose last record says so. */
const built = Buffer.concat([
  Buffer.alloc(4),
  zstdCompressSync(randomBytes(5000)),
  randomBytes(5000),
  Buffer.from('070701TRAILER!!!'),
  Buffer.alloc(400),
])
const cases: [name: string, content: Buffer, damage: RegExp | null][] = [
  ['deploy_kernel', kernel(), null],
  ['deploy_kernel', kernel().subarray(0, 50_000), /50000 bytes of/],
  ['deploy_kernel', Buffer.alloc(0), /0 bytes/],
  ['kernel', Buffer.alloc(5000, '<html>'), /is no kernel/],
  ['kernel', Buffer.from(`MZ${'x'.repeat(5000)}`), null],
  ['kernel', packed, null],
  ['deploy_ramdisk', packed, null],
  ['deploy_ramdisk', packed.subarray(0, 30_000), /do not decompress/],
  ['deploy_ramdisk', zstdCompressSync(randomBytes(5000)), null],
  ['deploy_ramdisk', built, null],
  ['deploy_ramdisk', built.subarray(0, 6000), /6000 bytes break off before the end/],
  ['ramdisk', Buffer.from(`070701${'0'.repeat(500)}`), null],
  ['rescue_ramdisk', Buffer.alloc(5000, '<html>'), /neither a cpio archive/],
  ['config', Buffer.from('#!ipxe'), null],
]

test('kernels and ramdisks, whole and not', async () => {
  for (const [name, content, damage] of cases) {
    const folder = await mkdtemp(join(tmpdir(), 'ferrite-boot-files-'))
    try {
      await writeFile(join(folder, name), content)
      const [found] = await damagedFiles(folder)
      if (damage === null) assert.equal(found, undefined, name)
      else assert.match(found?.damage ?? '', damage)
    } finally {
      await rm(folder, { recursive: true })
    }
  }
  assert.deepEqual(await damagedFiles('/nowhere/at/all'), [])
})

test('a file of our own that is not as it was built', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-boot-files-'))
  try {
    const described = (file: string, content: Buffer) => {
      const sha256 = createHash('sha256').update(content).digest('hex')
      return { file, size_bytes: content.length, sha256 }
    }
    const ramdisk = join(folder, 'ferrite-agent.initramfs')
    const manifest = {
      kernel: described('ferrite-agent.kernel', kernel()),
      initramfs: described('ferrite-agent.initramfs', built),
    }
    await writeFile(join(folder, 'ferrite-agent.json'), JSON.stringify(manifest))
    await writeFile(ramdisk, built)
    await mkdir(join(folder, 'node'))
    await link(ramdisk, join(folder, 'node/deploy_ramdisk'))
    assert.deepEqual(await damagedFiles(join(folder, 'node'), folder), [])
    const flipped = Buffer.from(built)
    flipped[6000] = (flipped[6000] ?? 0) ^ 1
    await writeFile(ramdisk, flipped)
    const [found] = await damagedFiles(join(folder, 'node'), folder)
    assert.match(found?.damage ?? '', /its sha256 is not that of what was built/)
    // Of another file the manifest says nothing.
    await rm(join(folder, 'node/deploy_ramdisk'))
    await writeFile(join(folder, 'node/deploy_ramdisk'), flipped)
    assert.deepEqual(await damagedFiles(join(folder, 'node'), folder), [])
  } finally {
    await rm(folder, { recursive: true })
  }
})
