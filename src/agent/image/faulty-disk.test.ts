/** Disks that fail while an image is written: a clear failure each time, and nothing that boots. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import type { ImageInfo } from '#protocol/agent.ts'
import { type FaultyDisk, makeFaultyDisk, needsFuse } from './faulty-disk.ts'
import { type Bench, dir, diskImage, hash, MIB, setUp, startOf } from './test-setup.ts'

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

describe('a disk that fails', { skip: needsFuse }, () => {
  const raw = needsFuse === false ? diskImage('dos') : Buffer.alloc(0)
  const qcow2 = join(dir, 'faulty.qcow2')
  if (needsFuse === false) {
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(dir, 'image-dos'), qcow2])
  }
  const images: [string, () => Buffer][] = [
    ['raw', () => raw],
    ['qcow2', () => readFileSync(qcow2)],
  ]

  for (const [disk_format, content] of images) {
    const info = (): Partial<ImageInfo> => ({ disk_format, checksum: hash('sha256', content()) })

    test(`${disk_format}: in the middle`, async () => {
      const { bench, disk } = await make(content(), 5)
      await assert.rejects(bench.write(info()), { type: 'ImageWriteError', message: /EIO|Input\/output error/ })
      assert.ok(startOf(disk.device, MIB).every(byte => byte === 0))
    })

    test(`${disk_format}: by vanishing`, async () => {
      const { bench, disk } = await make(content(), null)
      bench.onReport = ({ phase, bytes }) => {
        if (phase === 'write' && (bytes > 0 || disk_format === 'qcow2')) disk.vanish()
      }
      await assert.rejects(bench.write(info()), { type: 'ImageWriteError', message: /EIO|Input\/output error/ })
    })
  }

  test('where the partition table goes, when all else is written', async () => {
    // Wiping spares it, the first block of the image does not.
    const { bench, disk } = await make(raw, 1)
    await assert.rejects(bench.write({ checksum: hash('sha256', raw) }), { type: 'ImageWriteError', message: /EIO/ })
    assert.ok(startOf(disk.device, MIB).every(byte => byte === 0))
    assert.ok(
      startOf(disk.device, 8 * MIB)
        .subarray(4 * MIB)
        .equals(raw.subarray(4 * MIB, 8 * MIB)),
    )
  })
})

async function make(content: Buffer, badMib: number | null): Promise<{ bench: Bench; disk: FaultyDisk }> {
  const disk = await makeFaultyDisk(64, { badMib })
  cleanUps.push(() => disk.remove())
  const bench = await setUp(content, { device: disk.device })
  cleanUps.push(() => bench.remove())
  return { bench, disk }
}
