/**
 * A message bus for tests: as much of AMQP 0-9-1 as a sender of messages meets, on a real socket. It keeps exchanges, queues
 * and what was put into them, and can refuse, or say nothing at all. No queue is ever read from it.
 *
 * Source: AMQP 0-9-1, specification and its generated reference (classes, methods, frames)
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'

export interface FakeBroker extends AsyncDisposable {
  readonly port: number
  /** By name: its type, and whether it outlives the bus. */
  readonly exchanges: Map<string, { type: string; durable: boolean }>
  /** By name: what is in it, and the binding by which it got there. */
  readonly queues: Map<string, { durable: boolean; binding: string; messages: unknown[] }>
  /** User and password of each connection. */
  readonly logins: string[]
  /** `silent`: it takes messages and says nothing; `refusing`: it closes each connection. */
  mood: 'good' | 'silent' | 'refusing'
  /** Ends all connections, as a bus that is restarted does. */
  cutOff(): void
}

const frame = { method: 1, header: 2, body: 3, end: 0xce }
const missing = 404

export async function startFakeBroker(): Promise<FakeBroker> {
  const sockets = new Set<Socket>()
  const broker: Omit<FakeBroker, 'port' | typeof Symbol.asyncDispose> = {
    exchanges: new Map(),
    queues: new Map(),
    logins: [],
    mood: 'good',
    cutOff() {
      for (const socket of sockets) socket.destroy()
    },
  }
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    if (broker.mood === 'refusing') socket.destroy()
    else serve(broker, socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(broker, {
    port: (server.address() as AddressInfo).port, // it listens on TCP
    async [Symbol.asyncDispose]() {
      broker.cutOff()
      server.close()
      await once(server, 'close')
    },
  })
}

type State = Omit<FakeBroker, 'port' | typeof Symbol.asyncDispose>

interface Publishing {
  exchange: string
  routingKey: string
  size: number
  content: Buffer
}

function serve(broker: State, socket: Socket): void {
  let buffered: Buffer = Buffer.alloc(0)
  let isGreeted = false
  let tag = 0n
  const publishing = new Map<number, Publishing>()
  const send = (channel: number, classId: number, methodId: number, ...fields: Buffer[]) => {
    const payload = Buffer.concat([short(classId), short(methodId), ...fields])
    socket.write(Buffer.concat([octet(frame.method), short(channel), long(payload.length), payload, octet(frame.end)]))
  }
  const methods: Readonly<Record<string, (channel: number, reader: Reader) => void>> = {
    '10.11': (_, reader) => {
      reader.skipTable()
      reader.shortText()
      broker.logins.push(reader.longBytes().toString().slice(1).replace('\0', ':'))
      send(0, 10, 30, short(0), long(131_072), short(0))
    },
    '10.31': () => {},
    '10.40': () => send(0, 10, 41, octet(0)),
    '10.50': () => send(0, 10, 51),
    '20.10': channel => {
      tag = 0n
      send(channel, 20, 11, long(0))
    },
    '20.40': channel => send(channel, 20, 41),
    '20.41': () => {},
    '85.10': channel => send(channel, 85, 11),
    '40.10': (channel, reader) => {
      reader.skip(2)
      const [name, type, bits] = [reader.shortText(), reader.shortText(), reader.octet()]
      if (bits & 1 && !broker.exchanges.has(name)) return notThere(channel, 40, 10)
      if (!(bits & 1)) broker.exchanges.set(name, { type, durable: (bits & 2) !== 0 })
      send(channel, 40, 11)
    },
    '50.10': (channel, reader) => {
      reader.skip(2)
      const [name, bits] = [reader.shortText(), reader.octet()]
      if (bits & 1 && !broker.queues.has(name)) return notThere(channel, 50, 10)
      if (!(bits & 1)) broker.queues.set(name, { durable: (bits & 2) !== 0, binding: '', messages: [] })
      send(channel, 50, 11, shortText(name), long(0), long(0))
    },
    '50.20': (channel, reader) => {
      reader.skip(2)
      const queue = broker.queues.get(reader.shortText())
      if (queue) queue.binding = `${reader.shortText()} ${reader.shortText()}`
      send(channel, 50, 21)
    },
    '60.40': (channel, reader) => {
      reader.skip(2)
      const [exchange, routingKey] = [reader.shortText(), reader.shortText()]
      publishing.set(channel, { exchange, routingKey, size: 0, content: Buffer.alloc(0) })
    },
  }
  const notThere = (channel: number, classId: number, methodId: number) =>
    send(channel, 20, 40, short(missing), shortText('NOT_FOUND'), short(classId), short(methodId))
  const taken = (channel: number) => {
    const message = publishing.get(channel)
    if (!message || message.content.length < message.size) return
    publishing.delete(channel)
    tag += 1n
    const binding = `${message.exchange} ${message.routingKey}`
    if (broker.mood !== 'good') return
    for (const queue of broker.queues.values()) {
      if (queue.binding === binding) queue.messages.push(JSON.parse(message.content.toString()))
    }
    const number = Buffer.alloc(8)
    number.writeBigUInt64BE(tag)
    send(channel, 60, 80, number, octet(0))
  }
  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk])
    if (!isGreeted && buffered.length >= 8) {
      isGreeted = true
      buffered = buffered.subarray(8)
      send(0, 10, 10, octet(0), octet(9), long(0), longText('PLAIN'), longText('en_US'))
    }
    while (isGreeted && buffered.length >= 7 && buffered.length >= 8 + buffered.readUInt32BE(3)) {
      const [type, channel, size] = [buffered.readUInt8(0), buffered.readUInt16BE(1), buffered.readUInt32BE(3)]
      const payload = buffered.subarray(7, 7 + size)
      buffered = buffered.subarray(8 + size)
      const message = publishing.get(channel)
      if (type === frame.method) {
        methods[`${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`]?.(channel, new Reader(payload.subarray(4)))
      } else if (type === frame.header && message) {
        message.size = Number(payload.readBigUInt64BE(4))
        taken(channel)
      } else if (type === frame.body && message) {
        message.content = Buffer.concat([message.content, payload])
        taken(channel)
      }
    }
  })
}

/** Fields of a method, one after the other. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  skip(count: number): void {
    this.#at += count
  }

  octet(): number {
    return this.#bytes.readUInt8(this.#at++)
  }

  shortText(): string {
    const length = this.octet()
    this.skip(length)
    return this.#bytes.subarray(this.#at - length, this.#at).toString()
  }

  longBytes(): Buffer {
    const length = this.#bytes.readUInt32BE(this.#at)
    this.skip(4 + length)
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  skipTable(): void {
    this.longBytes()
  }
}

function octet(value: number): Buffer {
  return Buffer.from([value])
}

function short(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function shortText(text: string): Buffer {
  return Buffer.concat([octet(text.length), Buffer.from(text)])
}

function longText(text: string): Buffer {
  return Buffer.concat([long(text.length), Buffer.from(text)])
}
