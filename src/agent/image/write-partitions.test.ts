import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { needsRoot } from '../loop-disk.ts'
import { partitionUuids } from './image-record.ts'
import { layoutScript, planLayout } from './partition-layout.ts'
import { type Bench, type BenchOptions, dir, diskImage, hash, MIB, partitions, setUp, startOf } from './test-setup.ts'

const benches: Bench[] = []
async function make(content: Buffer, options: BenchOptions = {}): Promise<Bench> {
  const bench = await setUp(content, options)
  benches.push(bench)
  return bench
}
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.remove()
})

const rootUuid = '2d6f4b1e-0a0f-4a43-9a4c-6f2f1f1a0001'
/** An ext4 of 12 MiB with a file in it. */
function rootImage(): Buffer {
  const file = join(dir, 'root.ext4')
  const tree = mkdtempSync(join(dir, 'root-'))
  writeFileSync(join(tree, 'hello'), 'world\n')
  writeFileSync(file, Buffer.alloc(12 * MIB))
  execFileSync('mkfs.ext4', ['-q', '-F', '-U', rootUuid, '-d', tree, file])
  return readFileSync(file)
}

function probe(device: string, tag: string): string {
  return execFileSync('blkid', ['-p', '-o', 'value', '-s', tag, device]).toString().trim()
}

/** Type, size in MiB of every partition, as the table has them. */
function table(device: string): string[] {
  const { partitiontable } = JSON.parse(execFileSync('sfdisk', ['--json', device]).toString())
  const { sectorsize, partitions: rows } = partitiontable as {
    sectorsize?: number
    partitions: { size: number; type: string; bootable?: boolean }[]
  }
  const size = sectorsize ?? 512
  return rows.map(row => `${row.type.slice(0, 8)} ${(row.size * size) / MIB}${row.bootable ? ' bootable' : ''}`)
}

describe('layouts', () => {
  const common = { bootMode: 'bios', label: 'dos', configDriveBytes: 0, isPower: false } as const
  for (const [name, request, expected] of [
    ['BIOS, MBR', {}, ['root 64']],
    ['BIOS, GPT', { label: 'gpt' }, ['BIOS Boot partition 1', 'root 64']],
    ['UEFI', { bootMode: 'uefi', label: 'gpt' }, ['efi system partition 550', 'root 64']],
    ['POWER, MBR', { isPower: true }, ['PReP Boot partition 8', 'root 64']],
    ['POWER, GPT', { isPower: true, label: 'gpt' }, ['PReP Boot partition 8', 'root 64']],
    [
      'everything, MBR',
      { info: { root_mb: 64, swap_mb: 8, ephemeral_mb: 16 }, configDriveBytes: MIB + 1 },
      ['ephemeral 16', 'swap 8', 'configdrive 2', 'root 64'],
    ],
  ] as const) {
    test(name, () => {
      const layout = planLayout({ info: { root_mb: 64 }, ...common, ...request })
      assert.deepEqual(
        layout.partitions.map(({ name: partition, sizeBytes }) => `${partition} ${sizeBytes / MIB}`),
        expected,
      )
    })
  }

  test('an MBR has four places', () => {
    const info = { root_mb: 64, swap_mb: 8, ephemeral_mb: 16 }
    assert.throws(() => planLayout({ ...common, info, configDriveBytes: 1, isPower: true }), {
      type: 'DeploymentError',
      message: /an MBR has places for 4 partitions, needed are PReP Boot partition, ephemeral, swap, configdrive, root/,
    })
  })

  test('a root partition needs a size', () => {
    assert.throws(() => planLayout({ ...common, info: {} }), { type: 'InvalidImage', message: /root_mb is missing/ })
  })

  test('partitions follow each other from the first MiB on', () => {
    const layout = planLayout({ ...common, info: { root_mb: 64, swap_mb: 8 } })
    assert.equal(
      layoutScript(layout),
      'label: dos\nstart=1MiB, size=8MiB, type=82\nstart=9MiB, size=64MiB, type=83, bootable\n',
    )
    assert.equal(layout.neededBytes, 73 * MIB)
  })
})

describe('partition images on loop devices', { skip: needsRoot }, () => {
  const root = needsRoot === false ? rootImage() : Buffer.alloc(0)
  const image = { image_type: 'partition', checksum: hash('sha256', root), root_mb: 32, swap_mb: 0, ephemeral_mb: 0 }
  const drive = Buffer.alloc(MIB + 5, 'config drive ')

  function assertRoot(partition: string): void {
    assert.ok(startOf(partition, root.length).equals(root), `${partition} does not hold the image`)
  }

  test('BIOS and MBR: ephemeral, swap, config drive, root', async () => {
    const bench = await make(root)
    const said = await bench.write(
      { ...image, swap_mb: 8, ephemeral_mb: 16, ephemeral_format: 'ext4' },
      gzipSync(drive).toString('base64'),
    )
    const { device } = bench.disk
    assert.equal(said, `image (disk.img) written to device ${device} root_uuid=${rootUuid}`)
    assert.deepEqual(table(device), ['83 16', '82 8', '83 2', '83 32 bootable'])
    assert.deepEqual([probe(`${device}p1`, 'TYPE'), probe(`${device}p1`, 'LABEL')], ['ext4', 'ephemeral0'])
    assert.deepEqual([probe(`${device}p2`, 'TYPE'), probe(`${device}p2`, 'LABEL')], ['swap', 'swap1'])
    assert.ok(startOf(`${device}p3`, drive.length).equals(drive))
    assertRoot(`${device}p4`)
    assert.deepEqual(partitionUuids(bench.context.store), {
      'root uuid': rootUuid,
      'efi system partition uuid': null,
      partitions: {
        ephemeral: `${device}p1`,
        swap: `${device}p2`,
        configdrive: `${device}p3`,
        root: `${device}p4`,
      },
    })
  })

  test('BIOS and GPT: a place for the boot loader', async () => {
    const bench = await make(root, { capabilities: 'disk_label:gpt' })
    await bench.write(image)
    assert.deepEqual(table(bench.disk.device), ['21686148 1', '0FC63DAF 32'])
    assertRoot(`${bench.disk.device}p2`)
    assert.match(execFileSync('sgdisk', ['--verify', bench.disk.device]).toString(), /No problems found/)
  })

  test('UEFI, on sectors of 4096 bytes: an EFI system partition', async () => {
    const capabilities = 'boot_mode:uefi,disk_label:msdos'
    const bench = await make(root, { sizeMib: 600, sectorBytes: 4096, capabilities })
    const said = await bench.write(image)
    const { device } = bench.disk
    assert.deepEqual(table(device), ['C12A7328 550', '0FC63DAF 32'])
    assert.deepEqual([probe(`${device}p1`, 'TYPE'), probe(`${device}p1`, 'LABEL')], ['vfat', 'efi-part'])
    assertRoot(`${device}p2`)
    const efi = probe(`${device}p1`, 'UUID')
    assert.equal(partitionUuids(bench.context.store)['efi system partition uuid'], efi)
    assert.match(said, new RegExp(` root_uuid=${rootUuid} efi_system_partition_uuid=${efi}$`))
  })

  test('BIOS and MBR, on sectors of 4096 bytes', async () => {
    const bench = await make(root, { sectorBytes: 4096 })
    await bench.write({ ...image, swap_mb: 8 }, gzipSync(drive).toString('base64'))
    const { device } = bench.disk
    assert.deepEqual(table(device), ['82 8', '83 2', '83 32 bootable'])
    assert.ok(startOf(`${device}p2`, drive.length).equals(drive))
    assertRoot(`${device}p3`)
  })

  test('images of other formats are converted into the root partition', async () => {
    const raw = join(dir, 'root.ext4')
    const qcow2 = join(dir, 'root.qcow2')
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2])
    const content = readFileSync(qcow2)
    const bench = await make(content)
    await bench.write({ ...image, disk_format: 'qcow2', checksum: hash('sha256', content) })
    assertRoot(`${bench.disk.device}p1`)
  })

  test('an ephemeral partition is preserved when the layout stays, and nothing is touched when it does not', async () => {
    const bench = await make(root)
    const wanted = { ...image, swap_mb: 8, ephemeral_mb: 16 }
    await bench.write(wanted)
    const { device } = bench.disk
    const uuid = probe(`${device}p1`, 'UUID')
    await bench.write({ ...wanted, preserve_ephemeral: true })
    assert.equal(probe(`${device}p1`, 'UUID'), uuid)
    assertRoot(`${device}p3`)
    await assert.rejects(bench.write({ ...wanted, ephemeral_mb: 20, preserve_ephemeral: true }), {
      type: 'DeploymentError',
      message: /expected its partitions to be ephemeral 20 MiB, .*; found .*p1 16 MiB, .*nothing was written$/,
    })
    assertRoot(`${device}p3`)
  })

  test('a wrong checksum leaves a root partition without a file system', async () => {
    const bench = await make(root)
    await assert.rejects(bench.write({ ...image, checksum: '0'.repeat(64) }), { type: 'ImageChecksumError' })
    assert.equal(probe(`${bench.disk.device}p1`, 'TYPE'), '')
    assert.deepEqual(partitionUuids(bench.context.store), {})
  })

  for (const [what, info, expected] of [
    ['a disk that is too small', { root_mb: 100 }, { type: 'DeploymentError', message: /needed are .*nothing was/ }],
    [
      'a file system that the ramdisk cannot make',
      { ephemeral_mb: 8, ephemeral_format: 'zfsish' },
      { type: 'FileSystemNotSupported', message: /has no mkfs.zfsish$/ },
    ],
    [
      'a format that is no name',
      { ephemeral_mb: 8, ephemeral_format: '../sh' },
      { type: 'FileSystemNotSupported', message: /not a name/ },
    ],
  ] as const) {
    test(`${what} is found before anything is lost`, async () => {
      const bench = await make(root)
      execFileSync('mkfs.vfat', ['-I', bench.disk.device])
      const before = startOf(bench.disk.device, MIB)
      await assert.rejects(bench.write({ ...image, ...info }), expected)
      assert.ok(startOf(bench.disk.device, MIB).equals(before))
      assert.equal(partitions(bench.disk.device), 0)
    })
  }

  test('the image of a whole disk is no partition image', async () => {
    const content = diskImage('gpt')
    const bench = await make(content)
    await assert.rejects(bench.write({ ...image, checksum: hash('sha256', content) }), {
      type: 'InvalidImage',
      message: /has a partition table \(gpt\) of its own/,
    })
  })

  test('an image larger than its root partition is refused', async () => {
    const bench = await make(root)
    await assert.rejects(bench.write({ ...image, root_mb: 8 }), { type: 'ImageWriteError', message: /only 8388608/ })
  })
})
