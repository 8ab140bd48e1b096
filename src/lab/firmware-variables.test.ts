/** Variables are written where firmware looks for them; that it obeys them is seen by `npm run interop:boot`. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { bootNextFromUrl, globalVariables, withVariables } from './firmware-variables.ts'

/** Flash with an empty store behind a volume header, as OVMF has it. */
function flash(storeBytes = 2048): Buffer {
  const bytes = Buffer.alloc(0x48 + storeBytes + 512, 0xff)
  Buffer.from('782cf3aa7b949a43a1802e144ec37792', 'hex').copy(bytes, 0x48)
  bytes.writeUInt32LE(storeBytes, 0x48 + 16)
  Buffer.from('5afe000000000000', 'hex').copy(bytes, 0x48 + 20)
  return bytes
}

const named = (name: string, bytes: Buffer) => globalVariables(bytes).filter(variable => variable.name === name)

test('a value takes the place of the one before, and leaves others alone', () => {
  const first = withVariables(flash(), [
    { name: 'A', data: Buffer.from('1') },
    { name: 'Long name', data: Buffer.from('22') },
  ])
  const second = withVariables(first, [{ name: 'A', data: Buffer.from('333') }])
  assert.deepEqual(
    globalVariables(second).map(({ name, data }) => [name, data.toString()]),
    [
      ['Long name', '22'],
      ['A', '333'],
    ],
  )
  assert.deepEqual(named('A', first)[0]?.data.toString(), '1', 'what was given is not changed')
})

test('what has no room, or no store, says so', () => {
  const data = Buffer.alloc(4000)
  assert.throws(() => withVariables(flash(), [{ name: 'Large', data }]), /Large: the store of variables is full/)
  assert.throws(() => withVariables(Buffer.alloc(4096), []), /no store/)
})

test('the next boot is from a URL', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ferrite-variables-'))
  try {
    const file = join(folder, 'variables.fd')
    await writeFile(file, flash())
    for (const url of ['http://10.0.0.1/old.iso', 'http://10.0.0.1:8090/boot.iso']) await bootNextFromUrl(file, url)
    const bytes = await readFile(file)
    const [next, ...others] = named('BootNext', bytes)
    assert.deepEqual([next?.data.toString('hex'), others], ['77fe', []])
    const [option] = named('BootFE77', bytes)
    assert.ok(option?.data.includes('http://10.0.0.1:8090/boot.iso'))
    // A URI node of its length, and the end of the path.
    assert.match(option?.data.toString('hex') ?? '', /03182100687474703a.*7fff0400$/)
  } finally {
    await rm(folder, { recursive: true })
  }
})
