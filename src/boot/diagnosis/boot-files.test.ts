/** Files that cannot be booted are found out by what is in them; whatever is not known is left alone. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
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
  ['deploy_ramdisk', Buffer.concat([Buffer.alloc(4), zstdCompressSync(randomBytes(5000))]), null],
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
