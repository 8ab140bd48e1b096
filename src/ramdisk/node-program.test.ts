import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { slimNode } from './node-program.ts'

const scratch = await mkdtemp(join(tmpdir(), 'ferrite-node-'))
after(() => rm(scratch, { recursive: true }))

test('this Node loses its symbols and the languages of the world, and still runs', async () => {
  const said: string[] = []
  const outFile = join(scratch, 'slim')
  const made = await slimNode({
    nodeFile: process.execPath,
    outFile,
    runsHere: true,
    strip: 'strip',
    log: line => said.push(line),
  })
  assert.deepEqual(said, [])
  assert.equal(made.file, outFile)
  assert.ok(made.blankedBytes > 15e6, `${made.blankedBytes} bytes`)
  assert.ok((await stat(outFile)).size <= (await stat(process.execPath)).size)
})

test('a Node that does not pass its trial is packed as it was given', async () => {
  const nodeFile = join(scratch, 'broken')
  await writeFile(nodeFile, '#!/bin/sh\necho "no such locale" >&2\nexit 1\n')
  await chmod(nodeFile, 0o755)
  const said: string[] = []
  const made = await slimNode({
    nodeFile,
    outFile: join(scratch, 'out'),
    runsHere: true,
    strip: 'strip',
    log: line => said.push(line),
  })
  assert.deepEqual(made, { file: nodeFile, blankedBytes: 0 })
  assert.match(said.join('\n'), /packing Node as it is.*no such locale/s)
})

test('one for another processor is not tried', async () => {
  const nodeFile = join(scratch, 'foreign')
  await writeFile(nodeFile, 'not even a program')
  const outFile = join(scratch, 'foreign-out')
  const made = await slimNode({ nodeFile, outFile, runsHere: false, strip: 'strip', log: () => {} })
  assert.equal(made.file, outFile)
  assert.equal(await readFile(outFile, 'utf8'), 'not even a program')
})
