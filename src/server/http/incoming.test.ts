import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startApi } from '../test-api.ts'
import { type Incoming, incomingBodies } from './incoming.ts'

const mib = 1024 * 1024

/** A request, as far as it is looked at. */
class Body extends EventEmitter {
  readonly headers: Readonly<Record<string, string>>
  readonly #response = new EventEmitter()
  destroyed = false
  constructor(headers: Readonly<Record<string, string>> = { 'content-length': String(mib) }) {
    super()
    this.headers = headers
  }
  in(incoming: Incoming): this {
    incoming.watch(this as unknown as IncomingMessage, this.#response as unknown as ServerResponse)
    return this
  }
  sends(bytes: number): this {
    this.emit('data', Buffer.alloc(bytes))
    return this
  }
  destroy(): void {
    this.destroyed = true
    this.answered()
  }
  answered(): void {
    this.#response.emit('close')
  }
}

test('bodies count until they are answered, and there is no room for long ones meanwhile', () => {
  const incoming = incomingBodies({ mostBytes: 3 * mib, patienceMs: 60_000 })
  const first = new Body().in(incoming).sends(2 * mib)
  const second = new Body().in(incoming).sends(mib)
  const last = new Body().in(incoming)
  last.sends(mib)
  assert.deepEqual([first.destroyed, second.destroyed, last.destroyed], [false, false, true])
  const third = new Body().in(incoming)
  first.emit('end')
  second.sends(mib / 2)
  assert.equal(second.destroyed, true, 'it went too far')
  assert.equal(third.sends(mib).destroyed, false, 'what was destroyed is counted off')
  first.answered()
  assert.equal(new Body().in(incoming).sends(2 * mib).destroyed, false)
})

test('short bodies are taken while there is no room, long ones are refused', () => {
  const incoming = incomingBodies({ mostBytes: -1 })
  assert.equal(new Body({ 'content-length': '1000' }).in(incoming).sends(1000).destroyed, false)
  assert.equal(new Body({}).in(incoming).destroyed, false)
  assert.throws(() => new Body().in(incoming), { status: 503 })
  assert.throws(() => new Body({ 'transfer-encoding': 'chunked' }).in(incoming), { status: 503 })
})

test('who takes too long makes room for others; who has sent all is not sent away', async () => {
  const incoming = incomingBodies({ mostBytes: 3 * mib, patienceMs: 20 })
  const done = new Body().in(incoming).sends(mib)
  done.emit('end')
  const slow = new Body().in(incoming).sends(2 * mib)
  await sleep(40)
  const fresh = new Body().in(incoming).sends(2 * mib)
  assert.deepEqual([done.destroyed, slow.destroyed, fresh.destroyed], [false, true, false])
})

test('bodies that anybody begins and never ends fill the service to its limit, and heartbeats are answered', async () => {
  await using api = await startApi()
  const { port } = new URL(api.url)
  // Nobody is asked who they are here: 16 MiB may be sent to it.
  const head = 'POST /v1/continue_inspection HTTP/1.1\r\nHost: h\r\nContent-Length: 16000000\r\n\r\n'
  const piece = Buffer.alloc(15 * mib, 0x20)
  let closed = 0
  const sockets = Array.from({ length: 20 }, () => {
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => {
      closed += 1
    })
    socket.write(head)
    socket.write(piece)
    return socket
  })
  const giveUpMs = Date.now() + 60_000
  // Eight times 15 MiB are room for.
  while (closed < 12) {
    assert.ok(Date.now() < giveUpMs, `only ${closed} were sent away`)
    await sleep(20)
  }
  assert.equal(closed, 12)
  const beat = await api.call('POST', `/v1/heartbeat/${await api.node()}`, { body: { callback_url: '' } })
  assert.equal(beat.status, 400)
  const long = await api.call('POST', '/v1/nodes', {
    body: { driver: 'fake-hardware', extra: { a: 'x'.repeat(mib / 2) } },
  })
  assert.equal(long.status, 201, 'there is room for a little yet')
  for (const socket of sockets) socket.destroy()
})
