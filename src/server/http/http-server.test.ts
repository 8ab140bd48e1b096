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

test('when there are too many connections, the oldest that brought no request makes room', async () => {
  const server = createHttpServer((_, response) => response.end('ok'), { maxConnections: 5 })
  await using listening = await listen(server)
  const sockets: Socket[] = []
  const open = async (): Promise<Socket & { gone?: boolean }> => {
    const socket: Socket & { gone?: boolean } = connect(listening.port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      socket.gone = true
    })
    await new Promise(resolve => socket.once('connect', resolve))
    return socket
  }
  const serve = async (socket: Socket) => {
    socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    const data = await new Promise<Buffer>(resolve => socket.once('data', resolve))
    assert.match(data.toString(), /^HTTP\/1\.1 200 /)
  }
  const known = await open()
  await serve(known)
  const idle: (Socket & { gone?: boolean })[] = []
  for (let i = 0; i < 4; i += 1) idle.push(await open())
  const late = await open()
  await serve(late)
  await until(() => idle[0]?.gone === true)
  assert.deepEqual(
    idle.map(socket => socket.gone === true),
    [true, false, false, false],
  )
  await serve(known)
  for (const socket of sockets) socket.destroy()
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
