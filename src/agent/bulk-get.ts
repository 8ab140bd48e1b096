/**
 * A plain HTTP GET for very large bodies: the socket is read in big pieces into a few reused buffers, which costs a sixth
 * of what node:http's stream of small fresh ones does. It takes only the plainest of answers (200 or 206 with a length,
 * not encoded); for anything else it gives up before a byte of the body is used, and the caller asks the ordinary way.
 *
 * Source: RFC 9112 (message syntax).
 */
import { connect, type Socket } from 'node:net'

const READ_BYTES = 256 * 1024
const BUFFERS = 4
const HEAD_LIMIT_BYTES = 64 * 1024

export interface BulkAnswer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: AsyncIterable<Uint8Array> & { destroy(): void }
}

export interface BulkRequest {
  url: URL
  headers: Record<string, string>
  /** For connecting and for every silence of the server. */
  timeoutMs: number
  signal?: AbortSignal
  /** Leave the connection here for the next request to the same server, and take the one that is here. */
  line?: BulkLine
}

/** A connection that is used for one request after the other; the one that follows a broken one reads into its memory. */
export class BulkLine {
  #resting: Incoming | null = null
  #origin = ''
  /** Left to the collector, which does not hurry for it, each break would cost as much again. */
  readonly buffers: readonly Uint8Array[] = newBuffers()

  /** The connection that rests here, if it is one to this server and still open. */
  take(url: URL): Incoming | null {
    const resting = this.#resting
    this.#resting = null
    if (resting?.open && this.#origin === url.origin) return resting
    resting?.socket.destroy()
    return null
  }

  keep(incoming: Incoming, url: URL): void {
    this.#resting = incoming
    this.#origin = url.origin
  }

  /** Ends what rests here. */
  close(): void {
    this.#resting?.socket.destroy()
    this.#resting = null
  }
}

/**
 * Resolves with the head of the answer, or with null when it is not one for this client. A refusal comes without body. A
 * piece of the body is valid until the next one is asked for.
 * @throws Error when the server cannot be reached or breaks off; the body throws when it is shorter than announced
 */
export async function bulkGet(wanted: BulkRequest): Promise<BulkAnswer | null> {
  const { url, timeoutMs, signal, line } = wanted
  if (url.protocol !== 'http:' || url.username !== '') return null
  const rested = line?.take(url) ?? null
  const fresh = () => new Incoming(url, { timeoutMs, signal, buffers: line?.buffers ?? newBuffers() })
  if (rested === null) return await exchange(fresh(), wanted)
  // The server may end a resting connection at the moment it is used again: that is no failure of the request.
  return await exchange(rested, wanted).catch(() => exchange(fresh(), wanted))
}

async function exchange(incoming: Incoming, { url, headers, line }: BulkRequest): Promise<BulkAnswer | null> {
  const fields = { Host: url.host, Connection: line === undefined ? 'close' : 'keep-alive', ...headers }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  incoming.socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`)
  try {
    const { head, rest } = await readHead(incoming)
    const length = head.headers['content-length']
    const plain =
      (head.status === 200 || head.status === 206) &&
      length !== undefined &&
      head.headers['transfer-encoding'] === undefined &&
      (head.headers['content-encoding'] ?? 'identity') === 'identity'
    if (plain) {
      const stays = line !== undefined && !/close/i.test(head.headers.connection ?? '')
      const body = new Body(incoming, rest, Number(length), stays ? () => line.keep(incoming, url) : null)
      return { ...head, body }
    }
    incoming.socket.destroy()
    // What a refusal says beside its status is not worth a second request.
    return head.status >= 400 ? { ...head, body: new Body(incoming, rest, 0, null) } : null
  } catch (error) {
    incoming.socket.destroy()
    throw error
  }
}

/** What arrived and was not read yet; the socket rests while all buffers are in use. */
class Incoming {
  readonly socket: Socket
  readonly #free: Uint8Array[]
  readonly #pieces: { buffer: Uint8Array; length: number }[] = []
  #lent: Uint8Array | null = null
  #ended = false
  #failure: Error | null = null
  #wake: (() => void) | null = null

  /** @param options.buffers nobody else's until the socket is destroyed */
  constructor(
    url: URL,
    {
      timeoutMs,
      signal,
      buffers,
    }: { timeoutMs: number; signal: AbortSignal | undefined; buffers: readonly Uint8Array[] },
  ) {
    this.#free = [...buffers]
    const port = Number(url.port || 80)
    const host = url.hostname.replace(/^\[|\]$/g, '')
    this.socket = connect({
      host,
      port,
      ...(signal === undefined ? {} : { signal }),
      onread: {
        buffer: () => this.#takeFree(),
        callback: (length, buffer) => {
          this.#pieces.push({ buffer, length })
          this.#notify()
          // The socket asks for its next buffer even when this pauses it, and that may be the last.
          return this.#free.length > 1
        },
      },
    })
    this.socket.setTimeout(timeoutMs, () => this.socket.destroy(new Error(`no data for ${timeoutMs} ms`)))
    this.socket.on('error', error => {
      this.#failure = error
      this.#notify()
    })
    for (const event of ['end', 'close']) {
      this.socket.on(event, () => {
        this.#ended = true
        this.#notify()
      })
    }
  }

  get open(): boolean {
    return !this.#ended && this.#failure === null
  }

  /** The next piece, or null at the end of the connection. Takes back the one before. */
  async next(): Promise<Uint8Array | null> {
    if (this.#lent !== null) {
      this.#free.push(this.#lent)
      this.#lent = null
      this.socket.resume()
    }
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece !== undefined) {
        this.#lent = piece.buffer
        return piece.buffer.subarray(0, piece.length)
      }
      if (this.#failure !== null) throw this.#failure
      if (this.#ended) return null
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  #takeFree(): Uint8Array {
    const buffer = this.#free.pop()
    if (buffer === undefined) throw new Error('a paused socket was read')
    return buffer
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = null
  }
}

function newBuffers(): Uint8Array[] {
  return Array.from({ length: BUFFERS }, () => new Uint8Array(READ_BYTES))
}

class Body {
  readonly #incoming: Incoming
  readonly #rest: Uint8Array
  readonly #length: number
  /** What becomes of the connection after the last byte; null: it ends. */
  readonly #keep: (() => void) | null

  constructor(incoming: Incoming, rest: Uint8Array, length: number, keep: (() => void) | null) {
    this.#incoming = incoming
    this.#rest = rest
    this.#length = length
    this.#keep = keep
  }

  destroy(): void {
    this.#incoming.socket.destroy()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    let left = this.#length
    let piece: Uint8Array | null = this.#rest
    try {
      while (left > 0) {
        if (piece === null) {
          throw new Error(`the connection ended after ${this.#length - left} of ${this.#length} bytes`)
        }
        const useful: Uint8Array = piece.length > left ? piece.subarray(0, left) : piece
        left -= useful.length
        if (useful.length > 0) yield useful
        if (left > 0) piece = await this.#incoming.next()
      }
    } finally {
      if (left === 0 && this.#keep !== null) this.#keep()
      else this.destroy()
    }
  }
}

interface Head {
  status: number
  headers: Record<string, string>
}

async function readHead(incoming: Incoming): Promise<{ head: Head; rest: Uint8Array }> {
  let before = Buffer.alloc(0)
  for (;;) {
    const piece = await incoming.next()
    if (piece === null) throw new Error('the connection ended before an answer')
    // Nearly always the first piece has the whole head, and is used where it lies: it may be long, and answers are many.
    const bytes =
      before.length === 0 ? Buffer.from(piece.buffer, piece.byteOffset, piece.length) : Buffer.concat([before, piece])
    const end = bytes.indexOf('\r\n\r\n')
    if (end >= 0) return { head: parseHead(bytes.toString('latin1', 0, end)), rest: bytes.subarray(end + 4) }
    if (bytes.length > HEAD_LIMIT_BYTES) throw new Error('the head of the answer is too large')
    // A copy, for the piece is taken back by the next call.
    before = Buffer.from(bytes)
  }
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0)
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { status, headers }
}
