import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { bulkGet } from './bulk-get.ts'

/** Whatever `talk` writes to a caller is the answer. */
async function serve(t: TestContext, talk: (socket: Socket, request: string) => void): Promise<URL> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', data => talk(socket, data.toString()))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a?b=c`) // TCP, so not a pipe's name
}

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of body) {
    pieces.push(Buffer.from(piece))
    // A slow reader: what arrives meanwhile must not overwrite what was read.
    if (pieces.length % 5 === 0) await new Promise(resolve => setTimeout(resolve, 3))
  }
  return Buffer.concat(pieces)
}

const content = randomBytes(9 * 1024 * 1024 + 7)
const head = (more = '') => `HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\nETag: "x"\r\n${more}\r\n`

test('a large body arrives whole, also to a slow reader', async t => {
  let asked = ''
  const url = await serve(t, (socket, request) => {
    asked = request
    socket.write(head())
    socket.end(content)
  })
  const answer = await bulkGet({ url, headers: { Range: 'bytes=5-' }, timeoutMs: 1_000 })
  assert.ok(answer !== null)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.etag, '"x"')
  assert.ok((await read(answer.body)).equals(content))
  assert.match(
    asked,
    /^GET \/a\?b=c HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nConnection: close\r\nRange: bytes=5-\r\n\r\n$/,
  )
})

test('a head in single bytes, and more bytes than announced', async t => {
  const url = await serve(t, async socket => {
    socket.setNoDelay(true)
    for (const letter of 'HTTP/1.0 206 Partial\r\nCONTENT-LENGTH:4\r\n\r\n') {
      socket.write(letter)
      await new Promise(resolve => setImmediate(resolve))
    }
    socket.end('abcdEF')
  })
  const answer = await bulkGet({ url, headers: {}, timeoutMs: 1_000 })
  assert.equal(answer?.status, 206)
  assert.equal((await read(answer?.body ?? assert.fail())).toString(), 'abcd')
})

test('a body that ends early says where', async t => {
  const url = await serve(t, socket => {
    socket.write(head())
    socket.end(content.subarray(0, 1000))
  })
  const answer = await bulkGet({ url, headers: {}, timeoutMs: 1_000 })
  await assert.rejects(read(answer?.body ?? assert.fail()), {
    message: `the connection ended after 1000 of ${content.length} bytes`,
  })
})

test('a server that falls silent is given up', async t => {
  const url = await serve(t, socket => socket.write(head() + 'abc'))
  const answer = await bulkGet({ url, headers: {}, timeoutMs: 100 })
  await assert.rejects(read(answer?.body ?? assert.fail()), { message: 'no data for 100 ms' })
})

for (const [what, answer] of [
  ['a chunked body', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'],
  ['an encoded body', head('Content-Encoding: gzip\r\n')],
  ['a body without a length', 'HTTP/1.1 200 OK\r\n\r\nabc'],
  ['a redirect', 'HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n'],
  ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
] satisfies [string, string][]) {
  test(`${what} is left to the ordinary client`, async t => {
    const url = await serve(t, socket => socket.end(answer))
    assert.equal(await bulkGet({ url, headers: {}, timeoutMs: 1_000 }), null)
  })
}

test('a refusal is an answer without body; no answer is an error; https is not for it', async t => {
  const url = await serve(t, socket => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno'))
  const answer = await bulkGet({ url, headers: {}, timeoutMs: 1_000 })
  assert.equal(answer?.status, 404)
  assert.equal((await read(answer?.body ?? assert.fail())).length, 0)
  await assert.rejects(bulkGet({ url: new URL('http://127.0.0.1:1/'), headers: {}, timeoutMs: 1_000 }), /ECONNREFUSED/)
  assert.equal(await bulkGet({ url: new URL('https://127.0.0.1:1/'), headers: {}, timeoutMs: 1_000 }), null)
})
