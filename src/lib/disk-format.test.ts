import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type DiskInspection, inspectDisk } from './disk-format.ts'

const run = promisify(execFile)
const mib = 1024 * 1024
let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ferrite-format-'))
})
after(() => rm(dir, { recursive: true, force: true }))

async function inspectFile(path: string): Promise<DiskInspection> {
  await using file = await open(path)
  const { size } = await file.stat()
  return await inspectDisk(async (offset, length) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }, size)
}

function inspectBytes(bytes: Uint8Array): Promise<DiskInspection> {
  return inspectDisk(async (offset, length) => bytes.subarray(offset, offset + length), bytes.length)
}

async function made(name: string, ...args: string[]): Promise<string> {
  const path = join(dir, name)
  await run('qemu-img', ['create', '-q', ...args, path, '64M'])
  return path
}

describe('files made by qemu-img', () => {
  const cases: [string, string[], DiskInspection['format']][] = [
    ['raw', ['-f', 'raw'], 'raw'],
    ['qcow2', ['-f', 'qcow2'], 'qcow2'],
    ['qcow2-v2', ['-f', 'qcow2', '-o', 'compat=0.10'], 'qcow2'],
    ['qcow2-zstd-extl2', ['-f', 'qcow2', '-o', 'compression_type=zstd,extended_l2=on'], 'qcow2'],
    ['vdi', ['-f', 'vdi'], 'vdi'],
    ['vhd', ['-f', 'vpc'], 'vhd'],
    ['vhdx', ['-f', 'vhdx'], 'vhdx'],
    ['vmdk', ['-f', 'vmdk'], 'vmdk'],
    ['vmdk-stream', ['-f', 'vmdk', '-o', 'subformat=streamOptimized'], 'vmdk'],
  ]
  for (const [name, args, format] of cases) {
    test(name, async () => {
      const found = await inspectFile(await made(name, ...args))
      assert.equal(found.format, format)
      assert.deepEqual(found.dangers, [])
      // VHD rounds up to its geometry.
      assert.ok(found.virtualSizeBytes >= 64 * mib && found.virtualSizeBytes < 65 * mib, String(found.virtualSizeBytes))
    })
  }

  test('a stream-optimised VMDK with content keeps its footer', async () => {
    const raw = join(dir, 'content.raw')
    await writeFile(raw, Buffer.alloc(4 * mib, 'ferrite'))
    const path = join(dir, 'content.vmdk')
    await run('qemu-img', ['convert', '-O', 'vmdk', '-o', 'subformat=streamOptimized', raw, path])
    assert.deepEqual(await inspectFile(path), { format: 'vmdk', virtualSizeBytes: 4 * mib, dangers: [] })
    const bytes = await readFile(path)
    if (bytes.readBigUInt64LE(56) === 0xffffffffffffffffn) {
      bytes.writeBigUInt64LE(1n, bytes.length - 1024 + 28)
      assert.match((await inspectBytes(bytes)).dangers.join(), /footer that differs/)
    }
  })

  const dangerous: [string, string[], RegExp][] = [
    ['qed', ['-f', 'qed'], /QED/],
    ['vmdk-flat', ['-f', 'vmdk', '-o', 'subformat=monolithicFlat'], /data is in other files/],
    ['vmdk-split', ['-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse'], /data is in other files/],
  ]
  for (const [name, args, danger] of dangerous) {
    test(name, async () => {
      const found = await inspectFile(await made(name, ...args))
      assert.equal(found.format, name.split('-')[0])
      assert.match(found.dangers.join(), danger)
    })
  }

  test('backing files and data files', async () => {
    const base = await made('base.qcow2', '-f', 'qcow2')
    const overlay = join(dir, 'overlay.qcow2')
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', overlay])
    assert.deepEqual((await inspectFile(overlay)).dangers, ['names a backing file'])
    const outside = await made('outside.qcow2', '-f', 'qcow2', '-o', `data_file=${join(dir, 'outside.raw')}`)
    assert.deepEqual((await inspectFile(outside)).dangers, ['keeps its data in another file'])
    const child = join(dir, 'child.vmdk')
    await run('qemu-img', [
      'create',
      '-q',
      '-f',
      'vmdk',
      '-b',
      await made('base.vmdk', '-f', 'vmdk'),
      '-F',
      'vmdk',
      child,
    ])
    assert.match((await inspectFile(child)).dangers.join(), /names a parent/)
  })
})

describe('headers made by hand', () => {
  const qcow2 = () => {
    const bytes = Buffer.alloc(4096)
    bytes.write('QFI\xfb', 0, 'latin1')
    bytes.writeUInt32BE(3, 4)
    bytes.writeBigUInt64BE(10n, 24)
    return bytes
  }
  const vmdk = (descriptor: string, capacity = 8n) => {
    const bytes = Buffer.alloc(4096)
    bytes.write('KDMV', 0)
    bytes.writeUInt32LE(1, 4)
    bytes.writeBigUInt64LE(capacity, 12)
    bytes.writeBigUInt64LE(1n, 28)
    bytes.writeBigUInt64LE(2n, 36)
    bytes.write(descriptor, 512)
    return bytes
  }
  const goodVmdk = 'CID=1\nparentCID=ffffffff\ncreateType="monolithicSparse"\nRW 8 SPARSE "a.vmdk"\n'
  const mbr = (...entries: { flag?: number; type: number; lba?: number }[]) => {
    const bytes = Buffer.alloc(4096)
    bytes.writeUInt16LE(0xaa55, 510)
    for (const [index, { flag = 0, type, lba = 1 }] of entries.entries()) {
      bytes[446 + index * 16] = flag
      bytes[450 + index * 16] = type
      bytes.writeUInt32LE(lba, 454 + index * 16)
    }
    return bytes
  }
  const cases: [string, Uint8Array, DiskInspection['format'], RegExp][] = [
    ['nothing', Buffer.alloc(0), 'raw', /^$/],
    ['a few bytes', Buffer.from('QFI'), 'raw', /^$/],
    ['a magic without a header', Buffer.from('QFI\xfb', 'latin1'), 'raw', /^$/],
    [
      'unknown qcow2 features',
      patched(qcow2(), bytes => bytes.writeBigUInt64BE(1n << 5n, 72)),
      'qcow2',
      /features that are not known/,
    ],
    [
      'qcow2 without its tables',
      patched(qcow2(), bytes => bytes.writeBigUInt64BE(4096n, 40) && bytes.writeUInt32BE(1, 36)),
      'qcow2',
      /cut off/,
    ],
    ['encrypted qcow2', patched(qcow2(), bytes => bytes.writeUInt32BE(2, 32)), 'qcow2', /is encrypted/],
    ['qcow version 1', patched(qcow2(), bytes => bytes.writeUInt32BE(1, 4)), 'qcow2', /qcow version 1/],
    ['good VMDK', vmdk(goodVmdk), 'vmdk', /^$/],
    ['VMDK without capacity', vmdk(goodVmdk, 0n), 'vmdk', /no capacity/],
    ['VMDK with a path', vmdk(goodVmdk.replace('a.vmdk', '/etc/shadow')), 'vmdk', /extent outside/],
    ['VMDK with a flat extent', vmdk(goodVmdk.replace('SPARSE', 'FLAT')), 'vmdk', /extent outside/],
    ['VMDK with two extents', vmdk(`${goodVmdk}RW 8 SPARSE "b"\n`), 'vmdk', /2 extents/],
    ['VMDK with a parent', vmdk(`${goodVmdk}parentFileNameHint="x"\n`), 'vmdk', /names a parent/],
    ['VMDK of another type', vmdk(goodVmdk.replace('monolithicSparse', 'vmfs')), 'vmdk', /type vmfs/],
    ['GPT', mbr({ type: 0xee }), 'gpt', /^$/],
    ['MBR', mbr({ type: 0x83, flag: 0x80, lba: 2048 }), 'gpt', /^$/],
    ['boot flag', mbr({ type: 0x83, flag: 1 }), 'gpt', /invalid boot flag/],
    ['protective MBR with more', mbr({ type: 0xee }, { type: 0x83 }), 'gpt', /further partitions/],
    ['protective MBR elsewhere', mbr({ type: 0xee, lba: 2 }), 'gpt', /sector 1/],
    ['a boot sector without partitions', mbr(), 'raw', /^$/],
    [
      'a FAT file system',
      patched(mbr({ type: 0x20, flag: 7 }), bytes => {
        bytes.set([0xeb, 0x3c, 0x90])
        bytes.write('FAT16', 54)
      }),
      'raw',
      /^$/,
    ],
    [
      'two formats',
      patched(qcow2(), bytes => {
        bytes.writeUInt32LE(0xbeda107f, 0x40)
        bytes.writeUInt32LE(1, 0x4c)
      }),
      'qcow2',
      /qcow2 and vdi at the same time/,
    ],
    [
      'qcow2 that is an ISO too',
      patched(Buffer.concat([qcow2(), Buffer.alloc(0x9000)]), bytes => bytes.write('CD001', 0x8001)),
      'qcow2',
      /qcow2 and iso at the same time/,
    ],
    ['ISO', patched(Buffer.alloc(0x9000), bytes => bytes.write('CD001', 0x8001)), 'iso', /^$/],
    [
      'hybrid ISO',
      patched(Buffer.concat([mbr({ type: 0x17, flag: 0x80 }), Buffer.alloc(0x8000)]), bytes =>
        bytes.write('CD001', 0x8001),
      ),
      'iso',
      /^$/,
    ],
    [
      'LUKS1',
      patched(Buffer.alloc(4096), bytes => {
        bytes.write('LUKS\xba\xbe', 0, 'latin1')
        bytes.writeUInt16BE(1, 6)
      }),
      'luks',
      /^$/,
    ],
    [
      'LUKS2',
      patched(Buffer.alloc(4096), bytes => {
        bytes.write('LUKS\xba\xbe', 0, 'latin1')
        bytes.writeUInt16BE(2, 6)
      }),
      'luks',
      /LUKS version 2/,
    ],
    [
      'differencing VHD',
      patched(Buffer.alloc(4096), bytes => {
        bytes.write('conectix')
        bytes.writeUInt32BE(4, 60)
      }),
      'vhd',
      /depends on another/,
    ],
    ['VHDX without tables', patched(Buffer.alloc(4096), bytes => bytes.write('vhdxfile')), 'vhdx', /cannot be read/],
    ['old VMDK', patched(Buffer.alloc(4096), bytes => bytes.write('COWD')), 'vmdk', /old version/],
  ]
  for (const [name, bytes, format, danger] of cases) {
    test(name, async () => {
      const found = await inspectBytes(bytes)
      assert.equal(found.format, format)
      assert.match(found.dangers.join(), danger)
    })
  }

  test('no content makes it throw', async () => {
    for (const magic of ['QFI\xfb', 'QED\0', 'KDMV', 'conectix', 'vhdxfile', 'LUKS\xba\xbe', '# Disk DescriptorFile']) {
      for (const length of [magic.length, 64, 104, 511, 512, 4096, 0x40000]) {
        for (const fill of [0, 0xff]) {
          const bytes = Buffer.alloc(length, fill)
          bytes.write(magic, 0, 'latin1')
          await inspectBytes(bytes)
        }
      }
    }
    const regions = Buffer.alloc(0x40000, 0xff)
    regions.write('vhdxfile')
    regions.write('regi', 0x30000)
    assert.match((await inspectBytes(gunzipSync(gzipSync(regions)))).dangers.join(), /cannot be read/)
  })
})

function patched(bytes: Buffer, patch: (bytes: Buffer) => void): Buffer {
  patch(bytes)
  return bytes
}
