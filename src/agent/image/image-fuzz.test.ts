/**
 * Images that nobody would make, all the way through the agent: fetched, looked at, and converted onto a disk where they
 * pass. Each ends soon, in success or in a fault that says why, and nothing but the disk has changed. FUZZ_RUNS and
 * FUZZ_SEED make it long; `npm run fuzz` does.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#lib/fault.ts'
import { makeLoopDisk, needsRoot } from '../loop-disk.ts'
import { dir, hash, MIB, setUp, startOf } from './test-setup.ts'

const runs = Number(process.env.FUZZ_RUNS ?? 3)
const seed = Number(process.env.FUZZ_SEED ?? 5)
const limitMs = 60_000

const edges = [0n, 1n, 0x7fffffffn, 0xffffffffn, 0x8000000000000000n, 0xffffffffffffffffn]
const change = fc.record({
  at: fc.oneof(
    fc.integer({ min: 0, max: 63 }).map(word => word * 8),
    fc.integer({ min: 64, max: 40_000 }).map(word => word * 8),
  ),
  value: fc.oneof(fc.constantFrom(...edges), fc.bigInt({ min: 0n, max: 0xffffffffffffffffn })),
  order: fc.constantFrom('LE', 'BE'),
})

describe('malformed images', { skip: needsRoot }, () => {
  test(`of every format, ${runs} of them from seed ${seed}`, { timeout: runs * limitMs }, async t => {
    const folder = mkdtempSync(join(dir, 'fuzz-'))
    const secret = join(folder, 'secret')
    writeFileSync(secret, Buffer.alloc(8 * MIB, 'secret '))
    const seeds = makeSeeds(folder, secret)
    const other = makeLoopDisk(16)
    t.after(() => other.remove())
    execFileSync('dd', ['if=/dev/urandom', `of=${other.device}`, 'bs=1M', 'count=16', 'status=none'])
    const untouched = () => [
      hash('sha256', startOf(other.device, 16 * MIB)),
      hash('sha256', readFileSync(secret)),
      readdirSync(folder),
    ]
    const before = untouched()

    const cases = fc.record({
      which: fc.nat(seeds.length - 1),
      changes: fc.array(change, { maxLength: 4 }),
      keep: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      declared: fc.constantFrom(true, true, false),
    })
    for (const { which, changes, keep, declared } of fc.sample(cases, { numRuns: runs, seed })) {
      const { format, bytes } = seeds[which] ?? assert.fail()
      const image = Buffer.from(keep === null ? bytes : bytes.subarray(0, Math.floor(keep * bytes.length)))
      for (const { at, value, order } of changes) {
        if (at + 8 <= image.length) image[`writeBigUInt64${order}`](value, at)
      }
      const bench = await setUp(image, { sizeMib: 32 })
      bench.context.settings.onlyDevices.push(other.device)
      const startedMs = performance.now()
      const what = JSON.stringify({ which, format, changes, keep, declared }, (_, value) =>
        typeof value === 'bigint' ? String(value) : value,
      )
      try {
        const checksum = createHash('sha256').update(image).digest('hex')
        await bench.write({ checksum, disk_format: declared ? format : null })
      } catch (error) {
        assert.ok(error instanceof Fault, `${what}: ${error instanceof Error ? error.stack : error}`)
        assert.ok(error.message.length < 4000, what)
      } finally {
        const holds = startOf(bench.disk.device, 32 * MIB).includes('secret secret secret')
        await bench.remove()
        assert.ok(!holds, `${what}: what another file holds is on the disk`)
      }
      assert.ok(performance.now() - startedMs < limitMs, what)
      assert.deepEqual(untouched(), before, what)
    }
  })
})

interface Seed {
  format: string
  bytes: Buffer
}

/** Sound images of every format, and such as lead out of their file. */
function makeSeeds(folder: string, secret: string): Seed[] {
  const raw = join(dir, 'fuzz-raw')
  execFileSync('truncate', ['--size', '8M', raw])
  execFileSync('sfdisk', ['--quiet', raw], { input: 'label: dos\nstart=2048, size=8192\n' })
  const made = ['qcow2', 'qed', 'vdi', 'vhdx', 'vmdk', 'vpc'].map(format => {
    const file = join(dir, `fuzz-${format}`)
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', format, raw, file])
    return { format, bytes: readFileSync(file) }
  })
  const backed = join(dir, 'fuzz-backed')
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', secret, backed])
  const external = join(dir, 'fuzz-external')
  const data = `data_file=${join(dir, 'fuzz-data')},data_file_raw=on`
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', data, external, '8M'])
  const descriptor = `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 16384 FLAT "${secret}" 0\n`
  const json = `json:{"driver": "raw", "file": {"driver": "file", "filename": "${folder}/secret"}}`
  return [
    ...made,
    { format: 'qcow2', bytes: readFileSync(backed) },
    { format: 'qcow2', bytes: readFileSync(external) },
    { format: 'vmdk', bytes: Buffer.from(descriptor.padEnd(1024, '\0')) },
    { format: 'raw', bytes: Buffer.from(json.padEnd(4096)) },
    { format: 'raw', bytes: readFileSync(raw) },
  ]
}
