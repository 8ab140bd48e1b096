import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { needsRoot } from '../loop-disk.ts'
import { partitionUuids } from './image-record.ts'
import { type Bench, dir, diskImage, hash, MIB, partitions, setUp, startOf } from './test-setup.ts'

const benches: Bench[] = []
async function make(...args: Parameters<typeof setUp>): Promise<Bench> {
  const bench = await setUp(...args)
  benches.push(bench)
  return bench
}
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.remove()
})

describe('qcow2 images on loop devices', { skip: needsRoot }, () => {
  const mbr = needsRoot === false ? diskImage('dos') : Buffer.alloc(0)
  const gpt = needsRoot === false ? diskImage('gpt') : Buffer.alloc(0)
  const raw = join(dir, 'image-gpt')
  const convert = (name: string, ...args: string[]) => {
    const file = join(dir, name)
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...args, raw, file])
    return readFileSync(file)
  }

  test('is checked, converted and written', async () => {
    const qcow2 = convert('a.qcow2', '-c')
    const bench = await make(qcow2)
    execFileSync('dd', ['if=/dev/urandom', `of=${bench.disk.device}`, 'bs=1M', 'count=20', 'status=none'])
    await bench.write({ checksum: hash('sha256', qcow2), disk_format: 'qcow2' })
    assert.ok(
      startOf(bench.disk.device, 15 * MIB)
        .subarray(2 * MIB)
        .equals(gpt.subarray(2 * MIB, 15 * MIB)),
    )
    assert.match(execFileSync('sgdisk', ['--verify', bench.disk.device]).toString(), /No problems found/)
    assert.ok(
      bench.reports.some(({ phase }) => phase === 'download') && bench.reports.some(({ phase }) => phase === 'write'),
    )
    assert.deepEqual(
      readdirSync(dir).filter(name => name.startsWith('image-disk')),
      [],
    )
  })

  test('of a disk that is too large is refused before anything is written', async () => {
    const qcow2 = convert('b.qcow2')
    const bench = await make(qcow2, { sizeMib: 8 })
    await assert.rejects(bench.write({ checksum: hash('sha256', qcow2), disk_format: 'qcow2' }), {
      type: 'ImageWriteError',
      message: /nothing was written/,
    })
  })

  test('with a wrong checksum never reaches the disk', async () => {
    const qcow2 = convert('c.qcow2')
    const bench = await make(qcow2)
    await assert.rejects(bench.write({ checksum: '1'.repeat(64), disk_format: 'qcow2' }), {
      type: 'ImageChecksumError',
    })
    assertUnbootable(bench)
  })

  test('with a backing file is refused', async () => {
    const file = join(dir, 'backed.qcow2')
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', file])
    const qcow2 = readFileSync(file)
    const bench = await make(qcow2)
    await assert.rejects(bench.write({ checksum: hash('sha256', qcow2), disk_format: 'qcow2' }), {
      type: 'InvalidImage',
      message: /^Security: .*backing file/,
    })
  })

  test('declared as something else is refused', async () => {
    const qcow2 = convert('d.qcow2')
    const one = await make(qcow2)
    await assert.rejects(one.write({ checksum: hash('sha256', qcow2), disk_format: 'vmdk' }), {
      type: 'InvalidImage',
      message: /declared as vmdk but is qcow2/,
    })
    const other = await make(mbr)
    await assert.rejects(other.write({ checksum: hash('sha256', mbr), disk_format: 'qcow2' }), {
      type: 'InvalidImage',
      message: /declared as qcow2 but is gpt/,
    })
  })

  test('that is broken inside leaves a disk that does not boot', async () => {
    const qcow2 = convert('e.qcow2')
    qcow2.fill(0xff, 4 * 65536, 5 * 65536) // the L1 or L2 table
    const bench = await make(qcow2)
    await assert.rejects(bench.write({ checksum: hash('sha256', qcow2), disk_format: 'qcow2' }), {
      type: 'ImageWriteError',
      message: /^Converting the image/,
    })
    assertUnbootable(bench)
  })
})

/** After a failure nothing on the disk may look like something to boot. */
function assertUnbootable({ disk, context }: Bench): void {
  assert.ok(
    startOf(disk.device, MIB).every(byte => byte === 0),
    'the start of the disk is not empty',
  )
  assert.equal(partitions(disk.device), 0)
  assert.deepEqual(partitionUuids(context.store), {})
}
