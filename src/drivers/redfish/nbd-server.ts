/**
 * A server of the Network Block Device protocol for one reader of one file: the BMC's side asks for blocks, this one reads
 * them. Nothing can be written. It knows neither BMCs nor sockets.
 *
 * Source: NetworkBlockDevice/nbd, doc/proto.md (fixed newstyle negotiation, simple replies).
 */
import type { FileHandle } from 'node:fs/promises'
import type { Duplex } from 'node:stream'

/** Firmware and kernels address blocks of so many bytes; a file that ends within one is filled up with zeros. */
const blockBytes = 512
/** The longest read that is answered; kernels ask for much less. */
const mostBytes = 32 << 20

const magic = {
  hello: Buffer.from('NBDMAGICIHAVEOPT', 'latin1'),
  option: Buffer.from('IHAVEOPT', 'latin1'),
  optionReply: Buffer.from('0003e889045565a9', 'hex'),
  request: 0x25609513,
  reply: 0x67446698,
} as const
const handshakeFlags = { fixedNewstyle: 1, noZeroes: 2 } as const
const option = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const
const optionAnswer = { ack: 1, server: 2, info: 3, unsupported: 0x80000001, invalid: 0x80000003 } as const
const infoExport = 0
const infoBlockSize = 3
/** Has flags, is read-only. */
const exportFlags = 1 | 2
const command = { read: 0, write: 1, disconnect: 2, flush: 3 } as const
const errno = { none: 0, notPermitted: 1, input: 5, invalid: 22 } as const

/** The reader does not speak the protocol, or went in the middle of a sentence. */
export class NbdBroken extends Error {}

/** Serves until the reader says goodbye. @throws NbdBroken; what reading the file throws is told to the reader */
export async function serveNbd(stream: Duplex, file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  const sizeBytes = Math.ceil(size / blockBytes) * blockBytes
  const bytes = new Incoming(stream)
  if (await negotiate(stream, bytes, sizeBytes)) await answerRequests(stream, bytes, { file, sizeBytes })
  stream.end()
}

/** @returns whether the reader wants to read */
async function negotiate(stream: Duplex, bytes: Incoming, sizeBytes: number): Promise<boolean> {
  const flags = handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes
  stream.write(Buffer.concat([magic.hello, uint(2, flags)]))
  const wantsZeroes = ((await bytes.take(4)).readUInt32BE() & handshakeFlags.noZeroes) === 0
  for (;;) {
    const head = await bytes.take(16)
    if (!head.subarray(0, 8).equals(magic.option)) throw new NbdBroken('it sent something that is no option')
    const wanted = head.readUInt32BE(8)
    const length = head.readUInt32BE(12)
    if (length > 65_536) throw new NbdBroken(`it sent an option of ${length} bytes`)
    const data = await bytes.take(length)
    const reply = (type: number, body: Buffer = Buffer.alloc(0)) =>
      stream.write(Buffer.concat([magic.optionReply, uint(4, wanted), uint(4, type), uint(4, body.length), body]))
    switch (wanted) {
      case option.exportName:
        stream.write(Buffer.concat([about(sizeBytes), Buffer.alloc(wantsZeroes ? 124 : 0)]))
        return true
      case option.abort:
        reply(optionAnswer.ack)
        return false
      case option.list:
        // One thing to read, which has no name.
        reply(optionAnswer.server, uint(4, 0))
        reply(optionAnswer.ack)
        break
      case option.info:
      case option.go:
        if (!isInfoRequest(data)) {
          reply(optionAnswer.invalid)
          break
        }
        reply(optionAnswer.info, Buffer.concat([uint(2, infoExport), about(sizeBytes)]))
        reply(optionAnswer.info, Buffer.concat([uint(2, infoBlockSize), uint(4, 1), uint(4, 4096), uint(4, mostBytes)]))
        reply(optionAnswer.ack)
        if (wanted === option.go) return true
        break
      default:
        reply(optionAnswer.unsupported)
    }
  }
}

const about = (sizeBytes: number) => Buffer.concat([uint(8, sizeBytes), uint(2, exportFlags)])

/** A name with its length before it, and a list of numbers with theirs. */
function isInfoRequest(data: Buffer): boolean {
  const nameBytes = data.length >= 6 ? data.readUInt32BE() : Number.POSITIVE_INFINITY
  return nameBytes <= data.length - 6 && data.length === 6 + nameBytes + 2 * data.readUInt16BE(4 + nameBytes)
}

async function answerRequests(
  stream: Duplex,
  bytes: Incoming,
  { file, sizeBytes }: { file: FileHandle; sizeBytes: number },
): Promise<void> {
  for (;;) {
    const head = await bytes.take(28)
    if (head.readUInt32BE() !== magic.request) throw new NbdBroken('it sent something that is no request')
    const type = head.readUInt16BE(6)
    const offset = head.readBigUInt64BE(16)
    const length = head.readUInt32BE(24)
    const reply = (error: number, data: Buffer = Buffer.alloc(0)) =>
      write(stream, Buffer.concat([uint(4, magic.reply), uint(4, error), head.subarray(8, 16), data]))
    switch (type) {
      case command.read: {
        if (length > mostBytes || offset + BigInt(length) > BigInt(sizeBytes)) {
          await reply(errno.invalid)
          break
        }
        const data = await read(file, Number(offset), length)
        await (data === null ? reply(errno.input) : reply(errno.none, data))
        break
      }
      case command.write:
        if (length > mostBytes) throw new NbdBroken(`it wants to write ${length} bytes`)
        await bytes.take(length)
        await reply(errno.notPermitted)
        break
      case command.disconnect:
        return
      case command.flush:
        await reply(errno.none)
        break
      default:
        await reply(errno.invalid)
    }
  }
}

/** Zeros where the file has ended; null where it cannot be read. */
async function read(file: FileHandle, offset: number, length: number): Promise<Buffer | null> {
  const data = Buffer.alloc(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(data, done, length - done, offset + done).catch(() => ({ bytesRead: -1 }))
    if (bytesRead < 0) return null
    if (bytesRead === 0) break
    done += bytesRead
  }
  return data
}

/** Who does not take what was asked for is asked nothing more until it has. */
async function write(stream: Duplex, data: Buffer): Promise<void> {
  if (stream.destroyed) throw new NbdBroken('it is gone')
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  stream.write(data, error => (error ? reject(new NbdBroken(error.message)) : resolve()))
  await promise
}

function uint(sizeBytes: 2 | 4 | 8, value: number): Buffer {
  const buffer = Buffer.alloc(sizeBytes)
  if (sizeBytes === 2) buffer.writeUInt16BE(value)
  else if (sizeBytes === 4) buffer.writeUInt32BE(value)
  else buffer.writeBigUInt64BE(BigInt(value))
  return buffer
}

/** What comes, in pieces as long as one wants them. */
class Incoming {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: Duplex) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** @throws NbdBroken where there is no more */
  async take(length: number): Promise<Buffer> {
    const parts = [this.#rest]
    let have = this.#rest.length
    while (have < length) {
      const next = await this.#chunks.next().catch((error: Error) => {
        throw new NbdBroken(error.message)
      })
      if (next.done) throw new NbdBroken('it went without a word')
      parts.push(next.value)
      have += next.value.length
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts)
    this.#rest = all.subarray(length)
    return all.subarray(0, length)
  }
}
