/** Slow clients and floods: they may wait or be sent away, heartbeats are served all the same. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { startApi, type TestApi } from './test-api.ts'
import { turnstile } from './turnstile.ts'

let api: TestApi
let uuid: string
let token: string
before(async () => {
  api = await startApi()
  uuid = await api.node()
  await api.set(uuid, { provision_state: 'wait call-back' })
  const { json } = await api.call('GET', `/v1/lookup?node_uuid=${uuid}`)
  token = (json as { config: { agent_token: string } }).config.agent_token
})
after(() => api[Symbol.asyncDispose]())

async function beat(): Promise<number> {
  const began = performance.now()
  const body = { callback_url: 'https://10.0.0.5:9999', agent_version: '1', agent_token: token }
  const { status, fault } = await api.call('POST', `/v1/heartbeat/${uuid}`, { body, version: '1.68' })
  assert.equal(status, 202, fault)
  return performance.now() - began
}

test('a heartbeat passes five hundred clients that never finish their requests', async () => {
  const port = Number(new URL(api.url).port)
  const slow: Socket[] = []
  try {
    for (let i = 0; i < 500; i += 1) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(
        `POST /v1/nodes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"dri`,
      )
      slow.push(socket)
    }
    await new Promise(resolve => setTimeout(resolve, 200))
    await beat()
  } finally {
    for (const socket of slow) socket.destroy()
  }
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
