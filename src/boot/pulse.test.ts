/** A server that answers, one that stops answering, and one that never did. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Clock, systemClock } from '#lib/clock.ts'
import { hangs } from './pulse.ts'

/** A hundred times as fast. */
const clock: Clock = { now: () => Date.now(), sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) }

test('one that stops answering hangs, one that never answered does not', { timeout: 60_000 }, async t => {
  const server = createSocket('udp4').bind(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  let asked = 0
  let isAnswering = true
  server.on('message', (request, from) => {
    asked += 1
    assert.equal(request.toString('latin1', 0, 16), '\0\x01ferrite-pulse\0')
    if (isAnswering && asked >= 3) server.send('\0\x05\0\x01', from.port, from.address)
    if (asked === 6) isAnswering = false
  })
  const asking = { address: '127.0.0.1', port: server.address().port, clock }
  assert.equal(await hangs({ ...asking, signal: new AbortController().signal }), true)
  assert.ok(asked >= 8, `asked ${asked} times: two answers are missing after the sixth`)

  const stop = new AbortController()
  const silent = hangs({ ...asking, signal: stop.signal })
  while (asked < 12) await systemClock.sleep(20)
  stop.abort()
  assert.equal(await silent, false)
})
