import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { chmod, cp, lstat, mkdir, mkdtemp, readlink, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { readElf } from './elf.ts'
import { pack } from './pack.ts'
import { FileNotInPackages, Tree } from './tree.ts'

const scratch = await mkdtemp(join(tmpdir(), 'ferrite-tree-'))
after(() => rm(scratch, { recursive: true }))

test('a program comes with its loader, its libraries and the links they go through', async () => {
  const { tree } = await example('libraries')
  tree.program('env')
  const elf = readElf(readFileSync('/usr/bin/env'))
  for (const library of elf?.needed ?? []) {
    const link = tree.entries.get(`/usr/lib/here/${library}`)
    assert.deepEqual(link, { kind: 'link', target: `${library}.real` })
    assert.equal(tree.entries.get(`/usr/lib/here/${library}.real`)?.kind, 'file')
  }
  assert.ok(elf?.interpreter !== undefined && tree.has(elf.interpreter))
  assert.deepEqual(tree.packagesUsed(), ['libraries', 'programs'])
})

test('paths are merged-usr however a package has them', async () => {
  const { tree } = await example('merged')
  tree.pick('/bin/link-to-env')
  assert.deepEqual(tree.entries.get('/usr/bin/link-to-env'), { kind: 'link', target: '/bin/env' })
  assert.ok(tree.has('/bin/env'))
  assert.deepEqual(tree.entries.get('/bin'), { kind: 'link', target: 'usr/bin' })
})

test('says what is missing and what needs it', async () => {
  const { tree, packages } = await example('missing')
  assert.throws(() => tree.program('no-such'), FileNotInPackages)
  const [library] = readElf(readFileSync('/usr/bin/env'))?.needed ?? []
  await rm(join(packages.get('libraries') ?? '', 'usr/lib/here', library ?? ''))
  const poorer = new Tree(packages, ['/usr/lib/here'])
  assert.throws(() => poorer.program('env'), new RegExp(`/usr/bin/env: it needs the library ${library}`))
})

test('writes modes, links and contents', async () => {
  const { tree } = await example('write')
  tree.program('env')
  tree.directory('/tmp', 0o1777)
  tree.data('/etc/deep/file', 'text', 0o600)
  const out = join(scratch, 'write-out')
  const { files } = await tree.writeTo(out)
  assert.equal((await lstat(join(out, 'tmp'))).mode & 0o7777, 0o1777)
  assert.equal((await lstat(join(out, 'etc/deep/file'))).mode & 0o7777, 0o600)
  assert.equal(await readlink(join(out, 'bin')), 'usr/bin')
  assert.ok(readFileSync(join(out, 'usr/bin/env')).equals(readFileSync('/usr/bin/env')))
  assert.equal(files, [...tree.entries.values()].filter(entry => 'source' in entry || 'data' in entry).length)
})

const noSquashfs = !existsSync('/usr/bin/mksquashfs') && 'needs mksquashfs of squashfs-tools'

test('the same inputs make the same bytes, another input others', { skip: noSquashfs }, async () => {
  const hashes: string[] = []
  for (const [name, text] of [
    ['first', 'same'],
    ['second', 'same'],
    ['third', 'other'],
  ] as const) {
    const { tree, packages } = await example(name)
    // Times and places of the build must not show.
    const stamp = new Date(Date.now() - hashes.length * 86_400_000)
    await utimes(join(packages.get('programs') ?? '', 'bin/env'), stamp, stamp)
    tree.program('env')
    tree.data('/etc/text', text)
    const outFile = join(scratch, `${name}.initramfs`)
    await pack({
      tree,
      firstInit: '#!/bin/busybox sh\n',
      busyboxFile: '/usr/bin/env',
      rootModuleFiles: [],
      workDirectory: join(scratch, `${name}-work`),
      outFile,
      compression: 'fast',
      time: 1_700_000_000,
    })
    hashes.push(createHash('sha256').update(readFileSync(outFile)).digest('hex'))
  }
  const [first, second, third] = hashes
  assert.equal(first, second)
  assert.notEqual(first, third)
})

/** Two packages made of this machine's `env`, its libraries behind links, its loader where it names it. */
async function example(name: string) {
  const root = join(scratch, name)
  const programs = join(root, 'programs')
  const libraries = join(root, 'libraries')
  await mkdir(join(programs, 'bin'), { recursive: true })
  await cp('/usr/bin/env', join(programs, 'bin/env'))
  await chmod(join(programs, 'bin/env'), 0o755)
  await symlink('/bin/env', join(programs, 'bin/link-to-env'))
  await mkdir(join(libraries, 'usr/lib/here'), { recursive: true })
  const elf = readElf(readFileSync('/usr/bin/env'))
  const interpreter = elf?.interpreter ?? assert.fail('env has no loader')
  await mkdir(join(libraries, dirname(interpreter)), { recursive: true })
  await cp(realpathSync(interpreter), join(libraries, interpreter))
  for (const library of [...(elf?.needed ?? []), 'libc.so.6', basename(interpreter)]) {
    // A script stands in for the library: it needs nothing further.
    const real = join(libraries, 'usr/lib/here', `${library}.real`)
    await writeFile(real, 'a library')
    await symlink(`${library}.real`, join(libraries, 'usr/lib/here', library)).catch(() => {})
  }
  const packages = new Map([
    ['programs', programs],
    ['libraries', libraries],
  ])
  return { tree: new Tree(packages, ['/usr/lib/here']), packages }
}
