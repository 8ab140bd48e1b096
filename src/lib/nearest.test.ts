import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { nearest } from './nearest.ts'

const keys = Array.from({ length: 3000 }, () => randomUUID())

test('every member gets its share, whatever the order they are named in', () => {
  const counts = new Map<string, number>()
  for (const key of keys) {
    const owner = nearest(key, ['host-1', 'host-2', 'host-3'])
    assert.equal(nearest(key, ['host-3', 'host-1', 'host-2']), owner)
    counts.set(String(owner), (counts.get(String(owner)) ?? 0) + 1)
  }
  for (const count of counts.values()) assert.ok(count > 850 && count < 1150, `shares ${[...counts.values()]}`)
})

test('a member that leaves moves its own keys only', () => {
  for (const key of keys) {
    const before = nearest(key, ['host-1', 'host-2', 'host-3'])
    if (before !== 'host-2') assert.equal(nearest(key, ['host-1', 'host-3']), before)
  }
})

test('without members there is none', () => {
  assert.equal(nearest('key', []), undefined)
})
