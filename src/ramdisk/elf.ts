/**
 * Reads what a 64-bit little-endian ELF file needs to run: its interpreter, its shared libraries, where it says to look
 * for them. It never loads or executes anything and does not read sections, so stripped files are fine.
 * Source: System V ABI, gABI chapter 5 ("Program Loading and Dynamic Linking").
 */

export type Elf = {
  /** `e_machine`: 62 is x86-64, 183 is AArch64. */
  machine: number
  /** Path of the dynamic loader, for programs. */
  interpreter?: string
  /** `DT_NEEDED` in the file's order: names such as `libc.so.6`. */
  needed: string[]
  /** `DT_RUNPATH`, else `DT_RPATH`, as it stands: may hold `$ORIGIN`. */
  searchPath: string[]
}

/** Reads the ELF header and dynamic section of `file`; undefined when it is not a 64-bit little-endian ELF file. */
export function readElf(file: Buffer): Elf | undefined {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46) return undefined
  const is64Bit = file[4] === 2
  const isLittleEndian = file[5] === 1
  if (!is64Bit || !isLittleEndian) return undefined

  const elf: Elf = { machine: file.readUInt16LE(18), needed: [], searchPath: [] }
  const segments = readSegments(file)
  const interpreter = segments.find(segment => segment.type === interp)
  if (interpreter !== undefined) elf.interpreter = textAt(file, interpreter.offset)
  const table = segments.find(segment => segment.type === dynamic)
  if (table === undefined) return elf

  const entries = readDynamic(file, table)
  const stringsAddress = entries.find(([tag]) => tag === dtStrtab)?.[1]
  const load = segments.find(
    segment =>
      segment.type === loadable &&
      stringsAddress !== undefined &&
      stringsAddress >= segment.address &&
      stringsAddress < segment.address + segment.size,
  )
  if (load === undefined || stringsAddress === undefined) return elf
  const strings = load.offset + (stringsAddress - load.address)
  const textOf = (value: number) => textAt(file, strings + value)

  for (const [tag, value] of entries) if (tag === dtNeeded) elf.needed.push(textOf(value))
  const path = entries.find(([tag]) => tag === dtRunpath) ?? entries.find(([tag]) => tag === dtRpath)
  if (path !== undefined) elf.searchPath = textOf(path[1]).split(':').filter(Boolean)
  return elf
}

// Segment types (p_type) and dynamic tags (d_tag).
const loadable = 1
const dynamic = 2
const interp = 3
const dtNeeded = 1
const dtStrtab = 5
const dtRpath = 15
const dtRunpath = 29

type Segment = { type: number; offset: number; address: number; size: number }

function readSegments(file: Buffer): Segment[] {
  const tableOffset = Number(file.readBigUInt64LE(32))
  const entrySize = file.readUInt16LE(54)
  const count = file.readUInt16LE(56)
  const segments: Segment[] = []
  for (let index = 0; index < count; index++) {
    const at = tableOffset + index * entrySize
    if (at + 56 > file.length) break
    segments.push({
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      size: Number(file.readBigUInt64LE(at + 32)),
    })
  }
  return segments
}

function readDynamic(file: Buffer, table: Segment): [tag: number, value: number][] {
  const entries: [number, number][] = []
  const end = Math.min(table.offset + table.size, file.length)
  for (let at = table.offset; at + 16 <= end; at += 16) {
    const tag = Number(file.readBigInt64LE(at))
    if (tag === 0) break
    entries.push([tag, Number(file.readBigUInt64LE(at + 8))])
  }
  return entries
}

function textAt(file: Buffer, offset: number): string {
  const end = file.indexOf(0, offset)
  return file.toString('latin1', offset, end < 0 ? file.length : end)
}
