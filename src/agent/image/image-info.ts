/**
 * Reads `image_info` and decides which checksum the image must have. An image without a usable checksum is refused
 * before anything is fetched.
 *
 * Source: openstack/ironic-python-agent `extensions/standby.py`.
 */
import { getHashes } from 'node:crypto'
import { Value } from 'typebox/value'
import { ImageInfo } from '#protocol/agent.ts'
import { AgentFault } from '../errors.ts'
import type { Options } from '../options.ts'

export interface Checksum {
  /** As node:crypto names it: `sha256`. */
  algorithm: string
  /** Lower-case hex. */
  expected: string
}

/** What is said of the checksum; a URL in place of the value must still be fetched. */
export interface ChecksumClaim {
  /** Null: by the length of the value. */
  algorithm: string | null
  value: string
}

/** @throws AgentFault InvalidImage naming the field */
export function readImageInfo(value: unknown): ImageInfo {
  if (Value.Check(ImageInfo, value)) return value
  const [first] = Value.Errors(ImageInfo, value)
  throw new AgentFault(
    'InvalidImage',
    `Cannot read image_info: ${first?.instancePath || 'it'} ${first?.message ?? 'is missing'}`,
  )
}

/** @throws AgentFault when there is no checksum this agent could check */
export function checkImageInfo(info: ImageInfo, options: Options): void {
  const claim = claimedChecksum(info, options)
  if (!isUrl(claim.value)) finishChecksum(claim, claim.value, options)
}

/**
 * Which of the fields counts: `os_hash_algo` and `os_hash_value` before `checksum`.
 * @throws AgentFault InvalidImage when there is none
 */
export function claimedChecksum(info: ImageInfo, options: Options): ChecksumClaim {
  const algorithm = info.os_hash_algo?.toLowerCase().replace('-', '') ?? null
  if (algorithm !== null && info.os_hash_value) {
    if (isKnown(algorithm, options)) return { algorithm, value: info.os_hash_value.trim() }
    if (!info.checksum) throw unusable(`${algorithm} is not an algorithm this agent may use`)
  }
  if (!info.checksum) throw unusable('none was given')
  return {
    algorithm: algorithm !== null && isKnown(algorithm, options) ? algorithm : null,
    value: info.checksum.trim(),
  }
}

/** @param digest the value itself, or what was found in the file its URL led to */
export function finishChecksum(claim: ChecksumClaim, digest: string, options: Options): Checksum {
  const expected = digest.toLowerCase()
  if (!/^[0-9a-f]+$/.test(expected)) throw unusable(`"${digest.slice(0, 140)}" is not a hexadecimal digest`)
  const algorithm = claim.algorithm ?? BY_LENGTH[expected.length]
  if (algorithm === undefined) {
    throw unusable(`${expected.length} digits belong to none of md5 (32), sha1 (40), sha256 (64), sha512 (128)`)
  }
  if (!isKnown(algorithm, options)) throw unusable(`${algorithm} is not allowed`)
  return { algorithm, expected }
}

export function isUrl(value: string): boolean {
  return /^https?:\/\//i.test(value)
}

const BY_LENGTH: Record<number, string> = { 32: 'md5', 40: 'sha1', 64: 'sha256', 128: 'sha512' }

function isKnown(algorithm: string, { md5Enabled }: Options): boolean {
  return getHashes().includes(algorithm) && (algorithm !== 'md5' || md5Enabled)
}

function unusable(why: string): AgentFault {
  return new AgentFault('InvalidImage', `Cannot check the image: no usable checksum: ${why}`)
}
