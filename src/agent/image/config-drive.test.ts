import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { makeDiskImage, makeLoopDisk, needsMounts, needsRoot } from '../loop-disk.ts'
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

describe('config drive on loop devices', { skip: needsRoot }, () => {
  const mbr = needsRoot === false ? diskImage('dos') : Buffer.alloc(0)
  const gpt = needsRoot === false ? diskImage('gpt') : Buffer.alloc(0)
  const iso = join(dir, 'config.iso')
  function configDrive(): string {
    const tree = mkdtempSync(join(dir, 'tree-'))
    execFileSync('mkdir', ['-p', join(tree, 'openstack/latest')])
    writeFileSync(join(tree, 'openstack/latest/meta_data.json'), '{"hostname":"lit"}')
    execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', '-V', 'config-2', '-J', '-r', '-o', iso, tree], {
      stdio: 'ignore',
    })
    return gzipSync(readFileSync(iso)).toString('base64')
  }
  /** The config drive as it lies on a partition. */
  function isIso(partition: string): boolean {
    const content = readFileSync(iso)
    return startOf(partition, content.length).equals(content)
  }

  for (const [label, content] of [
    ['GPT', gpt],
    ['MBR', mbr],
  ] as const) {
    test(`gets a partition of its own at the end: ${label}`, async () => {
      const bench = await make(content, { sizeMib: 200 })
      await bench.write({ checksum: hash('sha256', content) }, configDrive())
      assert.equal(partitions(bench.disk.device), 3)
      assert.ok(isIso(`${bench.disk.device}p3`))
      const kname = bench.disk.device.slice(5)
      const [start, size] = ['start', 'size'].map(name =>
        Number(readFileSync(`/sys/class/block/${kname}p3/${name}`, 'utf8')),
      )
      assert.ok(((start ?? 0) + (size ?? 0)) * 512 > 198 * MIB)
      assert.equal((size ?? 0) * 512 >= 60 * MIB, true)
    })
  }

  test('on an MBR beyond 2 TiB lies before that border; four primary partitions leave no place', async () => {
    const bench = await make(mbr, { sizeMib: 3 * 1024 * 1024 })
    await bench.write({ checksum: hash('sha256', mbr) }, configDrive())
    assert.ok(isIso(`${bench.disk.device}p3`))
    const start = Number(readFileSync(`/sys/class/block/${bench.disk.device.slice(5)}p3/start`, 'utf8'))
    assert.equal(start * 512, 2 ** 41 - 64 * MIB)

    const full = join(dir, 'full-mbr')
    writeFileSync(full, Buffer.alloc(16 * MIB))
    execFileSync('sfdisk', ['--quiet', full], { input: `label: dos\n${'size=2MiB\n'.repeat(4)}` })
    const content = readFileSync(full)
    const crowded = await make(content)
    await assert.rejects(crowded.write({ checksum: hash('sha256', content) }, configDrive()), {
      type: 'DeploymentError',
      message: /all four primary partitions of the MBR are taken/,
    })
  })

  test('goes into the partition labelled config-2 that the image brought', async () => {
    const file = join(dir, 'labelled')
    makeDiskImage(file, { sizeMib: 16 })
    const part = join(dir, 'labelled-part')
    writeFileSync(part, Buffer.alloc(4 * MIB))
    execFileSync('mkfs.vfat', ['-n', 'CONFIG-2', part])
    const handle = openSync(file, 'r+')
    writeSync(handle, readFileSync(part), 0, 4 * MIB, MIB)
    closeSync(handle)
    const content = readFileSync(file)
    const bench = await make(content)
    await bench.write({ checksum: hash('sha256', content) }, configDrive())
    assert.equal(partitions(bench.disk.device), 2)
    assert.ok(isIso(`${bench.disk.device}p1`))
  })

  test('may be a URL, of the text or of the image itself; too large or broken ones are refused', async () => {
    const bench = await make(gpt, { sizeMib: 200 })
    const base = bench.server.url.replace('/disk.img', '')
    bench.server.files['/text'] = configDrive()
    await bench.write({ checksum: hash('sha256', gpt), configdrive: `${base}/text` })
    assert.ok(isIso(`${bench.disk.device}p3`))
    await assert.rejects(
      bench.write({ checksum: hash('sha256', gpt) }, gzipSync(Buffer.alloc(65 * MIB)).toString('base64')),
      { message: /config drive/ },
    )
    await assert.rejects(bench.write({ checksum: hash('sha256', gpt) }, '%%%'), {
      message: 'The config drive is neither a URL nor base64 of gzip',
    })
  })

  test('on a disk with sectors of 4096 bytes is copied into a FAT file system', { skip: needsMounts }, async () => {
    const file = join(dir, 'image-4k')
    const source = makeLoopDisk(64, { sectorBytes: 4096 })
    execFileSync('sfdisk', ['--quiet', source.device], { input: 'label: gpt\nsize=16M\n' })
    const content = readFileSync(source.file)
    source.remove()
    writeFileSync(file, content)
    const bench = await make(content, { sizeMib: 200, sectorBytes: 4096 })
    await bench.write({ checksum: hash('sha256', content) }, configDrive())
    const mount = mkdtempSync(join(dir, 'mount-'))
    execFileSync('mount', ['-o', 'ro', `${bench.disk.device}p2`, mount])
    const metaData = readFileSync(join(mount, 'openstack/latest/meta_data.json'), 'utf8')
    execFileSync('umount', [mount])
    assert.equal(metaData, '{"hostname":"lit"}')
    assert.equal(
      execFileSync('blkid', ['-p', '-o', 'value', '-s', 'TYPE', `${bench.disk.device}p2`])
        .toString()
        .trim(),
      'vfat',
    )
  })
})
