/** Slow clients and floods: they may wait or be sent away, heartbeats are served all the same. */
import assert from 'node:assert/strict'
import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { selfSigned } from '#lib/x509.ts'
import { startApi, type TestApi } from '../test-api.ts'
import { turnstile } from './turnstile.ts'

type Caller = (method: string, path: string, body?: object) => Promise<{ status: number; json: unknown }>

let api: TestApi
let machine: Machine
const call: Caller = (method, path, body) => api.call(method, path, { body, version: '1.68' })
before(async () => {
  api = await startApi()
  machine = await waitingMachine(api, call)
})
after(() => api[Symbol.asyncDispose]())

interface Machine {
  uuid: string
  token: string
}

/** A node that waits for its ramdisk's call. */
async function waitingMachine(api: TestApi, call: Caller): Promise<Machine> {
  const { json: node } = await call('POST', '/v1/nodes', { driver: 'fake-hardware' })
  const { uuid } = node as { uuid: string } // checked where nodes are tested
  await api.set(uuid, { provision_state: 'wait call-back' })
  const { json } = await call('GET', `/v1/lookup?node_uuid=${uuid}`)
  return { uuid, token: (json as { config: { agent_token: string } }).config.agent_token }
}

async function beat(of = machine, by = call): Promise<void> {
  const body = { callback_url: 'https://10.0.0.5:9999', agent_version: '1', agent_token: of.token }
  const { status, json } = await by('POST', `/v1/heartbeat/${of.uuid}`, body)
  assert.equal(status, 202, JSON.stringify(json))
}

/** Opens connections that say `text` and then neither send nor read anything. */
function silentClients(url: string, count: number, text: string): Disposable & { sockets: Socket[] } {
  const port = Number(new URL(url).port)
  const sockets = Array.from({ length: count }, () => {
    const socket = url.startsWith('https')
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write(text)
    return socket
  })
  return {
    sockets,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

const half = 'POST /v1/nodes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"dri'
const details = 'GET /v1/nodes/detail HTTP/1.1\r\nHost: h\r\nX-OpenStack-Ironic-API-Version: 1.82\r\n\r\n'
const aMoment = () => new Promise(resolve => setTimeout(resolve, 200))

test('a heartbeat passes five hundred clients that never finish their requests', async () => {
  using _slow = silentClients(api.url, 500, half)
  await aMoment()
  await beat()
})

test('over TLS it passes clients that never finish their requests, and such that never shake hands', async () => {
  const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)]
  const names = { commonName: 'api', ipAddresses: ['127.0.0.1'] }
  const { certPem, keyPem } = selfSigned({ ...names, notBefore, notAfter, curve: 'p256' })
  await using secure = await startApi({}, { tls: { cert: certPem, key: keyPem } })
  const callSecure: Caller = (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = { 'Content-Type': 'application/json', 'X-OpenStack-Ironic-API-Version': '1.68' }
      const sent = request(secure.url + path, { method, ca: certPem, headers, agent: false })
      sent.once('error', reject)
      sent.once('response', async response => {
        const answer = Buffer.concat(await response.toArray()).toString()
        resolve({ status: response.statusCode ?? 0, json: answer === '' ? undefined : JSON.parse(answer) })
      })
      sent.end(body && JSON.stringify(body))
    })
  const waiting = await waitingMachine(secure, callSecure)
  using _slow = silentClients(secure.url, 100, half)
  using _mute = silentClients(secure.url.replace('https', 'http'), 100, 'GET')
  await aMoment()
  await beat(waiting, callSecure)
})

test('heartbeats overtake a flood of long lists', async () => {
  for (let i = 0; i < 150; i += 1) await api.node()
  let done = false
  let lists = 0
  const flood = Array.from({ length: 60 }, async () => {
    while (!done) {
      const { status } = await api.call('GET', '/v1/nodes/detail')
      assert.ok(status === 200 || status === 503)
      lists += 1
    }
  })
  while (lists < 60) await new Promise(resolve => setTimeout(resolve, 20))
  // The flood's own clients share this process, so only the order counts: a heartbeat must not wait for the queue.
  const overtaken: number[] = []
  for (let i = 0; i < 5; i += 1) {
    const before = lists
    await beat()
    overtaken.push(lists - before)
  }
  done = true
  await Promise.all(flood)
  assert.ok(lists > 60, `the flood was one: ${lists}`)
  assert.ok(
    overtaken.every(count => count < 30),
    `lists served during each heartbeat: ${overtaken}`,
  )
})

test('clients that do not read what they asked for fill the service to its limit, and no further', async () => {
  const extra = { text: 'x'.repeat(400_000) }
  for (let i = 0; i < 20; i += 1) await api.node({ extra })
  // Each asks for some 8 MB, of which the system takes a part.
  using slow = silentClients(api.url, 60, details)
  const list = () => api.call('GET', '/v1/nodes?limit=1').then(({ status }) => status)
  let waiting = list()
  for (let tries = 0; (await Promise.race([waiting, aMoment()])) === 200; tries += 1) {
    assert.ok(tries < 1000, 'the service never was full')
    waiting = list()
  }
  await beat()
  await beat()
  slow[Symbol.dispose]()
  assert.equal(await waiting, 200)
})

test('a thousand requests at once over one connection keep nobody else waiting', async () => {
  using _greedy = silentClients(api.url, 1, details.repeat(1000))
  await beat()
  const { status } = await api.call('GET', '/v1/nodes?limit=1')
  assert.equal(status, 200)
})

test('the turnstile lets everyone pass at first, then one each turn, and has an end', async () => {
  const gate = turnstile({ turnBudgetMs: 1, longestQueue: 3 })
  const from = {}
  assert.equal(gate.pass(from), undefined)
  const until = performance.now() + 2
  while (performance.now() < until) {}
  const order: number[] = []
  const waiting = [1, 2, 3].map(async number => {
    await gate.pass(from)
    order.push(number)
  })
  assert.throws(() => gate.pass(from), { status: 503 })
  let turns = 0
  const count = () => {
    turns += 1
    if (order.length < 3) setImmediate(count)
  }
  setImmediate(count)
  await Promise.all(waiting)
  assert.deepEqual(order, [1, 2, 3])
  assert.ok(turns >= 2)
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(gate.pass(from), undefined)
})

test('the turnstile holds everyone back while there is no room, and nobody may fill its queue alone', async () => {
  let full = true
  const gate = turnstile({ isFull: () => full, longestOfOne: 2 })
  const [greedy, other] = [{}, {}]
  const order: string[] = []
  const waiting = [greedy, greedy, other].map(async (from, number) => {
    await gate.pass(from)
    order.push(`${number}`)
  })
  assert.throws(() => gate.pass(greedy), { status: 503 })
  await aMoment()
  assert.deepEqual(order, [])
  full = false
  await Promise.all(waiting)
  assert.deepEqual(order, ['0', '1', '2'])
})
