/**
 * Node carries all that the world's languages need: 30 MB of names of months, currencies and collations, and tables of old
 * character sets. The agent speaks English and UTF-8. Here the rest is overwritten with zeros, which pack to nothing; no
 * byte moves, so the program stays whatever it was.
 *
 * Source: ICU, icu4c/source/common/ucmndata.h and unicode/udata.h (the header and the table of contents of common data).
 */

/** Bytes of the header before the mark `CmnD`; the magic number stands 10 bytes before it. */
const FORMAT_AT = 12
const MAGIC_AT = 2

/**
 * Overwrites what the ramdisk has no use for.
 * @param program the whole file, little endian; changed in place
 * @returns bytes that were overwritten; 0 where the program has no such data
 */
export function blankLocales(program: Buffer): number {
  let blanked = 0
  const items = itemsOf(program)
  for (const [at, item] of items.entries()) {
    const next = items[at + 1]
    // Where the last one ends nobody says.
    if (next === undefined || isNeeded(item.name)) continue
    program.fill(0, item.start, next.start)
    blanked += next.start - item.start
  }
  return blanked
}

/** @param name such as `icudt78l/curr/de_AT.res`; the first folder may be missing */
export function isNeeded(name: string): boolean {
  const path = name.replace(/^icudt\d+[lbe]\//, '')
  if (/^(translit|rbnf)\//.test(path) || /\.(dict|spp)$/.test(path)) return false
  if (path.endsWith('.cnv')) return path === windows1252
  if (['unames.icu', 'confusables.cfu'].includes(path)) return false
  const locale = /(?:^|\/)(?!res_index)([a-z]{2,3}(?:_\w+)?)\.res$/.exec(path)?.[1]
  return locale === undefined || /^en(_US(_POSIX)?)?$/.test(locale)
}

/** What the Encoding Standard means by latin1; UTF-8, UTF-16 and ASCII need no table. */
const windows1252 = 'ibm-5348_P100-1997.cnv'

interface Item {
  name: string
  /** Offset in the file. */
  start: number
}

function itemsOf(program: Buffer): Item[] {
  const header = findHeader(program)
  if (header === null) return []
  const table = header + program.readUInt16LE(header)
  const count = program.readUInt32LE(table)
  return Array.from({ length: count }, (_, index) => {
    const entry = table + 4 + 8 * index
    const name = table + program.readUInt32LE(entry)
    return {
      name: program.toString('latin1', name, program.indexOf(0, name)),
      start: table + program.readUInt32LE(entry + 4),
    }
  })
}

/** The code that reads the data has the mark as well, without the magic number before it. */
function findHeader(program: Buffer): number | null {
  for (let at = program.indexOf('CmnD'); at >= 0; at = program.indexOf('CmnD', at + 1)) {
    const header = at - FORMAT_AT
    if (header >= 0 && program.readUInt16BE(header + MAGIC_AT) === 0xda27) return header
  }
  return null
}
