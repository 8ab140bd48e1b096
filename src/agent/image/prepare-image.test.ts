import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
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

describe('raw images on loop devices', { skip: needsRoot }, () => {
  const gpt = needsRoot === false ? diskImage('gpt') : Buffer.alloc(0)
  const mbr = needsRoot === false ? diskImage('dos') : Buffer.alloc(0)

  for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512']) {
    test(`a raw image arrives bit for bit, checked with ${algorithm} by its length`, async () => {
      const bench = await make(mbr)
      const text = await bench.write({ checksum: hash(algorithm, mbr).toUpperCase() })
      assert.equal(text, `image (disk.img) written to device ${bench.disk.device} root_uuid=0x1badb002`)
      assert.ok(startOf(bench.disk.device, mbr.length).equals(mbr))
      assert.equal(partitions(bench.disk.device), 2)
      assert.deepEqual(partitionUuids(bench.context.store), { 'root uuid': '0x1badb002' })
    })
  }

  test('the backup of a GPT is moved to the end of a larger disk', async () => {
    const bench = await make(gpt)
    await bench.write({ os_hash_algo: 'sha256', os_hash_value: hash('sha256', gpt) })
    execFileSync('sgdisk', ['--verify', bench.disk.device])
    assert.match(execFileSync('sgdisk', ['--verify', bench.disk.device]).toString(), /No problems found/)
    assert.ok(
      startOf(bench.disk.device, 12 * MIB)
        .subarray(2 * MIB)
        .equals(gpt.subarray(2 * MIB, 12 * MIB)),
    )
  })

  test('what was on the disk before leaves no trace: RAID superblock, file system, old backup table', async () => {
    const bench = await make(mbr)
    execFileSync('sgdisk', ['--new=1:2048:+8M', bench.disk.device])
    writeRaidSuperblock(bench.disk.device, 100 * MIB)
    assert.match(signatures(bench), /gpt/)
    assert.match(signatures(bench), /linux_raid_member/)
    await bench.write({ checksum: hash('sha256', mbr) })
    assert.deepEqual(signatures(bench), 'dos')
  })

  test('long rows of zeros are left to the disk, short ones are written; it reads the same', async () => {
    const image = Buffer.concat([mbr, Buffer.alloc(40 * MIB), randomBytes(3 * MIB), Buffer.alloc(6 * MIB + 512)])
    const bench = await make(image, { sizeMib: 80 })
    execFileSync('dd', ['if=/dev/urandom', `of=${bench.disk.device}`, 'bs=1M', 'count=80', 'status=none'])
    await bench.write({ os_hash_algo: 'sha512', os_hash_value: hash('sha512', image) })
    assert.ok(startOf(bench.disk.device, image.length).equals(image))
    // The disk's medium has a hole where it was left to it.
    const { blocks } = statSync(bench.disk.file)
    assert.ok(blocks * 512 < 60 * MIB, `${(blocks * 512) / MIB} MiB`)
  })

  test('progress is told while it writes', async () => {
    const bench = await make(mbr)
    await bench.write({ checksum: hash('sha256', mbr) })
    const writing = bench.reports.filter(({ phase }) => phase === 'write')
    assert.ok(writing.length > 3)
    assert.deepEqual(writing.at(-1)?.bytes, mbr.length)
    assert.ok(writing.every(({ total_bytes }) => total_bytes === mbr.length))
  })

  test('a wrong checksum: an error with both sums, and a disk that does not boot', async () => {
    const bench = await make(gpt)
    await assert.rejects(bench.write({ checksum: '0'.repeat(64) }), {
      type: 'ImageChecksumError',
      message: `The sha256 checksum of image disk.img is ${hash('sha256', gpt)}, expected ${'0'.repeat(64)}; the disk was left without partitions`,
    })
    assertUnbootable(bench)
    assert.equal(bench.server.requests.length, 1)
  })

  test('a stream cut off in the middle is taken up where it ended', async () => {
    const bench = await make(mbr)
    bench.server.cuts.push(5 * MIB, 3 * MIB)
    await bench.write({ checksum: hash('sha256', mbr) })
    assert.equal(bench.server.requests.length, 3)
    assert.match(bench.server.requests[1]?.range ?? '', /^bytes=[1-9]\d+-$/)
    assert.ok(startOf(bench.disk.device, mbr.length).equals(mbr))
  })

  test('a server without ranges is asked again from the beginning', async () => {
    const bench = await make(mbr)
    bench.server.ranges = false
    bench.server.cuts.push(5 * MIB)
    await bench.write({ checksum: hash('sha256', mbr) })
    assert.ok(startOf(bench.disk.device, mbr.length).equals(mbr))
  })

  test('a stream that is cut off every time ends in an error that says how far it came', async () => {
    const bench = await make(mbr)
    bench.server.cuts.push(5 * MIB, MIB, MIB)
    await assert.rejects(bench.write({ checksum: hash('sha256', mbr) }), {
      type: 'ImageDownloadError',
      message: /^Fetching the image http:\S+\/disk.img failed after \d+ bytes, 3 times: /,
    })
    assertUnbootable(bench)
  })

  test('an image that changes on the server while it is read is not put together from both', async () => {
    const bench = await make(mbr)
    bench.server.cuts.push(5 * MIB)
    bench.server.ranges = false
    const change = setInterval(() => {
      if (bench.server.requests.length > 0) bench.server.etag = '"other"'
    }, 1)
    try {
      await assert.rejects(bench.write({ checksum: hash('sha256', mbr) }), {
        type: 'ImageDownloadError',
        message: /was changed on the server/,
      })
    } finally {
      clearInterval(change)
    }
    assertUnbootable(bench)
  })

  test('404 is not asked for again; 503 is', async () => {
    const bench = await make(mbr)
    bench.server.refusals.push(404)
    await assert.rejects(bench.write({ checksum: hash('sha256', mbr) }), {
      type: 'ImageDownloadError',
      message: /answered 404$/,
    })
    assert.equal(bench.server.requests.length, 1)
    bench.server.refusals.push(503, 503)
    await bench.write({ checksum: hash('sha256', mbr) })
    assert.equal(bench.server.requests.length, 4)
  })

  test('an image that is too large is refused before the disk is touched, when its size is known', async () => {
    const bench = await make(mbr, { sizeMib: 8 })
    execFileSync('mkfs.vfat', ['-I', bench.disk.device])
    const before = startOf(bench.disk.device, MIB)
    await assert.rejects(bench.write({ checksum: hash('sha256', mbr) }), {
      type: 'ImageWriteError',
      message: `Cannot write the image to ${bench.disk.device}: it has ${16 * MIB} bytes, the disk only ${8 * MIB}; nothing was written; expected a smaller image, or root device hints that choose a larger disk`,
    })
    assert.ok(startOf(bench.disk.device, MIB).equals(before))
  })

  test('an image of unknown size that is too large fails when the disk is full', async () => {
    const bench = await make(mbr, { sizeMib: 8 })
    bench.server.sizeUnknown = true
    await assert.rejects(bench.write({ checksum: hash('sha256', mbr) }), {
      type: 'ImageWriteError',
      message: /larger than/,
    })
    assertUnbootable(bench)
  })

  test('the checksum may be the URL of a checksum file', async () => {
    const bench = await make(mbr)
    const base = bench.server.url.replace('/disk.img', '')
    bench.server.files['/SHA256SUMS'] = `# sums\n${'1'.repeat(64)}  other.img\n${hash('sha256', mbr)} *disk.img\n`
    bench.server.files['/BSD'] = `SHA512 (disk.img) = ${hash('sha512', mbr)}\n`
    bench.server.files['/NONE'] = `${'1'.repeat(64)}  other.img\n${'2'.repeat(64)}  another.img\n`
    await bench.write({ checksum: `${base}/SHA256SUMS` })
    await bench.write({ os_hash_algo: 'sha512', os_hash_value: `${base}/BSD` })
    await assert.rejects(bench.write({ checksum: `${base}/NONE` }), {
      type: 'ImageDownloadError',
      message: /checksum of disk.img in \S+NONE, found no line/,
    })
  })

  test('authorization is sent to the image server', async () => {
    const bench = await make(mbr)
    await bench.write({
      checksum: hash('sha256', mbr),
      image_request_authorization: Buffer.from('Bearer abc').toString('base64'),
    })
    const basic = { image_server_auth_strategy: 'http_basic', image_server_user: 'u', image_server_password: 'p' }
    await bench.write({ checksum: hash('sha256', mbr), ...basic })
    assert.deepEqual(
      bench.server.requests.map(({ authorization }) => authorization),
      ['Bearer abc', `Basic ${Buffer.from('u:p').toString('base64')}`],
    )
  })

  test('a mounted disk is never written to', async () => {
    const bench = await make(mbr)
    execFileSync('mkfs.ext4', ['-q', '-F', bench.disk.device])
    const mount = mkdtempSync(join(dir, 'mount-'))
    execFileSync('mount', [bench.disk.device, mount])
    try {
      await assert.rejects(bench.write({ checksum: hash('sha256', mbr) }), {
        type: 'ProtectedDeviceError',
        message: `Cannot write to ${bench.disk.device}: it is in use by a mount at ${mount}`,
      })
    } finally {
      execFileSync('umount', [mount])
    }
  })

  test('a file system without a partition table is no image of a disk', async () => {
    const file = join(dir, 'plain')
    writeFileSync(file, Buffer.alloc(4 * MIB))
    execFileSync('mkfs.vfat', [file])
    const bench = await make(readFileSync(file))
    await assert.rejects(bench.write({ checksum: hash('sha256', readFileSync(file)) }), {
      type: 'DeploymentError',
      message: /has no partitions now/,
    })
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

/** What wipefs sees on the whole disk. */
function signatures({ disk }: Bench): string {
  const output = execFileSync('wipefs', ['--noheadings', '--output', 'TYPE', disk.device]).toString()
  return output.trim().split(/\s+/).join(' ')
}

/** As version 1.0 of md(4) lays it at the end of a member: little-endian, with the sum of its words. */
function writeRaidSuperblock(device: string, sizeBytes: number): void {
  const offset = (Math.floor(sizeBytes / 512) - 16) & ~7
  const block = Buffer.alloc(256)
  block.writeUInt32LE(0xa92b4efc, 0)
  block.writeUInt32LE(1, 4)
  randomBytes(16).copy(block, 16)
  block.write('old:0', 32)
  block.writeUInt32LE(1, 72)
  block.writeBigUInt64LE(BigInt(offset), 144)
  let sum = 0n
  for (let at = 0; at < block.length; at += 4) sum += BigInt(block.readUInt32LE(at))
  block.writeUInt32LE(Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn), 216)
  const handle = openSync(device, 'r+')
  writeSync(handle, block, 0, block.length, offset * 512)
  closeSync(handle)
}
