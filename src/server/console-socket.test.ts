import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { Unauthenticated } from './auth/faults.ts'
import type { Identity } from './auth.ts'
import { nobody } from './auth.ts'
import { startApi, type TestApi } from './test-api.ts'

let api: TestApi
let uuid: string
before(async () => {
  api = await startApi({ cors: { allowed_origin: ['https://panel.example'] } })
  uuid = await api.node({ name: 'n1', console_interface: 'fake' })
})
after(() => api[Symbol.asyncDispose]())

/** What a request for the console of this node is answered, in one line and its body. */
async function asked(node: string, headers: Record<string, string> = {}, at = api): Promise<string> {
  const { hostname, port } = new URL(at.url)
  const socket = connect({ host: hostname, port: Number(port) })
  const lines = Object.entries({
    Host: `${hostname}:${port}`,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64'),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET /v1/nodes/${node}/states/console/stream HTTP/1.1\r\n${lines.join('')}\r\n`)
  let text = ''
  socket.on('data', bytes => {
    text += bytes.toString('latin1')
    if (text.startsWith('HTTP/1.1 101') || text.includes('}')) socket.end()
  })
  await once(socket, 'close')
  return text
}

test('a console that is on is a socket, both ways; one that is off, or of no node, is none', async () => {
  assert.match(await asked('n1'), /^HTTP\/1\.1 404 [\s\S]*switched off, or another conductor offers it/)
  await api.set(uuid, { console_enabled: true })
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/v1/nodes/n1/states/console/stream`)
  socket.binaryType = 'arraybuffer'
  await once(socket, 'open')
  socket.send('root\r')
  const [{ data }] = await once(socket, 'message')
  assert.equal(Buffer.from(data as ArrayBuffer).toString(), 'root\r') // as binaryType says
  socket.close()
  await once(socket, 'close')
  assert.match(await asked('nobody'), /^HTTP\/1\.1 404 [\s\S]*Node nobody could not be found/)
  assert.match(await asked('n1', { Upgrade: 'h2c' }), /^HTTP\/1\.1 404 /, 'another protocol: as if it had not asked')
})

test('pages of other origins are refused, but those that [cors] names', async () => {
  await api.set(uuid, { console_enabled: true })
  assert.match(await asked('n1', { Origin: 'https://evil.example' }), /^HTTP\/1\.1 403 [\s\S]*allowed_origin/)
  assert.match(await asked('n1', { Origin: 'null' }), /^HTTP\/1\.1 403 /)
  assert.match(await asked('n1', { Origin: 'https://panel.example' }), /^HTTP\/1\.1 101 /)
  assert.match(await asked('n1', { Origin: api.url }), /^HTTP\/1\.1 101 /)
})

test('who asks must be known, and may: to look is not enough, since who is there may type', async () => {
  const reader: Identity = { ...nobody, userId: 'r', system: true, roles: ['reader'] }
  const allowed: string[] = []
  await using guarded = await startApi(
    {},
    {
      auth: {
        authenticate({ headers }) {
          if (headers['x-auth-token'] !== 'good') throw new Unauthenticated('no token', 'Keystone')
          return reader
        },
      },
      policy: {
        allows(_, name) {
          allowed.push(name)
          return name !== 'baremetal:node:set_console_state'
        },
        enforced: true,
        restricts: () => false,
      },
    },
  )
  await guarded.call('POST', '/v1/nodes', {
    body: { driver: 'fake-hardware', name: 'n2', console_interface: 'fake' },
    headers: { 'X-Auth-Token': 'good' },
  })
  assert.match(await asked('n2', {}, guarded), /^HTTP\/1\.1 401 /)
  assert.match(await asked('n2', { 'X-Auth-Token': 'good' }, guarded), /^HTTP\/1\.1 403 /)
  assert.ok(allowed.includes('baremetal:node:set_console_state'))

  // Browsers send no headers of a page's own with it.
  const offering = (text: string) => ({
    'Sec-WebSocket-Protocol': `ferrite, ferrite.header.${Buffer.from(text).toString('base64url')}`,
  })
  assert.match(await asked('n2', offering('x-auth-token: good'), guarded), /^HTTP\/1\.1 403 /, 'known, and may not')
  assert.match(await asked('n2', offering('x-auth-token: bad'), guarded), /^HTTP\/1\.1 401 /)
  assert.match(await asked('n2', offering('host: good'), guarded), /^HTTP\/1\.1 401 /, 'no other header comes so')
})
