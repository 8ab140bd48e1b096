import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textBuffer } from './text-buffer.ts'

const pieces = ['', 'plain', 'ünïcødé ', '漢字'.repeat(3000), '\u{1f600}'.repeat(2000), 'x'.repeat(100_000), '.']

for (const expected of [0, 10, 120_000, 1_000_000]) {
  test(`all that is added comes out, ${expected} bytes being expected`, () => {
    const buffer = textBuffer(expected)
    for (const piece of pieces) buffer.add(piece)
    assert.equal(buffer.length, Buffer.byteLength(pieces.join('')))
    assert.equal(buffer.bytes().toString(), pieces.join(''))
  })
}
