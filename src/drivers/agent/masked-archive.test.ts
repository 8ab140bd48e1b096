import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { run } from '#lib/run.ts'
import { maskArchive } from './masked-archive.ts'

const scratch = await mkdtemp(join(tmpdir(), 'ferrite-masked-'))
after(() => rm(scratch, { recursive: true }))

test('a real archive: secrets are gone from what is text, everything else is as it was', async () => {
  const long = `${'a/'.repeat(60)}${'b'.repeat(120)}`
  const before = await packed('before', {
    journal: 'booted with ipa-agent-token=hush-hush\nlogged in with S3cret-x\nand all is well: ü\n',
    dmesg: `${'[    1.0] a line\n'.repeat(20_000)}[    2.0] password: hidden\n`,
    'raw.bin': Buffer.from([0, 1, 2, ...Buffer.from('token=stays-as-it-is')]),
    empty: '',
    [long]: 'nothing to hide',
  })
  const after = await unpack('after', await maskArchive(before, ['S3cret-x']))
  assert.equal(
    await after('journal'),
    'booted with ipa-agent-token=******\nlogged in with ******\nand all is well: ü\n',
  )
  assert.equal(await after('dmesg'), `${'[    1.0] a line\n'.repeat(20_000)}[    2.0] password: ******\n`)
  assert.equal(await after('raw.bin'), '\0\x01\x02token=stays-as-it-is')
  assert.equal(await after('empty'), '')
  assert.equal(await after(long), 'nothing to hide')
})

test('what is no archive is refused, and never kept as it is', async () => {
  for (const bad of [Buffer.from('no gzip'), gzipSync('x'.repeat(2000)), gzipSync(Buffer.alloc(600, 'y'))]) {
    await assert.rejects(maskArchive(bad, []), /Cannot read the logs of a ramdisk/)
  }
})

test('an empty archive stays empty', async () => {
  const nothing = await unpack('nothing', await maskArchive(gzipSync(Buffer.alloc(1024)), []))
  await assert.rejects(nothing('journal'))
})

/** By the real tar, in the form that Python writes, too. */
async function packed(name: string, files: Record<string, string | Buffer>): Promise<Buffer> {
  const directory = await mkdtemp(join(scratch, name))
  for (const [path, content] of Object.entries(files)) {
    await run('mkdir', ['-p', join(directory, path, '..')])
    await writeFile(join(directory, path), content)
  }
  const file = `${directory}.tar.gz`
  await run('tar', ['--format=pax', '-czf', file, '-C', directory, ...Object.keys(files)])
  return await readFile(file)
}

async function unpack(name: string, archive: Buffer): Promise<(path: string) => Promise<string>> {
  const directory = await mkdtemp(join(scratch, name))
  const file = `${directory}.tar.gz`
  await writeFile(file, archive)
  await run('tar', ['-xzf', file, '-C', directory])
  return path => readFile(join(directory, path), 'utf8')
}
