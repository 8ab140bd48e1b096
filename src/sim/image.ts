/**
 * Writing an image on a simulated machine: the image is really fetched and really hashed where that is asked for, and
 * what is left on the disk is its digest. Pace comes from the settings, so that progress can be watched.
 *
 * Source: openstack/ironic-python-agent `extensions/standby.py` (which checksum counts, error names).
 */
import { createHash } from 'node:crypto'
import { Compile } from 'typebox/compile'
import type { Clock } from '#lib/clock.ts'
import { messageOf } from '#lib/fault.ts'
import { ImageInfo, type PartitionUuids } from '#protocol/agent.ts'
import { type Report, SimAgentError } from './commands.ts'
import type { Network } from './network.ts'

/** What a machine boots from its disk. */
export interface WrittenImage {
  id: string
  url: string
  sizeBytes: number
  /** Of what was written, as `algorithm:hex`; null when nothing was fetched. */
  digest: string | null
  /** Disk identifier as a whole-disk image has it, or UUID of the root file system. */
  rootUuid: string
  /** Partitions were made around it. */
  isPartition: boolean
  configDrive: string | null
}

export interface ImageWork {
  network: Network
  clock: Clock
  signal: AbortSignal
  /** How long it shall take in all. */
  durationMs: number
  /** False: take the time only. */
  fetches: boolean
  /** Bytes of the disk. */
  capacityBytes: number
  report: Report
}

type Paced = Pick<ImageWork, 'clock' | 'signal' | 'durationMs' | 'report'>

const imageInfo = Compile(ImageInfo)
/** What an image that is not fetched is taken for. */
const assumedBytes = 512 * 2 ** 20

/** @throws SimAgentError under the names conductors know */
export async function writeImage(given: unknown, configDrive: string | null, work: ImageWork): Promise<WrittenImage> {
  if (!imageInfo.Check(given)) {
    const [problem] = imageInfo.Errors(given)
    throw new SimAgentError('InvalidImage', `Cannot read image_info: ${problem?.instancePath} ${problem?.message}`)
  }
  const [url = ''] = given.urls
  const written = work.fetches
    ? await fetchImage(given, url, work)
    : { sizeBytes: assumedBytes, digest: null, hex: createHash('sha256').update(url).digest('hex') }
  if (!work.fetches) await takingTime(work, { phase: 'write', totalBytes: assumedBytes })
  const { sizeBytes, digest, hex } = written
  const isPartition = given.image_type === 'partition'
  const rootUuid = isPartition
    ? hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    : `0x${hex.slice(0, 8)}`
  return { id: given.id, url, sizeBytes, digest, rootUuid, isPartition, configDrive }
}

/** What is on the disk after something was put there by a way of its own. */
export function takenFrom(url: string): WrittenImage {
  const hex = createHash('sha256').update(url).digest('hex')
  const rootUuid = `0x${hex.slice(0, 8)}`
  return { id: url, url, sizeBytes: assumedBytes, digest: null, rootUuid, isPartition: false, configDrive: null }
}

/** As agents answer `get_partition_uuids`: of a partition image they have more to tell. */
export function uuidsOf({ rootUuid, isPartition }: WrittenImage): PartitionUuids {
  if (!isPartition) return { 'root uuid': rootUuid }
  return {
    'root uuid': rootUuid,
    'efi system partition uuid': `${rootUuid.slice(0, 4)}-${rootUuid.slice(4, 8)}`.toUpperCase(),
    partitions: { 'efi system partition': '/dev/sda1', root: '/dev/sda2' },
  }
}

async function fetchImage(
  info: ImageInfo,
  url: string,
  work: ImageWork,
): Promise<{ sizeBytes: number; digest: string; hex: string }> {
  const expected = await expectedDigest(info, url, work)
  const headers: Record<string, string> = info.image_request_authorization
    ? { authorization: Buffer.from(info.image_request_authorization, 'base64').toString() }
    : {}
  const cannot = `Downloading image ${info.id} from ${url}`
  const download = await work.network.download({ url, headers, signal: work.signal }).catch(error => {
    throw new SimAgentError('ImageDownloadError', `${cannot}: ${messageOf(error)}`)
  })
  if (download.status !== 200) {
    for await (const _ of download.body);
    throw new SimAgentError('ImageDownloadError', `${cannot}: the server answered ${download.status}, expected 200`)
  }
  const hash = createHash(expected.algorithm)
  const pace = new Pace(work, { phase: 'write', totalBytes: download.sizeBytes })
  let sizeBytes = 0
  try {
    for await (const chunk of download.body) {
      sizeBytes += chunk.length
      if (sizeBytes > work.capacityBytes) {
        const text = `The image has more than the ${work.capacityBytes} bytes of the disk`
        throw new SimAgentError('ImageWriteError', text)
      }
      hash.update(chunk)
      await pace.at(sizeBytes)
    }
  } catch (error) {
    if (error instanceof SimAgentError || work.signal.aborted) throw error
    throw new SimAgentError('ImageDownloadError', `${cannot} broke off after ${sizeBytes} bytes: ${messageOf(error)}`)
  }
  const hex = hash.digest('hex')
  if (hex !== expected.hex) {
    const found = `the ${expected.algorithm} of its ${sizeBytes} bytes is ${hex}, expected ${expected.hex}`
    throw new SimAgentError('ImageChecksumError', `Image ${info.id} from ${url} is not the one asked for: ${found}`)
  }
  return { sizeBytes, digest: `${expected.algorithm}:${hex}`, hex }
}

/** `os_hash_algo` and `os_hash_value` count before `checksum`, whose algorithm its length tells. */
async function expectedDigest(
  info: ImageInfo,
  imageUrl: string,
  { network, signal }: ImageWork,
): Promise<{ algorithm: string; hex: string }> {
  const value = info.os_hash_value || info.checksum
  if (!value) throw new SimAgentError('InvalidImage', `Image ${info.id} comes without a checksum`)
  let hex = value.trim().toLowerCase()
  if (/^https?:/.test(hex)) {
    const { text } = await network.call({ method: 'GET', url: value.trim(), signal })
    const lines = text.split('\n')
    const line = lines.find(each => each.includes(imageUrl.split('/').pop() ?? '')) ?? lines[0] ?? ''
    hex = /\b[0-9a-f]{32,128}\b/.exec(line.toLowerCase())?.[0] ?? ''
  }
  const byLength: Record<number, string> = { 32: 'md5', 40: 'sha1', 64: 'sha256', 128: 'sha512' }
  const named = info.os_hash_value ? info.os_hash_algo?.toLowerCase().replace('-', '') : undefined
  const algorithm = named ?? byLength[hex.length]
  if (algorithm === undefined) throw new SimAgentError('InvalidImage', `"${hex}" is no checksum of a known length`)
  return { algorithm, hex }
}

/** Takes the time of `work` and tells progress, without doing anything. */
export async function takingTime(
  work: Paced,
  { phase, totalBytes }: { phase: string; totalBytes: number },
): Promise<void> {
  const pace = new Pace(work, { phase, totalBytes })
  const parts = 20
  for (let part = 1; part <= parts; part++) await pace.at(Math.round((totalBytes * part) / parts))
}

/** Holds work back so that it ends after its duration, and tells how far it is. */
class Pace {
  readonly #work: Paced
  readonly #phase: string
  readonly #totalBytes: number | null
  readonly #startedMs: number

  constructor(work: Paced, { phase, totalBytes }: { phase: string; totalBytes: number | null }) {
    this.#work = work
    this.#phase = phase
    this.#totalBytes = totalBytes
    this.#startedMs = work.clock.now()
  }

  async at(bytes: number): Promise<void> {
    const { clock, signal, durationMs, report } = this.#work
    signal.throwIfAborted()
    const share = this.#totalBytes ? bytes / this.#totalBytes : 1
    const aheadMs = this.#startedMs + durationMs * share - clock.now()
    // Less than this is not worth a timer.
    if (aheadMs >= 5) await clock.sleep(aheadMs, signal)
    const elapsedMs = Math.max(1, clock.now() - this.#startedMs)
    report({
      phase: this.#phase,
      bytes,
      total_bytes: this.#totalBytes,
      rate_bytes_per_s: Math.round((bytes * 1000) / elapsedMs),
      started_at: new Date(this.#startedMs).toISOString(),
    })
  }
}
