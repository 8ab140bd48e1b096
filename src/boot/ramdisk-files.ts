/**
 * Which agent ramdisk a node boots, and the way of any kernel, ramdisk or ISO into the directory that machines fetch
 * from. Files of this host are linked; others are downloaded once and asked for changes each time, those of Glance never
 * change.
 *
 * Source: boot facts, "Which ramdisk" (ironic/drivers/modules/deploy_utils.py, conf/conductor.py restated).
 */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { access, mkdir, readFile, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import type { RamdiskMode } from '#drivers/boot-interfaces.ts'
import type { NodeContext } from '#drivers/driver.ts'
import { glanceId } from '#images/glance.ts'
import { Fault, InvalidInput, messageOf } from '#lib/fault.ts'
import { putFile, putLink } from './files.ts'
import { fetchGlanceFile, type GlanceWorld, locateGlanceFile } from './glance-file.ts'

/** Kernel or ramdisk could not be fetched from where they are. */
export class BootFileUnavailable extends Fault {
  readonly status = 500
  readonly code = 'boot-file-unavailable'
}

/** A kernel and its ramdisk: URLs or absolute paths, and who named them. */
export interface RamdiskSource {
  kernel: string
  ramdisk: string
  /** For messages: `driver_info`, `[conductor] deploy_kernel`, … */
  from: string
}

/** One file that a machine boots. */
export interface BootFile {
  /** A URL, an absolute path, or the UUID of an image of Glance. */
  location: string
  /** Who named it, for messages; an option as `[section] name`, which is trusted with any file of this host. */
  from: string
}

type World = Pick<NodeContext, 'node' | 'config'>

/**
 * The pair the node boots: its own, else the one configured for its architecture, else the configured one, else the
 * one that `ferrite ramdisk build` made.
 * @throws InvalidInput when half a pair is set and that is not to be ignored
 */
export function ramdiskSource({ node, config }: World, mode: RamdiskMode): RamdiskSource {
  const prefix = mode === 'rescue' ? 'rescue' : 'deploy'
  const { conductor } = config
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null)
  const arch = text(node.properties.cpu_arch) ?? ''
  const pairs = [
    {
      from: 'driver_info',
      kernel: text(node.driver_info[`${prefix}_kernel`]),
      ramdisk: text(node.driver_info[`${prefix}_ramdisk`]),
    },
    {
      from: `[conductor] ${prefix}_kernel_by_arch (${arch})`,
      kernel: conductor[`${prefix}_kernel_by_arch`][arch] ?? null,
      ramdisk: conductor[`${prefix}_ramdisk_by_arch`][arch] ?? null,
    },
    {
      from: `[conductor] ${prefix}_kernel`,
      kernel: conductor[`${prefix}_kernel`],
      ramdisk: conductor[`${prefix}_ramdisk`],
    },
  ]
  for (const { from, kernel, ramdisk } of pairs) {
    if (kernel !== null && ramdisk !== null) return { kernel, ramdisk, from }
    if (kernel === ramdisk || !conductor.error_on_ramdisk_config_inconsistency) continue
    const [set, unset] = kernel === null ? ['ramdisk', 'kernel'] : ['kernel', 'ramdisk']
    throw new InvalidInput(`Cannot boot node ${node.uuid}: ${from} names a ${set} without a ${unset}; expected both`)
  }
  const directory = resolve(config.ferrite.ramdisk_dir)
  return {
    kernel: join(directory, 'ferrite-agent.kernel'),
    ramdisk: join(directory, 'ferrite-agent.initramfs'),
    from: '[ferrite] ramdisk_dir',
  }
}

/**
 * Checks what can be checked without fetching: the form of the URLs, that local files are there, that Glance has what it
 * is to have.
 * @throws InvalidInput naming who named the file; ImageUnreachable, OpenstackUnavailable
 */
export async function checkRamdiskSource(world: GlanceWorld, source: RamdiskSource): Promise<void> {
  for (const location of [source.kernel, source.ramdisk]) await checkBootFile(world, { location, from: source.from })
}

/** The same for one file. */
export async function checkBootFile(world: GlanceWorld, file: BootFile): Promise<void> {
  const id = glanceId(file.location)
  if (id === undefined) await localPath(world, file)
  else await locateGlanceFile(world, id)
}

/**
 * Makes the pair available as `<directory>/<prefix>_kernel` and `<prefix>_ramdisk`.
 * @throws InvalidInput, BootFileUnavailable
 */
export async function publishRamdisk(
  ctx: NodeContext,
  source: RamdiskSource,
  directory: string,
  prefix: 'deploy' | 'rescue',
): Promise<void> {
  for (const kind of ['kernel', 'ramdisk'] as const) {
    await publishBootFile(ctx, { location: source[kind], from: source.from }, join(directory, `${prefix}_${kind}`))
  }
}

/** Makes one file available as `path`. @throws InvalidInput, BootFileUnavailable */
export async function publishBootFile(ctx: NodeContext, file: BootFile, path: string): Promise<void> {
  await putLink(path, await fetchBootFile(ctx, file), ctx.config.pxe.file_permission)
}

/** The path of one file on this host, downloaded if it has to be. @throws InvalidInput, BootFileUnavailable, and of Glance */
export async function fetchBootFile(ctx: NodeContext, file: BootFile): Promise<string> {
  const id = glanceId(file.location)
  if (id !== undefined) return await fetchGlanceFile(ctx, id)
  return (await localPath(ctx, file)) ?? (await downloaded(ctx, file))
}

/** The path of a file of this host; null for one that must be fetched. */
async function localPath({ node, config }: World, { location, from }: BootFile): Promise<string | null> {
  const cannot = `Cannot boot node ${node.uuid}: ${from} names ${location}`
  const url = location.startsWith('/') ? null : URL.parse(location)
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return null
  if (url !== null && url.protocol !== 'file:')
    throw new InvalidInput(`${cannot}; expected an http, https or file URL, or the UUID of an image of Glance`)
  if (url === null && !location.startsWith('/'))
    throw new InvalidInput(`${cannot}; expected an http, https or file URL, or the UUID of an image of Glance`)
  const path = await realpath(url === null ? location : fileURLToPath(url)).catch(() => null)
  const isReadable =
    path !== null &&
    (await access(path).then(
      () => true,
      () => false,
    ))
  if (!isReadable) {
    const hint = from === '[ferrite] ramdisk_dir' ? '; run "ferrite ramdisk build", or name a kernel and ramdisk' : ''
    throw new InvalidInput(`${cannot}, a file that is not there or cannot be read${hint}`)
  }
  // Whoever may change a node must not be able to publish any file of this host.
  const allowed = config.conductor.file_url_allowed_paths
  const isTrusted = isOfHost(from) || allowed.some(top => path === top || path.startsWith(`${top}/`))
  if (isTrusted) return path
  throw new InvalidInput(`${cannot}, outside of [conductor] file_url_allowed_paths (${allowed.join(', ') || 'none'})`)
}

/** Did this host's configuration name it, rather than somebody who may change a node or an image? */
const isOfHost = (from: string) => from.startsWith('[')

/** Downloads in progress: machines that boot the same ramdisk wait for one download. */
const DOWNLOADS = Symbol('boot file downloads')

async function downloaded(ctx: NodeContext, { location: url, from }: BootFile): Promise<string> {
  const running = ctx.shared(DOWNLOADS, () => new Map<string, Promise<string>>())
  const download =
    running.get(url) ??
    fetchChanged(url, join(ctx.config.pxe.tftp_master_path, createHash('sha256').update(url).digest('hex'))).finally(
      () => running.delete(url),
    )
  running.set(url, download)
  try {
    return await download
  } catch (error) {
    throw new BootFileUnavailable(
      `Cannot boot node ${ctx.node.uuid}: ${from} names ${url}, which could not be fetched: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

const FETCH_LIMIT_MS = 10 * 60_000

/** Fetches the URL into `path`, unless the server says that what is there is still right. */
async function fetchChanged(url: string, path: string): Promise<string> {
  const known = JSON.parse(await readFile(`${path}.json`, 'utf8').catch(() => '{}')) as Record<string, string> // ours
  const isThere = await access(path).then(
    () => true,
    () => false,
  )
  const headers: Record<string, string> = {}
  if (isThere && known.etag) headers['if-none-match'] = known.etag
  if (isThere && known.modified) headers['if-modified-since'] = known.modified
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(FETCH_LIMIT_MS) }).catch(error => {
    throw error.cause ?? error // fetch hides what happened in the cause
  })
  if (response.status === 304) return path
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel()
    throw new Error(`HTTP ${response.status} ${response.statusText}`)
  }
  await mkdir(dirname(path), { recursive: true })
  const partial = `${path}.part`
  try {
    await pipeline(Readable.fromWeb(response.body), createWriteStream(partial))
    await rename(partial, path)
  } finally {
    await rm(partial, { force: true })
  }
  const [etag, modified] = [response.headers.get('etag'), response.headers.get('last-modified')]
  await putFile(`${path}.json`, JSON.stringify({ url, ...(etag && { etag }), ...(modified && { modified }) }), 0o644)
  return path
}
