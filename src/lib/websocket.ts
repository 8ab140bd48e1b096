/**
 * The server's end of a WebSocket as a stream of bytes: what is written leaves in binary messages, what comes in messages
 * of either kind can be read. Where a message ends is not told. It knows no paths and asks nobody who they are.
 *
 * Source: RFC 6455, 4.2 "Server-Side Requirements", 5.2 "Base Framing Protocol", 5.5 "Control Frames".
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const
/** 1000: done; 1002: that is no WebSocket; 1009: too large. */
const statuses = { done: 1000, malformed: 1002, tooLarge: 1009 } as const
/** Nobody types as much at once. */
const mostBytes = 64 * 1024
const controlBytes = 125

/** Does the request ask for one, as version 13 has it? */
export function asksForWebSocket({ method, headers }: IncomingMessage): boolean {
  const key = headers['sec-websocket-key'] ?? ''
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['sec-websocket-version'] === '13' &&
    /^[A-Za-z0-9+/]{22}==$/.test(key)
  )
}

/** Says yes to a request that asks for one. @param head what came behind it */
export function acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): Duplex {
  const key = request.headers['sec-websocket-key'] ?? ''
  const accept = createHash('sha1').update(`${key}${guid}`).digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  return new WebSocketStream(socket, head)
}

class WebSocketStream extends Duplex {
  readonly #socket: Duplex
  #rest: Buffer
  #isClosing = false

  constructor(socket: Duplex, head: Buffer) {
    super()
    this.#socket = socket
    this.#rest = head
    socket.on('data', (bytes: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, bytes])
      this.#take()
    })
    // A client that goes without a word.
    socket.on('end', () => this.#close(statuses.done))
    socket.on('error', () => this.destroy())
    socket.on('close', () => this.destroy())
    this.#take()
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(frame(opcodes.binary, chunk), done)
  }

  override _final(done: () => void): void {
    this.#close(statuses.done)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #close(status: number): void {
    if (this.#isClosing) return
    this.#isClosing = true
    const reason = Buffer.alloc(2)
    reason.writeUInt16BE(status)
    this.#socket.end(frame(opcodes.close, reason))
    this.push(null)
  }

  #take(): void {
    while (!this.#isClosing) {
      const found = readFrame(this.#rest)
      if (found === undefined) return
      if (typeof found === 'number' || found.opcode === opcodes.close) {
        this.#close(typeof found === 'number' ? found : statuses.done)
        return
      }
      this.#rest = this.#rest.subarray(found.length)
      const { opcode, payload } = found
      if (opcode === opcodes.ping) this.#socket.write(frame(opcodes.pong, payload))
      const isData = opcode <= opcodes.binary
      if (isData && payload.length > 0 && !this.push(payload)) this.#socket.pause()
    }
  }
}

interface Frame {
  opcode: number
  payload: Buffer
  /** Of the whole, in bytes. */
  length: number
}

/** The first frame; undefined while it has not come as a whole; a status where it is none that we take. */
function readFrame(bytes: Buffer): Frame | number | undefined {
  const [first = 0, second = 0] = bytes
  if (bytes.length < 2) return undefined
  const opcode = first & 0x0f
  const isControl = opcode >= opcodes.close
  const isWhole = (first & 0x80) !== 0
  const known = Object.values<number>(opcodes).includes(opcode)
  // What comes from a client is masked, and nobody agreed on extensions.
  if (!known || (first & 0x70) !== 0 || (second & 0x80) === 0 || (isControl && !isWhole)) return statuses.malformed
  const short = second & 0x7f
  const more = short === 126 ? 2 : short === 127 ? 8 : 0
  if (bytes.length < 2 + more + 4) return undefined
  const size = more === 0 ? short : more === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  if (isControl && size > controlBytes) return statuses.malformed
  if (size > mostBytes) return statuses.tooLarge
  const from = 2 + more + 4
  if (bytes.length < from + size) return undefined
  const mask = bytes.subarray(2 + more, from)
  const payload = Buffer.from(bytes.subarray(from, from + size))
  for (let index = 0; index < payload.length; index += 1)
    payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0)
  return { opcode, payload, length: from + size }
}

function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload
  const head = Buffer.alloc(length < 126 ? 2 : length < 0x10000 ? 4 : 10)
  head[0] = 0x80 | opcode
  head[1] = length < 126 ? length : length < 0x10000 ? 126 : 127
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, payload])
}
