import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
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

  for (const [label, content] of [
    ['gpt', needsRoot === false ? image4k('gpt') : Buffer.alloc(0)],
    ['dos', needsRoot === false ? image4k('dos') : Buffer.alloc(0)],
  ] as const) {
    test(`on sectors of 4096 bytes gets a partition too, of FAT where the kernel cannot read it: ${label}`, async () => {
      const bench = await make(content, { sectorBytes: 4096, sizeMib: 200 })
      await bench.write({ checksum: hash('sha256', content) }, configDrive())
      const { device } = bench.disk
      assert.ok(startOf(`${device}p1`, 8 * MIB).equals(content.subarray(MIB, 9 * MIB)), 'the image is there')
      if (label === 'gpt') assert.match(execFileSync('sgdisk', ['--verify', device]).toString(), /No problems found/)
      assert.equal(partitions(device), 2)
      // Without either file system here, what cannot be mounted is left as it came.
      if (needsMounts !== false) return assert.ok(isIso(`${device}p2`))
      const mount = mkdtempSync(join(dir, 'mount-'))
      execFileSync('mount', ['-o', 'ro', `${device}p2`, mount])
      const metaData = readFileSync(join(mount, 'openstack/latest/meta_data.json'), 'utf8')
      execFileSync('umount', [mount])
      assert.equal(metaData, '{"hostname":"lit"}')
      const type = execFileSync('blkid', ['-p', '-o', 'value', '-s', 'TYPE', `${device}p2`])
      assert.equal(type.toString().trim(), 'vfat')
    })
  }

  test('on an MBR of sectors of 4096 bytes lies before 2 TiB too, for not all programs see beyond', async () => {
    const content = image4k('dos')
    const bench = await make(content, { sectorBytes: 4096, sizeMib: 3 * 1024 * 1024 })
    await bench.write({ checksum: hash('sha256', content) }, configDrive())
    const start = Number(readFileSync(`/sys/class/block/${bench.disk.device.slice(5)}p2/start`, 'utf8'))
    assert.equal(start * 512, 2 ** 41 - 64 * MIB)
    assert.ok(isIso(`${bench.disk.device}p2`) || needsMounts === false)
  })
})

/** A disk of such sectors with one partition of noise. */
function image4k(label: 'gpt' | 'dos'): Buffer {
  const { device, file, remove } = makeLoopDisk(64, { sectorBytes: 4096 })
  execFileSync('sfdisk', ['--quiet', device], { input: `label: ${label}\nstart=1MiB, size=16MiB\n` })
  const handle = openSync(device, 'r+')
  writeSync(handle, randomBytes(8 * MIB), 0, 8 * MIB, MIB)
  closeSync(handle)
  execFileSync('sync', [device])
  const content = readFileSync(file)
  remove()
  return content
}
