/** Where a bus is reached by several hosts, or late: what is tried, and what is left behind. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { eventually } from '../test-engine.ts'
import { Bus } from './bus.ts'
import { type FakeBroker, startFakeBroker } from './fake-broker.ts'

/** A way to a bus that says nothing before it is opened; counts who holds on to it. */
async function startGate(to?: number) {
  const sockets = new Set<Socket>()
  const waiting = new Set<() => void>()
  let isOpen = false
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    if (to === undefined) socket.resume()
    const pass = () => {
      if (to === undefined) return
      const bus = connect(to, '127.0.0.1').on('error', () => {})
      socket.pipe(bus).pipe(socket)
      socket.on('close', () => bus.destroy())
    }
    if (isOpen) pass()
    else waiting.add(pass)
    socket.on('close', () => sockets.delete(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, // it listens on TCP
    sockets,
    open() {
      isOpen = true
      for (const pass of waiting) pass()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function busAt(ports: readonly number[], patienceMs?: number) {
  const hosts = ports.map(port => ({ hostname: '127.0.0.1', port, username: 'me', password: 'hush' }))
  const made = { durable: false, autoDelete: false, quorumQueue: false, heartbeatS: 60, tls: undefined }
  const bus = new Bus({
    url: { hosts, virtualHost: '/', options: {} },
    exchange: 'ironic',
    ...made,
    ...(patienceMs === undefined ? {} : { patienceMs }),
  })
  return Object.assign(bus, { [Symbol.asyncDispose]: () => bus.close() })
}

const never = new AbortController().signal
const message = (number: number) => [{ routingKey: 'info', content: Buffer.from(JSON.stringify({ number })) }]
const inQueue = (broker: FakeBroker) => broker.queues.get('info')?.messages ?? []

test('hosts that say nothing leave time for the one that does', async () => {
  await using broker = await startFakeBroker()
  await using mute = await startGate()
  await using bus = busAt([mute.port, broker.port], 6000)
  await bus.send(message(1), never)
  assert.deepEqual(inQueue(broker), [{ number: 1 }])
  await eventually('the other one is let go', async () => mute.sockets.size === 0)
})

test('when no host says anything each is named, and let go', async () => {
  await using mute = await startGate()
  await using other = await startGate()
  await using bus = busAt([mute.port, other.port], 3000)
  const named = new RegExp(`none of its hosts can be reached: .*:${mute.port}: .*ETIMEDOUT; .*:${other.port}: `)
  await assert.rejects(bus.send(message(1), never), named)
  await eventually('both are let go', async () => mute.sockets.size + other.sockets.size === 0)
})

test('a bus that answers when nobody waits any more gets nothing, and holds no connection', async () => {
  await using broker = await startFakeBroker()
  await using gate = await startGate(broker.port)
  await using bus = busAt([gate.port])
  const late = new AbortController()
  const refused = assert.rejects(bus.send(message(1), late.signal), /enough/)
  await eventually('it is connected', async () => gate.sockets.size === 1)
  late.abort(new Error('enough'))
  await refused
  gate.open()
  await eventually('it was answered, and let go', async () => broker.logins.length === 1 && gate.sockets.size === 0)
  await bus.send(message(2), never)
  assert.deepEqual([inQueue(broker), broker.logins.length, gate.sockets.size], [[{ number: 2 }], 2, 1])
})
