/**
 * Tells the format of a disk image from its content, and what in it would make a reader leave the image: backing files,
 * data files, extents elsewhere. Reads a few headers through the function it is given; never opens, converts or trusts.
 *
 * A file that fits two formats is refused, because each reader would see a different image.
 * Sources: the formats' specifications (QEMU docs/interop/qcow2.txt, VMware "Virtual Disk Format 1.1", Microsoft "VHD
 * Image Format" and [MS-VHDX], VirtualBox VDICore.h, LUKS1/LUKS2 on-disk formats, ECMA-119, UEFI 5.2.3); what is
 * refused follows oslo.utils' format inspector (CVE-2024-32498, CVE-2024-44082).
 */

export const diskFormats = ['raw', 'gpt', 'qcow2', 'qed', 'vmdk', 'vdi', 'vhd', 'vhdx', 'luks', 'iso'] as const
export type DiskFormat = (typeof diskFormats)[number]

export interface DiskInspection {
  /** `gpt` is a raw disk with a partition table, of either kind; `raw` is everything that no header tells. */
  readonly format: DiskFormat
  /** Size of the disk inside. */
  readonly virtualSizeBytes: number
  /** Why the image must not be used; empty when nothing speaks against it. Each completes "the image ...". */
  readonly dangers: readonly string[]
}

/** Answers the bytes at an offset; fewer at the end of the file. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>

export async function inspectDisk(readAt: ReadAt, sizeBytes: number): Promise<DiskInspection> {
  // Headers may name any place at all; what is not in the file is not asked for.
  const read: ReadAt = async (offset, length) =>
    offset < sizeBytes ? readAt(offset, Math.min(length, sizeBytes - offset)) : new Uint8Array(0)
  const head = view(await read(0, 4096))
  const found: DiskInspection[] = []
  for (const look of [qcow2, qed, vmdk, vdi, vhd, vhdx, luks, iso, gpt]) {
    const inspection = await look(head, read, sizeBytes)
    if (inspection) found.push(inspection)
  }
  const [first, second] = found
  if (!first) return { format: 'raw', virtualSizeBytes: sizeBytes, dangers: [] }
  if (!second) return first
  // Hybrid ISO images carry a partition table on purpose.
  const isHybridIso = found.length === 2 && found.every(({ format }) => format === 'iso' || format === 'gpt')
  if (isHybridIso) return first.format === 'iso' ? first : second
  const names = found.map(({ format }) => format).join(' and ')
  return { ...first, dangers: [`looks like ${names} at the same time`, ...found.flatMap(({ dangers }) => dangers)] }
}

/** Who permits raw images permits those with a partition table. */
export function isPermitted(format: DiskFormat, permitted: readonly string[]): boolean {
  return permitted.includes(format) || (format === 'gpt' && permitted.includes('raw'))
}

/**
 * Whether content is what somebody said it is; nothing, and `unknown`, agree with everything. Kernels and ramdisks of old
 * have formats of their own that no content shows.
 */
export function agrees(declared: string | null, found: DiskFormat): boolean {
  if (declared === null || ['', 'unknown', 'aki', 'ari'].includes(declared)) return true
  if (['raw', 'ami', 'gpt'].includes(declared)) return found === 'raw' || found === 'gpt'
  return declared === found || (declared === 'vpc' && found === 'vhd')
}

/** QEMU's name of the driver that reads a format. */
export function qemuFormat(format: DiskFormat): string {
  if (format === 'vhd') return 'vpc'
  return format === 'gpt' || format === 'iso' ? 'raw' : format
}

type Look = (
  head: DataView,
  read: ReadAt,
  sizeBytes: number,
) => Promise<DiskInspection | undefined> | DiskInspection | undefined

const knownQcow2Features = 0b11111n
const externalDataFile = 0b100n

const qcow2: Look = (head, _read, sizeBytes) => {
  if (text(head, 0, 4) !== 'QFI\xfb' || head.byteLength < 104) return undefined
  const dangers: string[] = []
  const version = head.getUint32(4)
  if (version < 2 || version > 3) dangers.push(`is qcow version ${version}; expected version 2 or 3`)
  if (head.getBigUint64(8) !== 0n || head.getUint32(16) !== 0) dangers.push('names a backing file')
  if (head.getUint32(32) !== 0) dangers.push('is encrypted')
  // QEMU reads what lies beyond the end as zeros, and says nothing.
  const tableEnd = head.getBigUint64(40) + BigInt(head.getUint32(36)) * 8n
  if (tableEnd > BigInt(sizeBytes)) dangers.push('is cut off: its tables lie beyond its end')
  if (version >= 3) {
    const features = head.getBigUint64(72)
    if (features & externalDataFile) dangers.push('keeps its data in another file')
    if (features & ~knownQcow2Features) dangers.push('needs features that are not known')
  }
  return { format: 'qcow2', virtualSizeBytes: Number(head.getBigUint64(24)), dangers }
}

const qed: Look = head => {
  if (text(head, 0, 4) !== 'QED\0') return undefined
  return {
    format: 'qed',
    virtualSizeBytes: head.byteLength >= 56 ? Number(head.getBigUint64(48, true)) : 0,
    dangers: ['is QED, which is not supported'],
  }
}

const sectorBytes = 512
const grainDirectoryAtEnd = 0xffffffffffffffffn

const vmdk: Look = async (head, read, sizeBytes) => {
  if (text(head, 0, 4) === 'COWD')
    return { format: 'vmdk', virtualSizeBytes: 0, dangers: ['is a VMDK of an old version'] }
  if (text(head, 0, 21) === '# Disk DescriptorFile') {
    return { format: 'vmdk', virtualSizeBytes: 0, dangers: ['is a VMDK whose data is in other files'] }
  }
  if (text(head, 0, 4) !== 'KDMV' || head.byteLength < 512) return undefined
  const dangers: string[] = []
  const version = head.getUint32(4, true)
  if (version < 1 || version > 3) dangers.push(`is VMDK version ${version}; expected 1 to 3`)
  const capacity = head.getBigUint64(12, true)
  // QEMU takes a VMDK without capacity for a bare descriptor, and opens what that names.
  if (capacity === 0n) dangers.push('has no capacity')
  const descriptorAt = head.getBigUint64(28, true)
  const descriptorSectors = head.getBigUint64(36, true)
  const descriptorBytes = Number(descriptorSectors) * sectorBytes
  if (descriptorAt === 0n || descriptorBytes === 0 || descriptorBytes > 1024 * 1024) {
    dangers.push('has no descriptor that can be read')
  } else {
    const bytes = await read(Number(descriptorAt) * sectorBytes, descriptorBytes)
    dangers.push(...vmdkDescriptorDangers(latin1(bytes)))
  }
  if (head.getBigUint64(56, true) === grainDirectoryAtEnd) {
    const footer = view(await read(Math.max(0, sizeBytes - 2 * sectorBytes), sectorBytes))
    const same =
      footer.byteLength === sectorBytes &&
      text(footer, 0, 4) === 'KDMV' &&
      footer.getUint32(4, true) === version &&
      footer.getBigUint64(12, true) === capacity &&
      footer.getBigUint64(28, true) === descriptorAt &&
      footer.getBigUint64(36, true) === descriptorSectors &&
      footer.getBigUint64(56, true) !== grainDirectoryAtEnd
    if (!same) dangers.push('has a footer that differs from its header')
  }
  return { format: 'vmdk', virtualSizeBytes: Number(capacity) * sectorBytes, dangers }
}

function vmdkDescriptorDangers(descriptor: string): string[] {
  const dangers: string[] = []
  const lines = descriptor
    .replace(/\0.*$/s, '')
    .split(/\r?\n/)
    .map(line => line.trim())
  const setting = (name: string) => {
    const pattern = new RegExp(`^${name}\\s*=\\s*"?([^"]*)"?$`, 'i')
    return lines.map(line => pattern.exec(line)?.[1]).find(value => value !== undefined)
  }
  const type = (setting('createType') ?? 'nothing').slice(0, 40)
  if (!['monolithicsparse', 'streamoptimized'].includes(type.toLowerCase())) {
    dangers.push(`is a VMDK of type ${type}; expected monolithicSparse or streamOptimized`)
  }
  if (!/^f{8}$/i.test(setting('parentCID') ?? 'ffffffff') || setting('parentFileNameHint') !== undefined)
    dangers.push('names a parent')
  const extents = lines.filter(line => /^(RW|RDONLY|NOACCESS)\s/i.test(line))
  if (extents.length !== 1) dangers.push(`has ${extents.length} extents; expected one`)
  if (extents.some(extent => !/^\S+\s+\d+\s+SPARSE\s+"[^"/\\]+"$/i.test(extent)))
    dangers.push('has an extent outside of its file')
  return dangers
}

const vdi: Look = head => {
  if (head.byteLength < 0x180 || head.getUint32(0x40, true) !== 0xbeda107f) return undefined
  const type = head.getUint32(0x4c, true)
  const dangers = type === 1 || type === 2 ? [] : ['is a VDI that depends on another image']
  return { format: 'vdi', virtualSizeBytes: Number(head.getBigUint64(0x170, true)), dangers }
}

const vhd: Look = head => {
  if (text(head, 0, 8) !== 'conectix' || head.byteLength < 512) return undefined
  const type = head.getUint32(60)
  const dangers = type === 2 || type === 3 ? [] : ['is a VHD that depends on another image']
  return { format: 'vhd', virtualSizeBytes: Number(head.getBigUint64(48)), dangers }
}

const vhdxMetadataRegion = '8b7ca206-4790-4b9a-b8fe-575f050f886e'
const vhdxFileParameters = 'caa16737-fa36-4d43-b3b6-33f0aa44e76b'
const vhdxVirtualSize = '2fa54224-cd1b-4876-b211-5dbed83bf4b8'

const vhdx: Look = async (head, read) => {
  if (text(head, 0, 8) !== 'vhdxfile') return undefined
  const unreadable = {
    format: 'vhdx' as const,
    virtualSizeBytes: 0,
    dangers: ['is a VHDX whose tables cannot be read'],
  }
  const regions = view(await read(192 * 1024, 64 * 1024))
  if (text(regions, 0, 4) !== 'regi') return unreadable
  const metadataAt = tableEntries(regions, { count: regions.getUint32(8, true), from: 16, size: 32 })
    .filter(at => guid(regions, at) === vhdxMetadataRegion)
    .map(at => Number(regions.getBigUint64(at + 16, true)))[0]
  if (metadataAt === undefined) return unreadable
  const metadata = view(await read(metadataAt, 64 * 1024))
  if (text(metadata, 0, 8) !== 'metadata') return unreadable
  const items = new Map(
    tableEntries(metadata, { count: metadata.getUint16(10, true), from: 32, size: 32 }).map(at => [
      guid(metadata, at),
      metadata.getUint32(at + 16, true),
    ]),
  )
  const [parametersAt, sizeAt] = [items.get(vhdxFileParameters), items.get(vhdxVirtualSize)]
  if (parametersAt === undefined || sizeAt === undefined) return unreadable
  const parameters = view(await read(metadataAt + parametersAt, 8))
  const size = view(await read(metadataAt + sizeAt, 8))
  if (parameters.byteLength < 8 || size.byteLength < 8) return unreadable
  const hasParent = (parameters.getUint32(4, true) & 2) !== 0
  return {
    format: 'vhdx',
    virtualSizeBytes: Number(size.getBigUint64(0, true)),
    dangers: hasParent ? ['names a parent'] : [],
  }
}

const luks: Look = (head, _read, sizeBytes) => {
  if (text(head, 0, 6) !== 'LUKS\xba\xbe' || head.byteLength < 512) return undefined
  const version = head.getUint16(6)
  // LUKS1 gives the payload's offset in sectors; the data inside is as long as the rest of the file.
  const payloadBytes = version === 1 ? head.getUint32(104) * sectorBytes : 0
  const dangers = version === 1 ? [] : [`is LUKS version ${version}; expected 1`]
  return { format: 'luks', virtualSizeBytes: Math.max(0, sizeBytes - payloadBytes), dangers }
}

const iso: Look = async (_head, read, sizeBytes) => {
  const descriptor = view(await read(0x8000, 8))
  if (descriptor.byteLength < 8 || text(descriptor, 1, 5) !== 'CD001') return undefined
  return { format: 'iso', virtualSizeBytes: sizeBytes, dangers: [] }
}

/** A partition table of either kind: the protective MBR of a GPT, or a plain MBR. */
const gpt: Look = (head, _read, sizeBytes) => {
  if (head.byteLength < 512 || head.getUint16(510, true) !== 0xaa55 || isFileSystemBootRecord(head)) return undefined
  const entries = [446, 462, 478, 494].map(at => ({
    flag: head.getUint8(at),
    type: head.getUint8(at + 4),
    firstLba: head.getUint32(at + 8, true),
  }))
  const used = entries.filter(({ type }) => type !== 0)
  if (used.length === 0) return undefined
  const dangers: string[] = []
  if (entries.some(({ flag }) => flag !== 0 && flag !== 0x80)) dangers.push('has a partition with an invalid boot flag')
  const protective = used.filter(({ type }) => type === 0xee)
  if (protective.length > 0 && used.length > 1) dangers.push('has a protective MBR with further partitions')
  if (protective.some(({ firstLba }) => firstLba !== 1))
    dangers.push('has a protective MBR that does not begin at sector 1')
  return { format: 'gpt', virtualSizeBytes: sizeBytes, dangers }
}

/** A file system without partitions ends its first sector with the same signature. */
function isFileSystemBootRecord(head: DataView): boolean {
  const jumps = head.getUint8(0) === 0xe9 || (head.getUint8(0) === 0xeb && head.getUint8(2) === 0x90)
  return (
    jumps &&
    (text(head, 54, 3) === 'FAT' ||
      text(head, 82, 3) === 'FAT' ||
      text(head, 3, 4) === 'NTFS' ||
      text(head, 3, 5) === 'EXFAT')
  )
}

function tableEntries(table: DataView, { count, from, size }: { count: number; from: number; size: number }): number[] {
  const room = Math.floor((table.byteLength - from) / size)
  return Array.from({ length: Math.min(count, Math.max(0, room)) }, (_, index) => from + index * size)
}

/** A GUID as Microsoft stores it: the first three fields little-endian. */
function guid(data: DataView, at: number): string {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')
  const tail = Array.from({ length: 8 }, (_, index) => hex(data.getUint8(at + 8 + index), 2)).join('')
  return `${hex(data.getUint32(at, true), 8)}-${hex(data.getUint16(at + 4, true), 4)}-${hex(data.getUint16(at + 6, true), 4)}-${tail.slice(0, 4)}-${tail.slice(4)}`
}

function text(data: DataView, at: number, length: number): string {
  if (data.byteLength < at + length) return ''
  return latin1(new Uint8Array(data.buffer, data.byteOffset + at, length))
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
