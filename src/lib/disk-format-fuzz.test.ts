/**
 * Headers that nobody would write: whatever an image begins with, looking at it ends soon, reads little and never throws.
 * FUZZ_RUNS and FUZZ_SEED make it long; `npm run fuzz` does.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { diskFormats, inspectDisk } from './disk-format.ts'

const runs = Number(process.env.FUZZ_RUNS ?? 2000)
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)
const dir = mkdtempSync(join(tmpdir(), 'ferrite-fuzz-'))
after(() => rmSync(dir, { recursive: true, force: true }))

/** The beginnings of real images: every format that qemu-img makes, and two by hand. */
const seeds = [
  ...['qcow2', 'qed', 'vdi', 'vhdx', 'vmdk', 'vpc'].map(format => {
    const file = join(dir, format)
    execFileSync('qemu-img', ['create', '-q', '-f', format, file, '8M'])
    return readFileSync(file).subarray(0, 2.2 * 1024 * 1024)
  }),
  made(0x9000, bytes => bytes.write('CD001', 0x8001)),
  made(4096, bytes => {
    bytes.writeUInt16LE(0xaa55, 510)
    bytes[450] = 0xee
    bytes[454] = 1
  }),
  made(4096, bytes => bytes.write('LUKS\xba\xbe\0\x01', 0, 'latin1')),
]

function made(size: number, fill: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(size)
  fill(bytes)
  return bytes
}

/** As a file is read: what lies beyond its end is not there, and impossible places are errors. */
async function inspect(bytes: Buffer) {
  let readBytes = 0
  const found = await inspectDisk(async (offset, length) => {
    assert.ok(Number.isSafeInteger(offset) && offset >= 0, `read at ${offset}`)
    assert.ok(Number.isSafeInteger(length) && length >= 0, `read ${length} bytes`)
    const part = bytes.subarray(offset, offset + length)
    readBytes += part.length
    return part
  }, bytes.length)
  assert.ok(diskFormats.includes(found.format))
  assert.ok(found.virtualSizeBytes >= 0, String(found.virtualSizeBytes))
  assert.ok(found.dangers.join().length < 2000)
  assert.ok(readBytes < 2 * 1024 * 1024, `read ${readBytes} bytes`)
  return found
}

const edges = [0n, 1n, 0x7fffffffn, 0xffffffffn, 0x8000000000000000n, 0xffffffffffffffffn]
const word = (size: number, from: number, to: number) => fc.integer({ min: from, max: to }).map(index => index * size)
const change = fc.record({
  // Most of what counts lies in the first sectors, in whole words; VHDX has its tables further back.
  at: fc.oneof(
    word(4, 0, 30),
    word(4, 0, 30),
    word(4, 30, 1000),
    fc.integer({ min: 192 * 1024, max: 194 * 1024 }),
    fc.nat(2 * 1024 * 1024),
  ),
  value: fc.oneof(fc.constantFrom(...edges), fc.bigInt({ min: 0n, max: 0xffffffffffffffffn })),
  order: fc.constantFrom('LE', 'BE'),
})

test('mutated headers of every format', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(seeds.length - 1),
      fc.array(change, { maxLength: 6 }),
      fc.option(fc.nat(5000)),
      async (which, changes, cutAt) => {
        const bytes = Buffer.from(seeds[which] ?? '')
        for (const { at, value, order } of changes) {
          if (at + 8 <= bytes.length) bytes[`writeBigUInt64${order}`](value, at)
        }
        await inspect(cutAt === null ? bytes : bytes.subarray(0, cutAt))
      },
    ),
    { numRuns: runs, seed },
  )
})

test('descriptors of every kind in a VMDK', async () => {
  const words = [
    'createType=',
    '"streamOptimized"',
    'parentCID=',
    'RW ',
    'RW 1 SPARSE "a"',
    '\n',
    '"',
    '/',
    ' ',
    '\0',
    '=',
  ]
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(fc.constantFrom(...words), fc.string())), async parts => {
      const bytes = Buffer.from(seeds[4] ?? '')
      bytes.write(parts.join('').slice(0, 9000), 512, 'latin1')
      await inspect(bytes)
    }),
    { numRuns: Math.ceil(runs / 10), seed },
  )
})

test('the longest descriptor ends soon, and in few words', async () => {
  for (const line of ['\n', 'RW\n', 'RW 1 FLAT "/etc/shadow" 0\n', 'createType="']) {
    const bytes = Buffer.concat([Buffer.from(seeds[4] ?? '').subarray(0, 512), Buffer.alloc(1024 * 1024, line)])
    bytes.writeBigUInt64LE(1n, 28)
    bytes.writeBigUInt64LE(2048n, 36)
    const began = performance.now()
    const { format, dangers } = await inspect(bytes)
    assert.equal(format, 'vmdk')
    assert.notDeepEqual(dangers, [])
    assert.ok(performance.now() - began < 20_000)
  }
})
