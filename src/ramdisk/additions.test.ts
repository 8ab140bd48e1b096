import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { addDirectory, addPackage, hashOfDirectory, modulesAmong } from './additions.ts'
import { Tree } from './tree.ts'

const scratch = await mkdtemp(join(tmpdir(), 'ferrite-additions-'))
after(() => rm(scratch, { recursive: true }))

test('of a package comes all but its documentation', async () => {
  const firmware = await directory('firmware', {
    'lib/firmware/bnx2x/a.fw': 'a',
    'usr/share/doc/firmware/copyright': 'text',
  })
  const other = await directory('other', { 'usr/bin/other': 'b' })
  const tree = new Tree(
    new Map([
      ['firmware-bnx2x', firmware],
      ['other', other],
    ]),
    [],
  )
  addPackage(tree, 'firmware-bnx2x')
  assert.ok(tree.has('/usr/lib/firmware/bnx2x/a.fw'))
  assert.ok(!tree.has('/usr/share/doc/firmware/copyright'))
  assert.ok(!tree.has('/usr/bin/other'))
})

test('files, links and folders of a directory get the paths they have in it, and take the place of others', async () => {
  const own = await directory('own', { 'etc/motd': 'mine', 'usr/lib/ferrite/hardware-managers/acme': '#!/bin/sh\n' })
  await symlink('motd', join(own, 'etc/link'))
  const tree = new Tree(new Map(), [])
  tree.data('/etc/motd', 'ours')
  addDirectory(tree, own)
  assert.deepEqual(tree.entries.get('/etc/motd'), { kind: 'file', source: join(own, 'etc/motd') })
  assert.deepEqual(tree.entries.get('/etc/link'), { kind: 'link', target: 'motd' })
  assert.ok(tree.has('/usr/lib/ferrite/hardware-managers/acme'))
})

test('drivers of the operator are found, and those of another kernel refused', async () => {
  const own = await directory('drivers', { 'lib/modules/6.1.0-1-amd64/updates/acme.ko.xz': 'driver' })
  const tree = new Tree(new Map(), [])
  addDirectory(tree, own)
  const found = modulesAmong(tree, '6.1.0-1-amd64')
  assert.deepEqual([...found], [['updates/acme.ko.xz', join(own, 'lib/modules/6.1.0-1-amd64/updates/acme.ko.xz')]])
  assert.throws(
    () => modulesAmong(tree, '6.1.0-2-amd64'),
    /it is for the kernel 6\.1\.0-1-amd64, expected 6\.1\.0-2-amd64/,
  )
})

test('a directory that is not there is named', () => {
  assert.throws(
    () => addDirectory(new Tree(new Map(), []), join(scratch, 'nothing')),
    /Cannot add the directory .*nothing/,
  )
})

test('the hash of a directory is that of names and contents', async () => {
  const first = await directory('first', { 'etc/a': '1', 'etc/b': '2' })
  const same = await directory('same', { 'etc/b': '2', 'etc/a': '1' })
  const other = await directory('another', { 'etc/a': '1', 'etc/b': '3' })
  const renamed = await directory('renamed', { 'etc/a': '1', 'etc/c': '2' })
  assert.equal(hashOfDirectory(first), hashOfDirectory(same))
  assert.notEqual(hashOfDirectory(first), hashOfDirectory(other))
  assert.notEqual(hashOfDirectory(first), hashOfDirectory(renamed))
})

async function directory(name: string, files: Record<string, string>): Promise<string> {
  const root = join(scratch, name)
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return root
}
