/**
 * An archive of a ramdisk's logs without the secrets in it: a tar.gz is read member by member, what is text is masked, and
 * all is packed again. Other work gets its turn in between; what grows too large is refused, not kept in memory.
 *
 * Source: POSIX.1 pax(1), ustar interchange format.
 */
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { Fault, messageOf } from '#lib/fault.ts'
import { maskText } from '#lib/mask.ts'

/** What came as an archive of logs is none, or too large for one. */
export class UnusableArchive extends Fault {
  readonly status = 502
  readonly code = 'unusable-archive'
}

const BLOCK = 512
const limitBytes = 256 * 1024 * 1024
/** Masked at once, in lines. */
const biteBytes = 64 * 1024

/**
 * @param archive as the ramdisk sent it
 * @param secrets to be hidden wherever they stand
 * @throws UnusableArchive
 */
export async function maskArchive(archive: Uint8Array, secrets: readonly string[]): Promise<Buffer> {
  const packed: Buffer[] = []
  for (const { header, data } of membersOf(await unpacked(archive))) {
    const kept = isText(header, data) ? await masked(data, secrets) : data
    packed.push(resized(header, kept.length), kept, Buffer.alloc((BLOCK - (kept.length % BLOCK)) % BLOCK))
  }
  return await promisify(gzip)(Buffer.concat([...packed, Buffer.alloc(2 * BLOCK)]))
}

async function unpacked(archive: Uint8Array): Promise<Buffer> {
  try {
    return await promisify(gunzip)(archive, { maxOutputLength: limitBytes })
  } catch (error) {
    throw new UnusableArchive(`Cannot read the logs of a ramdisk: ${messageOf(error)}; expected a tar.gz`, {
      cause: error,
    })
  }
}

interface Member {
  header: Buffer
  data: Buffer
}

function* membersOf(tar: Buffer): Generator<Member> {
  for (let at = 0; at + BLOCK <= tar.length; ) {
    const header = tar.subarray(at, at + BLOCK)
    if (header.every(byte => byte === 0)) return
    const size = Number.parseInt(header.toString('latin1', 124, 136).replaceAll('\0', ''), 8)
    if (header.toString('latin1', 257, 262) !== 'ustar' || !(at + BLOCK + size <= tar.length)) {
      throw new UnusableArchive(`Cannot read the logs of a ramdisk: found no member of a tar at byte ${at}`)
    }
    yield { header, data: tar.subarray(at + BLOCK, at + BLOCK + size) }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
}

/** A file, and one that people read. Names and times that stand in members of their own stay as they are. */
function isText(header: Buffer, data: Buffer): boolean {
  return ['0', '\0'].includes(header.toString('latin1', 156, 157)) && !data.subarray(0, biteBytes).includes(0)
}

async function masked(data: Buffer, secrets: readonly string[]): Promise<Buffer> {
  const parts: string[] = []
  for (let at = 0; at < data.length; ) {
    const newline = data.indexOf('\n', Math.min(at + biteBytes, data.length))
    const end = newline < 0 ? data.length : newline + 1
    parts.push(maskText(data.toString('utf8', at, end), secrets))
    at = end
    await setImmediate()
  }
  return Buffer.from(parts.join(''))
}

/** The same header for another size. */
function resized(header: Buffer, sizeBytes: number): Buffer {
  const copy = Buffer.from(header)
  copy.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
  // The sum counts itself as blanks.
  copy.write('        ', 148, 'latin1')
  const sum = copy.reduce((total, byte) => total + byte, 0)
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return copy
}
