/**
 * What an image file really is, and whether it is safe to hand to a converter: the content decides, not the declaration.
 * Reads headers only. An image that refers to other files, or that looks like two formats at once, is refused.
 *
 * Source: QEMU `docs/interop/qcow2.rst` (header, feature bits); UEFI specification 5.2 (protective MBR); magic numbers of
 * each format's specification.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { AgentFault } from '../errors.ts'
import type { Options } from '../options.ts'

export interface ImageFacts {
  format: string
  /** Bytes of the disk it describes. */
  virtualSizeBytes: number
}

/**
 * @param declared `disk_format` of image_info
 * @throws AgentFault InvalidImage with the reason
 */
export async function inspectImage(file: string, declared: string | null, options: Options): Promise<ImageFacts> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const head = await readAt(handle, 0, 64 * 1024)
    const tail = await readAt(handle, Math.max(0, size - 512), 512)
    const formats = detect(head, tail)
    if (formats.length > 1) throw insecure(`it looks like ${formats.join(' and ')} at once`)
    const format = formats[0] ?? 'raw'
    if (options.deepInspection) {
      if (!options.permittedImageFormats.includes(format)) {
        throw insecure(`its format ${format} is not among the permitted ${options.permittedImageFormats.join(', ')}`)
      }
      if (declared !== null && declared !== '' && declared !== 'unknown' && declared !== format) {
        throw insecure(`it is declared as ${declared} but is ${format}`)
      }
    }
    if (format !== 'qcow2') return { format, virtualSizeBytes: size }
    checkQcow2(head)
    return { format, virtualSizeBytes: Number(head.readBigUInt64BE(24)) }
  } finally {
    await handle.close()
  }
}

type Detector = (head: Buffer, tail: Buffer) => boolean

const detectors: Record<string, Detector> = {
  qcow2: head => head.toString('latin1', 0, 4) === 'QFI\xfb',
  qed: head => head.toString('latin1', 0, 4) === 'QED\0',
  vhd: (head, tail) => [head, tail].some(part => part.toString('latin1', 0, 8) === 'conectix'),
  vhdx: head => head.toString('latin1', 0, 8) === 'vhdxfile',
  vmdk: head => head.toString('latin1', 0, 4) === 'KDMV' || head.toString('latin1', 0, 21) === '# Disk DescriptorFile',
  vdi: head => head.length >= 68 && head.readUInt32LE(64) === 0xbeda107f,
  luks: head => head.toString('latin1', 0, 6) === 'LUKS\xba\xbe',
  iso: head => head.toString('latin1', 32769, 32774) === 'CD001',
  gpt: head => isProtectiveMbr(head),
}

function detect(head: Buffer, tail: Buffer): string[] {
  return Object.entries(detectors)
    .filter(([, matches]) => matches(head, tail))
    .map(([name]) => name)
}

/** A partition table with the boot signature; a file system's boot sector has the signature too, but no valid entries. */
function isProtectiveMbr(head: Buffer): boolean {
  if (head.length < 512 || head.readUInt16LE(510) !== 0xaa55) return false
  if (head.toString('latin1', 54, 57) === 'FAT' || head.toString('latin1', 82, 85) === 'FAT') return false
  const entries = [0, 1, 2, 3].map(index => head.subarray(446 + index * 16, 462 + index * 16))
  if (!entries.every(entry => [0x00, 0x80].includes(entry[0] ?? 0xff))) return false
  return entries.some(entry => (entry[4] ?? 0) !== 0)
}

const INCOMPATIBLE_KNOWN = 0b11111n // dirty, corrupt, external data file, compression type, extended L2
const EXTERNAL_DATA = 0b100n

function checkQcow2(head: Buffer): void {
  const version = head.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw insecure(`it is a qcow2 of unknown version ${version}`)
  if (head.readBigUInt64BE(8) !== 0n) throw insecure('it refers to a backing file')
  if (head.readUInt32BE(32) !== 0) throw insecure('it is encrypted')
  if (version < 3) return
  const incompatible = head.readBigUInt64BE(72)
  if ((incompatible & EXTERNAL_DATA) !== 0n) throw insecure('it keeps its data in another file')
  if ((incompatible & ~INCOMPATIBLE_KNOWN) !== 0n)
    throw insecure(`it needs unknown features (0x${incompatible.toString(16)})`)
}

function insecure(why: string): AgentFault {
  return new AgentFault('InvalidImage', `Security: the image is refused: ${why}`)
}

async function readAt(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, at + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}
