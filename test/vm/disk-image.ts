/**
 * Disk images for tests, and what came of them on a disk. The images made here are small, boot under a BIOS and change
 * nothing on their disk: a sector of code says their name. So the disk can be compared to its last byte, at any time.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'

export interface DiskImage {
  file: string
  sizeBytes: number
  sha256: string
}

/** What asks for it as the whole disk, through the service. */
export function instanceInfoOf({ file, sha256 }: DiskImage): Record<string, string> {
  return {
    image_source: `file://${file}`,
    image_os_hash_algo: 'sha256',
    image_os_hash_value: sha256,
    image_disk_format: 'raw',
    image_download_source: 'local',
    image_type: 'whole-disk',
  }
}

const sector = 512
const mib = 2 ** 20

/** What the image of this name writes to the serial port when it runs. */
export const bootMessage = (name: string): RegExp => new RegExp(`INSTANCE ${name} RUNS`)

/**
 * An image with an MBR and one partition. It begins with noise made from its name, the rest is a hole.
 * @param sizeMib at least `noiseMib`
 * @param noiseMib how much has to be carried to a disk and written there
 */
export async function makeImage(file: string, name: string, sizeMib: number, noiseMib = 64): Promise<DiskImage> {
  const noise = createCipheriv('aes-256-ctr', createHash('sha256').update(name).digest(), Buffer.alloc(16))
  const handle = await open(file, 'wx')
  try {
    for (let done = 0; done < noiseMib; done++) await handle.write(noise.update(Buffer.alloc(mib)))
    await handle.write(bootSector(`INSTANCE ${name} RUNS`, sizeMib), 0, sector, 0)
    await handle.truncate(sizeMib * mib)
  } finally {
    await handle.close()
  }
  return { file, sizeBytes: sizeMib * mib, sha256: await hashOfStart(file, sizeMib * mib) }
}

/** SHA-256 of the first bytes of a file or disk. */
export async function hashOfStart(file: string, bytes: number): Promise<string> {
  return hashOfRange(file, 0, bytes)
}

/**
 * Hashes of all that an image with a GPT determines of a disk: boot code, partitions, and everything in between. What
 * the table itself says of its place and of the config drive's partition differs by design.
 */
export async function hashesOfGpt(imageFile: string, disk: string): Promise<{ image: string[]; disk: string[] }> {
  const handle = await open(imageFile)
  const header = Buffer.alloc(sector)
  await handle.read(header, 0, sector, sector)
  await handle.close()
  if (header.toString('latin1', 0, 8) !== 'EFI PART') throw new Error(`${imageFile} has no GPT`)
  const firstUsable = Number(header.readBigUInt64LE(40)) * sector
  const lastUsable = (Number(header.readBigUInt64LE(48)) + 1) * sector
  const used = await partitionEntries(imageFile, header)
  const hashes = (file: string) =>
    Promise.all([
      hashOfRange(file, 0, 440),
      hashOfRange(file, 2 * sector, 2 * sector + used * header.readUInt32LE(84)),
      hashOfRange(file, firstUsable, lastUsable),
    ])
  return { image: await hashes(imageFile), disk: await hashes(disk) }
}

/** How many entries of the table are filled, up to the last one. */
async function partitionEntries(file: string, header: Buffer): Promise<number> {
  const [count, entryBytes] = [header.readUInt32LE(80), header.readUInt32LE(84)]
  const table = Buffer.alloc(count * entryBytes)
  const handle = await open(file)
  await handle.read(table, 0, table.length, 2 * sector)
  await handle.close()
  const isUsed = (index: number) => table.subarray(index * entryBytes, index * entryBytes + 16).some(byte => byte !== 0)
  return Array.from({ length: count }, (_, index) => index).findLastIndex(isUsed) + 1
}

async function hashOfRange(file: string, from: number, to: number): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { start: from, end: to - 1, highWaterMark: mib }), hash)
  return hash.digest('hex')
}

/** Says `text` by the BIOS and halts for ever; one partition takes the whole disk behind the first MiB. */
function bootSector(text: string, sizeMib: number): Buffer {
  const code = Buffer.from(
    '31c08ed8' + // ds = 0
      'be207c' + // si = text
      'ac84c07406b40ecd10ebf5' + // write it
      'f4ebfd', // halt
    'hex',
  )
  const bytes = Buffer.alloc(sector)
  code.copy(bytes)
  bytes.write(`\r\n${text}\r\n\0`, 0x20, 'latin1')
  bytes.writeUInt32LE(0x46455252, 440) // the disk's identifier
  bytes.set([0x80, 0, 0, 0, 0x83], 446) // active, a Linux partition
  bytes.writeUInt32LE(2048, 454)
  bytes.writeUInt32LE((sizeMib - 1) * 2048, 458)
  bytes.set([0x55, 0xaa], 510)
  return bytes
}
