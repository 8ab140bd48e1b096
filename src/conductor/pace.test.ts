import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LookPace } from './pace.ts'

/** Time that passes when told, and what was put off. */
function pacing({ busy = () => 0 }: { busy?: () => number } = {}) {
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
  return { pace: new LookPace(clock, { signal: stop.signal, regularMs: 90_000, busy }), pass }
}

test('a call leads to a look at once, and many calls after a look to one', async () => {
  const { pace, pass } = pacing()
  let looks = 0
  const call = () => pace.called('a', async () => void looks++)
  await call()
  assert.equal(looks, 1, 'nothing is known of the node')
  pace.looked('a', 'write', 2000)
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
  pace.looked('a', 'write', 100)
  await pace.called('a', async () => void looks++)
  await pass(100)
  assert.equal(looks, 1)
})

test('the more nodes wait, the more rarely each is looked at without a call', () => {
  const { pace } = pacing()
  for (let i = 0; i < 200; i++) assert.equal(pace.looked(`node ${i}`, 'write', 2000), 2000)
  for (let i = 200; i < 1000; i++) pace.looked(`node ${i}`, 'write', 2000)
  assert.equal(pace.looked('node 0', 'write', 2000), 10_000)
  for (let i = 100; i < 1000; i++) pace.forget(`node ${i}`)
  assert.equal(pace.looked('node 0', 'write', 2000), 2000)
})

test('the time of the next look is whole milliseconds, as every engine keeps them', () => {
  const { pace } = pacing({ busy: () => 0.7123 })
  for (let i = 0; i < 333; i++) pace.looked(`node ${i}`, 'write', 100)
  const ms = pace.looked('node 333', 'write', 100)
  assert.ok(ms > 3330, `${ms}`)
  assert.ok(Number.isInteger(ms), `${ms}`)
})

test('of regular calls so many a second are looked into; those before their time always are', async () => {
  const { pace, pass } = pacing()
  const looked: string[] = []
  const heard = (name: string) => pace.heard(name, undefined, async () => void looked.push(name))
  const names = Array.from({ length: 300 }, (_, i) => `node ${i}`)
  for (const name of names) pace.looked(name, 'write', 2000)
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

test('an agent that calls more often than is usual is regular, too, once a call meant nothing', async () => {
  const { pace, pass } = pacing()
  const looked: string[] = []
  const names = Array.from({ length: 300 }, (_, i) => `node ${i}`)
  const callAll = async (wait: string) => {
    looked.length = 0
    for (const name of names) await pace.heard(name, undefined, async () => void looked.push(name))
    for (const name of looked) pace.looked(name, wait, 2000)
    return looked.length
  }
  for (const name of names) pace.looked(name, 'write', 2000)
  await pass(30_000)
  assert.equal(await callAll('write'), 300, 'nobody knows yet that it is their habit')
  await pass(30_000)
  assert.equal(await callAll('write'), 100, 'now it is known')
  await pass(12_000)
  assert.equal(await callAll('configure'), 300, 'sooner than their habit: something has happened')
  await pass(12_000)
  assert.equal(await callAll('configure'), 300, 'a call that ended a wait teaches no habit')
})

test('the busier the process is, the fewer looks that can wait', async () => {
  let busy = 0.5
  const { pace, pass } = pacing({ busy: () => busy })
  for (let i = 0; i < 1000; i++) pace.looked(`node ${i}`, 'write', 2000)
  assert.equal(pace.looked('node 0', 'write', 2000), 10_000)
  busy = 0.7
  assert.equal(Math.round(pace.looked('node 0', 'write', 2000)), 20_000)
  busy = 1
  assert.equal(pace.looked('node 0', 'write', 2000), 200_000, 'never none')
  await pass(100_000)
  let looks = 0
  for (let i = 0; i < 1000; i++) await pace.heard(`node ${i}`, undefined, async () => void looks++)
  assert.equal(looks, 5, 'a twentieth of a hundred a second, of which those of one second are kept')
})

test('an agent that says whether its command runs is believed', async () => {
  const { pace, pass } = pacing()
  const looked: string[] = []
  const names = Array.from({ length: 300 }, (_, i) => `node ${i}`)
  for (const name of names) pace.looked(name, 'write', 2000)
  await pass(10_000)
  for (const name of names) await pace.heard(name, 'running', async () => void looked.push(name))
  assert.equal(looked.length, 100, 'soon after their last call, and yet there is nothing to find')
  await pass(90_000)
  for (const name of names) await pace.heard(name, 'none', async () => void looked.push(name))
  assert.equal(looked.length, 400, 'at their regular time, and yet something has ended')
})
