import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LookPace } from './pace.ts'

/** Time that passes when told, and what was put off. */
function pacing() {
  let nowMs = 0
  const sleepers: { atMs: number; wake: () => void }[] = []
  const clock = {
    now: () => nowMs,
    sleep: (ms: number) => new Promise<void>(wake => sleepers.push({ atMs: nowMs + ms, wake })),
  }
  const stop = new AbortController()
  const pass = async (ms: number) => {
    nowMs += ms
    for (const sleeper of sleepers.filter(one => one.atMs <= nowMs)) {
      sleepers.splice(sleepers.indexOf(sleeper), 1)
      sleeper.wake()
    }
    for (let i = 0; i < 10; i++) await null
  }
  return { pace: new LookPace(clock, { signal: stop.signal, regularMs: 90_000 }), pass }
}

test('a call leads to a look at once, and many calls after a look to one', async () => {
  const { pace, pass } = pacing()
  let looks = 0
  const call = () => pace.called('a', async () => void looks++)
  await call()
  assert.equal(looks, 1, 'nothing is known of the node')
  pace.looked('a', 2000)
  for (let i = 0; i < 5; i++) await call()
  await pass(999)
  assert.equal(looks, 1)
  await pass(1)
  assert.equal(looks, 2)
  await pass(5000)
  assert.equal(looks, 2)
  await call()
  assert.equal(looks, 3, 'the last look is long ago')
})

test('where looks are wanted more often than once a second, calls lead to them as often', async () => {
  const { pace, pass } = pacing()
  let looks = 0
  pace.looked('a', 100)
  await pace.called('a', async () => void looks++)
  await pass(100)
  assert.equal(looks, 1)
})

test('the more nodes wait, the more rarely each is looked at without a call', () => {
  const { pace } = pacing()
  for (let i = 0; i < 200; i++) assert.equal(pace.looked(`node ${i}`, 2000), 2000)
  for (let i = 200; i < 1000; i++) pace.looked(`node ${i}`, 2000)
  assert.equal(pace.looked('node 0', 2000), 10_000)
  for (let i = 100; i < 1000; i++) pace.forget(`node ${i}`)
  assert.equal(pace.looked('node 0', 2000), 2000)
})

test('of regular calls so many a second are looked into; those before their time always are', async () => {
  const { pace, pass } = pacing()
  const looked: string[] = []
  const heard = (name: string) => pace.heard(name, async () => void looked.push(name))
  const names = Array.from({ length: 300 }, (_, i) => `node ${i}`)
  for (const name of names) pace.looked(name, 2000)
  await pass(100_000)
  for (const name of names) await heard(name)
  assert.equal(looked.length, 100, 'all of them called at their time')
  await pass(500)
  for (const name of names.slice(0, 200)) await heard(name)
  assert.equal(looked.length, 300, 'calls half a second after a call mean something')
  await pass(90_000)
  await pace.called('node 0', async () => void looked.push('told'))
  assert.equal(looked.at(-1), 'told', 'so does a call that tells something new')
})
