import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventLoopLoad } from './event-loop.ts'

const compute = (ms: number) => {
  for (const from = performance.now(); performance.now() - from < ms; );
}

test('a process that computes is busy, one that waits is not', async () => {
  const { busy } = eventLoopLoad({ windowMs: 50 })
  await sleep(0) // the loop's first turn: before it nothing counts
  compute(200)
  assert.ok(busy() > 0.6, `${busy()} while it computed`)
  await sleep(400)
  assert.ok(busy() < 0.4, `${busy()} while it waited`)
})

test('whoever breathes waits while turns are long, but not for ever', async () => {
  const { breathe } = eventLoopLoad({ turnMs: 20, patienceMs: 10_000 })
  let turns = 0
  const work = () => {
    compute(40)
    if (++turns < 5) setImmediate(work)
  }
  setImmediate(work)
  await breathe()
  assert.equal(turns, 5, 'the work went first')

  const impatient = eventLoopLoad({ turnMs: 20, patienceMs: 100 })
  turns = -1000
  setImmediate(work)
  await impatient.breathe()
  assert.ok(turns < -990, `${turns + 1000} turns were waited for`)
  turns = 5
})
