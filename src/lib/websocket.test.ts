/** Against Node's own client, and against bytes that no client sends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, before, test } from 'node:test'
import { acceptWebSocket, asksForWebSocket } from './websocket.ts'

/** Sends back what comes, until somebody says "bye". */
const server = createServer()
let port = 0
before(async () => {
  server.on('upgrade', (request, socket: Duplex, head) => {
    if (!asksForWebSocket(request)) return void socket.destroy()
    const stream = acceptWebSocket(request, socket, head)
    stream.on('error', () => {})
    stream.on('data', (bytes: Buffer) => (bytes.toString() === 'bye' ? stream.end('!') : stream.write(bytes)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port // it listens on TCP
})
after(() => {
  server.closeAllConnections()
  server.close()
})

test('both ways, of any length, and the end', async () => {
  const client = new WebSocket(`ws://127.0.0.1:${port}/`)
  client.binaryType = 'arraybuffer'
  await once(client, 'open')
  for (const length of [1, 125, 126, 60_000]) {
    const text = 'x'.repeat(length)
    client.send(length === 1 ? text : Buffer.from(text))
    let back = ''
    while (back.length < length) {
      back += await said(client)
    }
    assert.equal(back, text)
  }
  client.send('bye')
  assert.equal(await said(client), '!')
  const [{ code }] = (await once(client, 'close')) as [CloseEvent]
  assert.equal(code, 1000)
})

/** The next message. */
async function said(client: WebSocket): Promise<string> {
  const [{ data }] = await once(client, 'message')
  return Buffer.from(data as ArrayBuffer).toString() // as binaryType says
}

/** What comes back for these bytes behind a good handshake; the last of them go when `first` has come. */
async function answerTo(frames: number[][], first?: string): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      `Sec-WebSocket-Key: ${Buffer.alloc(16, 1).toString('base64')}\r\n\r\n`,
  )
  let came: Buffer = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    came = Buffer.concat([came, bytes])
  })
  const [last = [], ...rest] = frames.toReversed()
  for (const frame of rest.toReversed()) socket.write(Buffer.from(frame))
  while (first !== undefined && !came.includes(first)) await once(socket, 'data')
  socket.write(Buffer.from(last))
  await once(socket, 'close')
  return came.subarray(came.indexOf('\r\n\r\n') + 4)
}

const closedWith = (status: number) => Buffer.from([0x88, 2, status >> 8, status & 0xff])

test('what is no WebSocket is closed, and what is asked in between is answered', async () => {
  const mask = [1, 2, 3, 4]
  const close = [0x88, 0x80, ...mask]
  assert.deepEqual(await answerTo([close]), closedWith(1000))
  const ping = [0x89, 0x81, ...mask, 0x41 ^ 1]
  assert.deepEqual(await answerTo([ping, close]), Buffer.concat([Buffer.from([0x8a, 1, 0x41]), closedWith(1000)]))
  // A message in two frames, the second of them cut in two.
  const parts = [[0x01, 0x81, ...mask, 0x41 ^ 1], [0x80, 0x81, ...mask], [0x42 ^ 1], close]
  assert.deepEqual(
    await answerTo(parts, 'B'),
    Buffer.concat([Buffer.from('\x82\x01A\x82\x01B', 'latin1'), closedWith(1000)]),
  )
  assert.deepEqual(await answerTo([[0x81, 0x01, 0x41]]), closedWith(1002), 'not masked')
  assert.deepEqual(await answerTo([[0x83, 0x80, ...mask]]), closedWith(1002), 'an unknown kind')
  assert.deepEqual(await answerTo([[0xc1, 0x80, ...mask]]), closedWith(1002), 'an extension')
  assert.deepEqual(await answerTo([[0x09, 0x80, ...mask]]), closedWith(1002), 'a control frame in parts')
  assert.deepEqual(await answerTo([[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, ...mask]]), closedWith(1009), 'too large')
})
