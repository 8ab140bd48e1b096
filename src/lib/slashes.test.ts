import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withoutSlashesAtEnd } from './slashes.ts'

test('slashes at the end are taken off, all others stay', () => {
  for (const [text, expected] of [
    ['', ''],
    ['/', ''],
    ['///', ''],
    ['/a', '/a'],
    ['//a//b//', '//a//b'],
    ['http://h/', 'http://h'],
  ] as const) {
    assert.equal(withoutSlashesAtEnd(text), expected)
  }
})

test('a megabyte of slashes that something follows takes no time', () => {
  const text = `${'/'.repeat(1_000_000)}x`
  const began = process.cpuUsage()
  assert.equal(withoutSlashesAtEnd(text), text)
  const { user, system } = process.cpuUsage(began)
  assert.ok(user + system < 5_000_000, `${(user + system) / 1e6} s of a processor`)
})
