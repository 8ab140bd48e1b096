/**
 * What instance_info says about an image's checksum, and what checksum files say. Pure, save for nothing: fetching is
 * the caller's.
 * Source: images, "Checksums" (ironic/common/image_service.py and checksum_utils.py restated).
 */
import { InvalidInput } from '#lib/fault.ts'

export interface Checksum {
  readonly algo: 'md5' | 'sha256' | 'sha512' | 'sha1' | 'sha224' | 'sha384'
  /** Lower-case hex. */
  readonly value: string
}

/** A checksum, or the URL of a file that has it, and the algorithm if it was named. */
export type ChecksumReference = Checksum | { readonly url: string; readonly algo: Checksum['algo'] | null }

const hexDigits: Record<Checksum['algo'], number> = {
  md5: 32,
  sha1: 40,
  sha224: 56,
  sha256: 64,
  sha384: 96,
  sha512: 128,
}

/**
 * The checksum that instance_info gives; null when it gives none.
 * @throws InvalidInput when it is malformed, half given, or MD5 that is not allowed
 */
export function checksumReference(
  info: Readonly<Record<string, unknown>>,
  { allowMd5, allowFiles }: { allowMd5: boolean; allowFiles: boolean },
): ChecksumReference | null {
  const algo = field(info, 'image_os_hash_algo')
  const value = field(info, 'image_os_hash_value')
  const checksum = field(info, 'image_checksum')
  if ((algo === null) !== (value === null)) {
    const [given, missing] =
      algo === null ? ['image_os_hash_value', 'image_os_hash_algo'] : ['image_os_hash_algo', 'image_os_hash_value']
    throw new InvalidInput(`Cannot verify the image: instance_info has ${given} but not ${missing}; expected both`)
  }
  const reference =
    value !== null && algo !== null ? withAlgorithm(algo, value) : checksum !== null ? bare(checksum) : null
  if (reference === null) return null
  if ('url' in reference && !allowFiles) {
    throw new InvalidInput(
      'Cannot verify the image: its checksum is a URL, and [conductor] disable_support_for_checksum_files is set; expected the checksum itself',
    )
  }
  if (reference.algo === 'md5' && !allowMd5) throw md5Refused()
  return reference
}

/**
 * The checksum of `fileName` in a checksum file.
 * @throws InvalidInput when the file has none for it
 */
export function checksumFromFile(
  text: string,
  {
    fileName,
    algo,
    allowMd5,
    shownUrl,
  }: { fileName: string; algo: Checksum['algo'] | null; allowMd5: boolean; shownUrl: string },
): Checksum {
  const lines = text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '')
  const sole = soleToken(lines)
  const found = (sole === undefined ? hashesFor(fileName, lines) : [sole]).flatMap(hash => ofLength(hash) ?? [])
  const strongest = found.toSorted((a, b) => b.value.length - a.value.length)[0]
  const checksum = found.find(one => one.algo === algo) ?? strongest
  if (!checksum) {
    throw new InvalidInput(
      `Cannot verify the image: the checksum file ${shownUrl} has no MD5, SHA-256 or SHA-512 for ${fileName}; it has ${lines.length} lines`,
    )
  }
  if (algo !== null && checksum.algo !== algo) {
    throw new InvalidInput(
      `Cannot verify the image: the checksum file ${shownUrl} has a ${checksum.algo} for ${fileName}; expected the ${algo} that image_os_hash_algo names`,
    )
  }
  if (checksum.algo === 'md5' && !allowMd5) throw md5Refused()
  return checksum
}

export function isHashAlgorithm(name: string): name is Checksum['algo'] {
  return Object.hasOwn(hexDigits, name)
}

function withAlgorithm(given: string, value: string): ChecksumReference {
  const algo = given.toLowerCase().replace(/^sha-/, 'sha')
  if (!isHashAlgorithm(algo)) {
    throw new InvalidInput(
      `Cannot verify the image: image_os_hash_algo is ${JSON.stringify(given)}; expected sha512, sha384, sha256 or md5`,
    )
  }
  if (isUrl(value)) return { url: value, algo }
  const digits = hexDigits[algo]
  if (!new RegExp(`^[0-9a-f]{${digits}}$`, 'i').test(value)) {
    throw new InvalidInput(
      `Cannot verify the image: image_os_hash_value ${describe(value)}; expected ${digits} hex digits for ${algo}, or the URL of a checksum file`,
    )
  }
  return { algo, value: value.toLowerCase() }
}

function bare(value: string): ChecksumReference {
  if (isUrl(value)) return { url: value, algo: null }
  const [, algo, digest] = /^(md5|sha1|sha256|sha512):([0-9a-f]+)$/i.exec(value) ?? []
  if (algo !== undefined && digest !== undefined) return withAlgorithm(algo, digest)
  const checksum = ofLength(value)
  if (!checksum) {
    throw new InvalidInput(
      `Cannot verify the image: image_checksum ${describe(value)}; expected 32 (MD5), 64 (SHA-256) or 128 (SHA-512) hex digits, or the URL of a checksum file`,
    )
  }
  return checksum
}

function ofLength(value: string): Checksum | undefined {
  if (!/^[0-9a-f]+$/i.test(value)) return undefined
  const algo = ({ 32: 'md5', 64: 'sha256', 128: 'sha512' } as const)[value.length]
  return algo && { algo, value: value.toLowerCase() }
}

/** A file that holds one checksum and nothing else. */
function soleToken(lines: readonly string[]): string | undefined {
  const [only, more] = lines
  return only !== undefined && more === undefined && ofLength(only) ? only : undefined
}

/** `hash  name`, `hash *name`, `name  hash`, `ALG (name) = hash`; names may have a path in front. */
function hashesFor(fileName: string, lines: readonly string[]): string[] {
  const isName = (text: string | undefined) =>
    text !== undefined && text.replace(/^\*/, '').split('/').at(-1) === fileName
  return lines.flatMap(line => {
    if (line.startsWith('#')) return []
    const [, bsdName, bsdHash = ''] = /^[A-Za-z0-9-]+ ?\((.+)\) ?= ?([0-9a-fA-F]+)$/.exec(line) ?? []
    if (isName(bsdName)) return [bsdHash]
    const [, first = '', last] = /^(\S+)\s+(.+)$/.exec(line) ?? []
    if (isName(last)) return [first]
    const [, before, after = ''] = /^(.+?)\s+(\S+)$/.exec(line) ?? []
    return isName(before) ? [after] : []
  })
}

function field(info: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = info[name]
  if (value === undefined || value === null || value === '') return null
  if (typeof value !== 'string')
    throw new InvalidInput(`Cannot verify the image: ${name} is a ${typeof value}; expected a string`)
  return value.trim()
}

function isUrl(value: string): boolean {
  return /^https?:\/\//i.test(value)
}

function describe(value: string): string {
  return /^[0-9a-f]+$/i.test(value) ? `has ${value.length} hex digits` : 'is not hexadecimal'
}

function md5Refused(): InvalidInput {
  return new InvalidInput(
    'Cannot verify the image: its checksum is MD5, which [agent] allow_md5_checksum forbids; expected image_os_hash_algo and image_os_hash_value with sha256 or sha512',
  )
}
