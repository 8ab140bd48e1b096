import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startHeartbeat } from './heartbeat.ts'
import { lookupPauseMs } from './lookup.ts'

const quiet = { info() {}, warn() {}, error() {}, debug() {} }

function loop(send: (number: number) => Promise<void>, { timeoutMs = 60_000, leastGapMs = 200, random = 0 } = {}) {
  const stop = new AbortController()
  const at: number[] = []
  const startedAt = performance.now()
  const heartbeat = startHeartbeat({
    send: async () => {
      at.push(performance.now() - startedAt)
      await send(at.length)
    },
    timeoutMs: () => timeoutMs,
    log: quiet,
    signal: stop.signal,
    random: () => random,
    leastGapMs,
  })
  const end = async () => {
    stop.abort()
    await heartbeat.ended
  }
  return { heartbeat, at, end }
}

test('the first beat is immediate, the next after 0.3 to 0.6 of the timeout', async () => {
  for (const [random, from] of [
    [0, 300],
    [1, 600],
  ] as const) {
    const { at, end } = loop(async () => {}, { timeoutMs: 1_000, random })
    await sleep(from + 150)
    await end()
    assert.equal(at.length, 2)
    assert.ok((at[0] ?? 99) < 50 && (at[1] ?? 0) >= from - 5 && (at[1] ?? 0) < from + 120, at.join())
  }
})

test('a forced beat keeps the least gap, and many forces are one beat', async () => {
  const { heartbeat, at, end } = loop(async () => {})
  await sleep(50)
  for (let i = 0; i < 10; i++) heartbeat.force()
  await sleep(400)
  await end()
  assert.equal(at.length, 2)
  assert.ok((at[1] ?? 0) >= 195 && (at[1] ?? 0) < 320, at.join())
})

test('what is forced while a beat is under way gets a beat of its own', async () => {
  const { heartbeat, at, end } = loop(() => sleep(60))
  await sleep(20)
  heartbeat.force()
  await sleep(350)
  await end()
  assert.equal(at.length, 2)
})

test('a failed beat is repeated after the gap, and the force is kept', async () => {
  const { at, end } = loop(async number => {
    if (number < 3) throw new Error('busy')
  })
  await sleep(1_300)
  await end()
  assert.equal(at.length, 3)
  assert.ok((at[1] ?? 0) >= 195 && (at[2] ?? 0) - (at[1] ?? 0) >= 195, at.join())
})

test('the pause between lookups grows to a minute at most', () => {
  assert.equal(lookupPauseMs(1, 1_000, 1), 1_000)
  assert.equal(lookupPauseMs(4, 1_000, 1), 8_000)
  assert.equal(lookupPauseMs(4, 1_000, 0), 1_000)
  assert.equal(lookupPauseMs(40, 1_000, 1), 60_000)
})
