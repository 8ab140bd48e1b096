import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { silent } from '#lib/log.ts'
import { type FileServer, startFileServer, type Transfer } from './file-server.ts'

const body = randomBytes(3_000_000)
let dir: string
let server: FileServer
const transfers: Transfer[] = []

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ferrite-files-'))
  const root = join(dir, 'root')
  await mkdir(join(root, 'sub'), { recursive: true })
  await writeFile(join(root, 'image'), body)
  await writeFile(join(root, 'empty'), '')
  await writeFile(join(root, 'boot.ipxe'), '#!ipxe\n')
  await writeFile(join(root, 'sub', 'a b.txt'), 'x')
  await writeFile(join(root, '.hidden'), 'x')
  await writeFile(join(dir, 'outside'), 'secret')
  await symlink(join(dir, 'outside'), join(root, 'sub', 'linked'))
  await symlink(join(root, 'nowhere'), join(root, 'dangling'))
  server = await startFileServer({
    host: '127.0.0.1',
    port: 0,
    root,
    log: silent,
    onTransfer: transfer => transfers.push(transfer),
    maxConnections: 20,
  })
})
after(async () => {
  await server[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`http://127.0.0.1:${server.port}${path}`, { headers, method, redirect: 'manual' })
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer())

test('a file comes whole, with length, type and validators', async () => {
  const response = await get('/image')
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-length'), String(body.length))
  assert.equal(response.headers.get('accept-ranges'), 'bytes')
  assert.ok((await bytesOf(response)).equals(body))
  assert.match((await get('/boot.ipxe')).headers.get('content-type') ?? '', /text\/plain/)
  assert.equal(await (await get('/sub/a%20b.txt?x=1')).text(), 'x')
  assert.equal((await bytesOf(await get('/empty'))).length, 0)
})

test('HEAD gives the headers alone', async () => {
  const response = await get('/image', {}, 'HEAD')
  assert.deepEqual(
    [response.status, response.headers.get('content-length'), (await bytesOf(response)).length],
    [200, String(body.length), 0],
  )
})

test('names of headers are spelled as GRUB compares them', async () => {
  const rawHeaders = (path: string, headers: Record<string, string> = {}) =>
    new Promise<string[]>((resolve, reject) => {
      const request = httpRequest({ port: server.port, path, headers }, response => {
        response.resume()
        resolve(response.rawHeaders.filter((_, index) => index % 2 === 0))
      })
      request.on('error', reject).end()
    })
  const seen = [
    await rawHeaders('/image'),
    await rawHeaders('/image', { range: 'bytes=0-1' }),
    await rawHeaders('/missing'),
  ]
  for (const names of seen) {
    assert.ok(names.includes('Content-Length'), names.join())
    assert.deepEqual(
      names.filter(name => !/^[A-Z]/.test(name)),
      [],
    )
  }
})

test('links of the service are followed', async () => {
  assert.equal(await (await get('/sub/linked')).text(), 'secret')
})

describe('ranges', () => {
  const cases: [string, number, number | null, number | null][] = [
    ['bytes=0-0', 206, 0, 1],
    ['bytes=10-19', 206, 10, 20],
    ['bytes=2999990-', 206, 2_999_990, 3_000_000],
    ['bytes=-10', 206, 2_999_990, 3_000_000],
    ['bytes=0-99999999', 206, 0, 3_000_000],
    ['bytes=-99999999', 206, 0, 3_000_000],
    ['bytes=3000000-', 416, null, null],
    ['bytes=-0', 416, null, null],
    ['bytes=5-4', 200, 0, 3_000_000],
    ['bytes=0-1,5-6', 200, 0, 3_000_000],
    ['lines=0-1', 200, 0, 3_000_000],
    ['bytes=-', 200, 0, 3_000_000],
  ]
  for (const [range, status, from, to] of cases) {
    test(range, async () => {
      const response = await get('/image', { range })
      assert.equal(response.status, status)
      if (status === 206)
        assert.equal(response.headers.get('content-range'), `bytes ${from}-${(to ?? 0) - 1}/${body.length}`)
      if (status === 416) assert.equal(response.headers.get('content-range'), `bytes */${body.length}`)
      else assert.ok((await bytesOf(response)).equals(body.subarray(from ?? 0, to ?? 0)))
    })
  }

  test('of a file that has changed: the whole file', async () => {
    const etag = (await get('/image', {}, 'HEAD')).headers.get('etag') ?? ''
    assert.equal((await get('/image', { range: 'bytes=0-0', 'if-range': etag })).status, 206)
    assert.equal((await get('/image', { range: 'bytes=0-0', 'if-range': '"other"' })).status, 200)
  })
})

test('what has not changed is not sent again', async () => {
  const { headers } = await get('/image', {}, 'HEAD')
  const [etag, modified] = [headers.get('etag') ?? '', headers.get('last-modified') ?? '']
  assert.equal((await get('/image', { 'if-none-match': `"x", ${etag}` })).status, 304)
  assert.equal((await get('/image', { 'if-modified-since': modified })).status, 304)
  assert.equal((await get('/image', { 'if-none-match': '"x"', 'if-modified-since': modified })).status, 200)
})

describe('nothing else is served', () => {
  const cases: [string, number][] = [
    ['/none', 404],
    ['/', 404],
    ['/sub', 404],
    ['/sub/', 404],
    ['/image/more', 404],
    ['/dangling', 404],
    ['/.hidden', 400],
    ['/../outside', 400],
    ['/sub/..%2f..%2foutside', 400],
    ['/%2e%2e/outside', 400],
    ['/..%5coutside', 400],
    ['/sub/../../outside', 400],
    ['/a%00b', 400],
    ['/%zz', 400],
    ['//outside', 404],
    [`/${'a'.repeat(300)}`, 404],
  ]
  for (const [path, status] of cases) {
    // fetch would resolve the dots by itself.
    test(path.slice(0, 40), async () => assert.equal((await rawRequest(path)).status, status))
  }
  test('no method but GET and HEAD', async () => {
    const response = await get('/image', {}, 'PUT')
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD'])
  })
})

test('each transfer is told: path, bytes, seconds, whether it came to its end', async () => {
  transfers.length = 0
  await bytesOf(await get('/image', { range: 'bytes=0-99', 'user-agent': 'iPXE/1.21' }))
  await delay(20)
  const { seconds, ...told } = transfers[0] ?? assert.fail('nothing was told')
  assert.ok(seconds >= 0 && seconds < 5)
  assert.deepEqual(told, {
    method: 'GET',
    path: '/image',
    remoteAddress: '127.0.0.1',
    userAgent: 'iPXE/1.21',
    status: 206,
    bytes: 100,
    sizeBytes: body.length,
    complete: true,
  })

  transfers.length = 0
  const socket = connect(server.port, '127.0.0.1')
  socket.write('GET /image HTTP/1.1\r\nHost: x\r\n\r\n')
  await new Promise(got => socket.once('data', got))
  socket.destroy()
  for (let wait = 0; wait < 6000 && transfers.length === 0; wait += 1) await delay(10)
  assert.equal(transfers[0]?.complete, false)
})

test('a file that becomes shorter while it is served breaks the connection, for a length was promised', async () => {
  const path = join(dir, 'root', 'shrinking')
  await writeFile(path, '')
  await truncate(path, 64 * 1024 * 1024)
  const response = await get('/shrinking')
  await truncate(path, 1024)
  await assert.rejects(bytesOf(response), /terminated/)
  await rm(path)
})

test('connections are bounded, and come back', async () => {
  const sockets = Array.from({ length: 30 }, () => connect(server.port, '127.0.0.1').on('error', () => {}))
  await delay(200)
  const open = sockets.filter(socket => socket.readyState === 'open').length
  assert.ok(open <= 20, `${open} connections`)
  for (const socket of sockets) socket.destroy()
  await delay(50)
  assert.equal((await get('/boot.ipxe')).status, 200)
})

function rawRequest(path: string): Promise<{ status: number | undefined }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: server.port, path, agent: false }, response => {
      response.resume()
      resolve({ status: response.statusCode })
    })
    request.on('error', reject)
    request.end()
  })
}
