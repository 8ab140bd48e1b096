import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CpioEntry, writeCpio } from './cpio.ts'

const entries: CpioEntry[] = [
  { kind: 'file', path: 'b/file', mode: 0o755, data: Buffer.from('12345') },
  { kind: 'directory', path: 'b', mode: 0o755 },
  { kind: 'link', path: 'a', target: 'b/file' },
  { kind: 'device', path: 'console', mode: 0o600, major: 5, minor: 1 },
]

test('writes each entry with the type, mode and contents it was given', () => {
  const read = readCpio(Buffer.concat([...writeCpio(entries, 1_700_000_000)]))
  assert.deepEqual(
    read.map(({ path, mode, text, links, device }) => ({ path, mode: mode.toString(8), text, links, device })),
    [
      { path: 'a', mode: '120777', text: 'b/file', links: 1, device: '0:0' },
      { path: 'b', mode: '40755', text: '', links: 2, device: '0:0' },
      { path: 'b/file', mode: '100755', text: '12345', links: 1, device: '0:0' },
      { path: 'console', mode: '20600', text: '', links: 1, device: '5:1' },
    ],
  )
  assert.deepEqual([...new Set(read.map(entry => entry.time))], [1_700_000_000])
  assert.equal(new Set(read.map(entry => entry.inode)).size, entries.length)
})

test('the order in which entries are given changes nothing', () => {
  const forward = Buffer.concat([...writeCpio(entries, 1)])
  const backward = Buffer.concat([...writeCpio([...entries].reverse(), 1)])
  assert.ok(forward.equals(backward))
})

test('ends at a multiple of 512 bytes', () => {
  for (let length = 0; length < 9; length++) {
    const data = Buffer.alloc(length, 'x')
    const archive = Buffer.concat([...writeCpio([{ kind: 'file', path: 'f', mode: 0o644, data }], 0)])
    assert.equal(archive.length % 512, 0)
    assert.equal(readCpio(archive)[0]?.text, 'x'.repeat(length))
  }
})

/** Reads as the kernel does: header of 110 bytes, name and data each padded to four. */
function readCpio(archive: Buffer) {
  const found = []
  for (let at = 0; ; ) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701', `no header at byte ${at}`)
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
    const nameEnd = at + 110 + field(11)
    const path = archive.toString('utf8', at + 110, nameEnd - 1)
    if (path === 'TRAILER!!!') return found
    const dataStart = Math.ceil(nameEnd / 4) * 4
    const dataEnd = dataStart + field(6)
    found.push({
      path,
      inode: field(0),
      mode: field(1),
      links: field(4),
      time: field(5),
      device: `${field(9)}:${field(10)}`,
      text: archive.toString('utf8', dataStart, dataEnd),
    })
    at = Math.ceil(dataEnd / 4) * 4
  }
}
