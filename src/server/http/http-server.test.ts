/** What happens below the API's frame: requests that cannot be parsed, and connections that bring none. */
import assert from 'node:assert/strict'
import type { Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { startApi } from '../test-api.ts'
import { createHttpServer, refuseConnection } from './http-server.ts'

/** Sends `text` and tells all that comes back until the connection ends. */
function speak(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let heard = ''
    socket.setEncoding('utf8')
    socket.on('data', chunk => {
      heard += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(heard))
    socket.end(text)
  })
}

const unparsable: [what: string, text: string, status: number][] = [
  ['no HTTP at all', 'hello\r\n\r\n', 400],
  ['a header without a name', 'GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n', 400],
  ['two lengths', 'POST /v1/nodes HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
  ['length and chunks', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  ['too long a URL', `GET /v1/nodes?x=${'x'.repeat(70_000)} HTTP/1.1\r\nHost: h\r\n\r\n`, 414],
  ['too many headers', `GET / HTTP/1.1\r\nHost: h\r\n${`X-Y: ${'y'.repeat(1000)}\r\n`.repeat(70)}\r\n`, 431],
]

for (const [what, text, status] of unparsable) {
  test(`${what} is answered with ${status} in the form of every other error`, async () => {
    await using api = await startApi()
    const heard = await speak(Number(new URL(api.url).port), text)
    const [head = '', body = ''] = heard.split('\r\n\r\n')
    assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.match(head, /content-type: application\/json/i)
    const { error_message } = JSON.parse(body) as { error_message: string } // the form that is tested
    assert.match((JSON.parse(error_message) as { faultstring: string }).faultstring, /^Cannot read the request: /)
    assert.doesNotMatch(heard, /\.ts:|node:|HPE_|at \w+ \(/)
  })
}

test('an answer that has begun is not followed by the text of another', async () => {
  const server = createHttpServer((_, response) => {
    response.writeHead(200, { 'content-length': 1000 })
    response.write('half')
  })
  server.on('clientError', refuseConnection)
  await using listening = await listen(server)
  const socket = connect(listening.port, '127.0.0.1')
  let heard = ''
  socket.on('data', chunk => {
    heard += chunk
  })
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await until(() => heard.endsWith('half'))
  socket.write('nonsense\r\n\r\n')
  await until(() => socket.destroyed)
  assert.match(heard, /half$/)
})

/** Connections to a server that answers at once, but to what is asked of `/hold`. */
async function crowd(listening: { port: number }) {
  const sockets: Client[] = []
  return {
    async open(): Promise<Client> {
      const socket: Client = connect(listening.port, '127.0.0.1')
      sockets.push(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        socket.gone = true
      })
      await new Promise(resolve => socket.once('connect', resolve))
      return socket
    },
    async serve(socket: Client): Promise<void> {
      socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
      const data = await new Promise<Buffer>(resolve => socket.once('data', resolve))
      assert.match(data.toString(), /^HTTP\/1\.1 200 /)
    },
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
type Client = Socket & { gone?: boolean }

const small = (onHold = () => {}) =>
  createHttpServer(
    (request, response) => {
      if (request.url === '/hold') onHold()
      else request.resume().once('end', () => response.end('ok'))
    },
    { maxConnections: 5 },
  )
const gone = (clients: readonly Client[]) => clients.map(socket => socket.gone === true)

test('when there are too many connections, the oldest that brought no request makes room', async () => {
  await using listening = await listen(small())
  using clients = await crowd(listening)
  const known = await clients.open()
  await clients.serve(known)
  const idle: Client[] = []
  for (let i = 0; i < 4; i += 1) idle.push(await clients.open())
  const late = await clients.open()
  await clients.serve(late)
  await until(() => idle[0]?.gone === true)
  assert.deepEqual(gone(idle), [true, false, false, false])
  await clients.serve(known)
})

test('when all have brought one, the one that rests longest does', async () => {
  await using listening = await listen(small())
  using clients = await crowd(listening)
  const kept: Client[] = []
  for (let i = 0; i < 5; i += 1) kept.push(await clients.open())
  for (const socket of kept) await clients.serve(socket)
  await clients.serve(kept[0]!) // there are five
  const late = await clients.open()
  await clients.serve(late)
  await until(() => kept[1]?.gone === true)
  assert.deepEqual(gone(kept), [false, true, false, false, false])
})

test('who never ends the body of a second request rests; who waits for an answer does not', async () => {
  let held = 0
  const server = small(() => {
    held += 1
  })
  await using listening = await listen(server)
  using clients = await crowd(listening)
  const waiting: Client[] = []
  for (let i = 0; i < 3; i += 1) waiting.push(await clients.open())
  for (const socket of waiting) {
    await clients.serve(socket)
    socket.write('GET /hold HTTP/1.1\r\nHost: h\r\n\r\n')
  }
  await until(() => held === 3)
  const slow: Client[] = []
  for (let i = 0; i < 2; i += 1) slow.push(await clients.open())
  for (const socket of slow) {
    await clients.serve(socket)
    socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx')
  }
  for (let i = 0; i < 2; i += 1) await clients.serve(await clients.open())
  await until(() => slow.every(socket => socket.gone))
  assert.deepEqual(gone(waiting), [false, false, false])
})

async function listen(server: Server) {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function until(ready: () => boolean): Promise<void> {
  const endMs = performance.now() + 60_000
  while (!ready()) {
    assert.ok(performance.now() < endMs, 'it never happened')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
