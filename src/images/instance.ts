/**
 * The image of a node's instance: is it usable, what is the agent told about it, and is it published for it.
 * Read from instance_info, then driver_info, then the configuration. The store does the work; this file decides.
 *
 * Source: images, section 4, and deploy interfaces, "direct" (ironic/drivers/modules/agent.py, deploy_utils.py restated).
 */
import { randomUUID } from 'node:crypto'
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { Log } from '#lib/log.ts'
import type { ImageInfo } from '#protocol/agent.ts'
import { type Checksum, checksumReference } from './checksum.ts'
import type { StoredImage } from './entries.ts'
import { httpSettings } from './http.ts'
import { type DownloadSource, type LocatedImage, locateImage } from './locate.ts'
import { partitionLayout } from './partitions.ts'
import { publishChunks, publishImage } from './published.ts'
import { refuseDiskInPartition } from './safety.ts'
import { type ImageReference, imageReference, resolveChecksum } from './source.ts'
import { type ImageRequest, ImageStore, type StoreProgress } from './store.ts'

/** What this file needs of a node and its surroundings; a driver's NodeContext has it. */
export interface ImageContext {
  readonly node: {
    readonly uuid: string
    readonly instance_info: Readonly<Record<string, unknown>>
    readonly driver_info: Readonly<Record<string, unknown>>
    readonly properties: Readonly<Record<string, unknown>>
    readonly driver_internal_info?: Readonly<Record<string, unknown>>
  }
  readonly config: Config
  readonly log: Log
  readonly signal: AbortSignal
  /** The agent that called last; null or absent when none did. */
  readonly agent?: { readonly version: string | null } | null
  shared<T extends object>(key: symbol, make: () => T): T
}

/**
 * Asks whether the node's image could be deployed: settings, checksum, source reachable, fits. Fetches no image.
 * @throws InvalidInput, ImageUnreachable, Forbidden naming the setting, what was found, what is expected
 */
export async function validateImage(ctx: ImageContext): Promise<void> {
  await examine(ctx)
}

/**
 * What the agent is told. Where this conductor serves the image, it is fetched, checked, converted and published first,
 * which may take long; doing so again is quick.
 * @param plain for somebody other than an agent: no form that only agents of ours can read
 * @param onProgress hears of that work: queued, download, decompress, convert, verify
 */
export async function imageInfo(
  ctx: ImageContext,
  { onProgress, plain = false }: { onProgress?: (progress: StoreProgress) => void; plain?: boolean } = {},
): Promise<ImageInfo> {
  const { node, config } = ctx
  const image = await examine(ctx)
  const use = { signal: ctx.signal, ...(onProgress && { onProgress }) }
  const common = {
    id: idOf(node.instance_info.image_source),
    container_format: image.found.containerFormat ?? textOf(node.instance_info.image_container_format),
    stream_raw_images: config.agent.stream_raw_images,
    node_uuid: node.uuid,
    ...proxies(node.driver_info),
    ...partitionLayout(image.info, config, node),
  }

  if (image.served) {
    const asked = requestFor(ctx, image)
    const request = plain ? { ...asked, chunked: false } : asked
    return await storeOf(ctx).withImage(
      request,
      async stored => {
        refuseDiskInPartition(stored.image.format, common, image.found.shown)
        const url = await publishImage(ctx, stored.path)
        return {
          ...common,
          urls: [url],
          disk_format: formatForAgent(stored.image.format),
          ...hashOf(stored, image.checksum),
          ...(request.chunked && stored.chunks && { ferrite_chunked: await publishChunks(ctx, stored.chunks) }),
        }
      },
      use,
    )
  }
  const seen = config.conductor.conductor_always_validates_images
    ? await storeOf(ctx).withImage(
        { ...requestFor(ctx, image), convertToRaw: false, chunked: false },
        async stored => stored.image.format,
        use,
      )
    : null
  refuseDiskInPartition(seen, common, image.found.shown)
  return {
    ...common,
    urls: [image.found.url],
    disk_format: image.declared ?? (seen && formatForAgent(seen)),
    ...(image.checksum && checksumFields(image.checksum)),
    ...credentialsFor(image, config),
  }
}

/** What is known of the node's image before anything of it is fetched. */
export interface ImageFacts {
  /** How it is named; never with a login. */
  readonly shown: string
  /** As declared, or as its source says; null: only its content will tell. */
  readonly format: string | null
  readonly sizeBytes: number | null
  readonly checksum: Checksum | null
  /** Whether this service fetches it first. */
  readonly served: boolean
  /** Its entry in the store; null: it is not there. */
  readonly stored: string | null
}

/** Looks at the image's source and at the store, and changes nothing. @throws as validateImage */
export async function imageFacts(ctx: ImageContext): Promise<ImageFacts> {
  const image = await examine(ctx)
  const { found, declared, checksum, served } = image
  const stored = served ? await storeOf(ctx).has(requestFor(ctx, image)) : undefined
  return { shown: found.shown, format: declared, sizeBytes: found.sizeBytes, checksum, served, stored: stored ?? null }
}

/** Drops what the store no longer needs; the conductor calls it every [conductor] cache_clean_up_interval. */
export async function cleanImageStore(ctx: Pick<ImageContext, 'config' | 'log' | 'shared'>): Promise<void> {
  await storeOf(ctx).cleanUp()
}

/** The process's store of instance images. */
export function storeOf(ctx: Pick<ImageContext, 'config' | 'log' | 'shared'>): ImageStore {
  const { config } = ctx
  return ctx.shared(storeKey, () => {
    return new ImageStore({
      root: config.pxe.instance_master_path,
      log: ctx.log,
      now: Date.now,
      limits: () => ({
        maxBytes: config.pxe.image_cache_size * 1024 * 1024,
        ttlMs: config.pxe.image_cache_ttl * 60_000,
        concurrency: config.DEFAULT.parallel_image_downloads ? config.DEFAULT.image_download_concurrency : 1,
      }),
    })
  })
}

const storeKey = Symbol('store of instance images')

interface Examined {
  readonly reference: ImageReference
  readonly found: LocatedImage
  /** instance_info, with what the source says of the kind of the image where instance_info says nothing. */
  readonly info: Readonly<Record<string, unknown>>
  /** null only for files, and where neither Glance nor instance_info has one. */
  readonly checksum: Checksum | null
  /** As the source says, else image_disk_format. */
  readonly declared: string | null
  /** Whether the conductor fetches and serves it, rather than the agent fetching it from its source. */
  readonly served: boolean
}

async function examine(ctx: ImageContext): Promise<Examined> {
  const { node, config, signal } = ctx
  const info = node.instance_info
  const reference = imageReference(info.image_source, 'instance_info image_source')
  const source = downloadSource(node, config)
  proxies(node.driver_info)

  const rules = {
    allowMd5: config.agent.allow_md5_checksum,
    allowFiles: !config.conductor.disable_support_for_checksum_files,
  }
  // A registry's digest is the checksum, whatever else is said.
  const given = reference.kind === 'oci' ? null : checksumReference(info, rules)
  if (!given && reference.kind === 'http') {
    throw new InvalidInput(
      'Cannot verify the image: instance_info has no checksum; expected image_checksum, or image_os_hash_algo and image_os_hash_value',
    )
  }
  const found = await locateImage(ctx, reference, source)
  const known = { ...found.kind, ...withoutNulls(info) }
  partitionLayout(known, config, node)
  const imageUrl = reference.kind === 'http' ? reference.url : found.url
  const asked = { imageUrl, settings: httpSettings(config), allowMd5: rules.allowMd5, signal }
  const checksum = found.checksum ?? (given && (await resolveChecksum(given, asked)))
  const declared = (found.format ?? textOf(info.image_disk_format))?.toLowerCase() ?? null
  const served = source === 'local' || !found.agentCanFetch
  if (!checksum && !served) {
    throw new InvalidInput(
      `Cannot verify image ${found.shown}: Glance knows no hash of it, and instance_info has no checksum; expected one of them, or image_download_source local`,
    )
  }
  refuseTooLarge(ctx, { found, declared, served })
  return { reference, found, info: known, checksum, declared, served }
}

function withoutNulls(info: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(info).filter(([, value]) => value !== null && value !== undefined))
}

function requestFor(ctx: ImageContext, { found, info, checksum, declared }: Examined): ImageRequest {
  const { DEFAULT, agent, conductor, disk_utils } = ctx.config
  return {
    shown: found.shown,
    source: found.source,
    expected: conductor.disable_file_checksum ? null : checksum,
    // Without anything to tell it by, the content is taken to be new each time.
    identity: found.identity ?? randomUUID(),
    convertToRaw: DEFAULT.force_raw_images && agent.stream_raw_images,
    decompress: [...(conductor.disable_zstandard_decompression ? [] : ['zstd' as const]), ...found.unpack],
    inspect: { declared, permitted: conductor.permitted_image_formats, deep: !conductor.disable_deep_image_inspection },
    conversion: {
      memoryLimitMib: disk_utils.image_convert_memory_limit,
      attempts: disk_utils.image_convert_attempts,
      growthFactor: DEFAULT.raw_image_growth_factor,
    },
    chunked: wantsChunks(ctx, info),
  }
}

function downloadSource({ instance_info, driver_info }: ImageContext['node'], config: Config): DownloadSource {
  for (const [field, value] of [
    ['instance_info', instance_info.image_download_source],
    ['driver_info', driver_info.image_download_source],
  ] as const) {
    if (value === undefined || value === null || value === '') continue
    if (value === 'http' || value === 'local' || value === 'swift') return value
    throw new InvalidInput(
      `Cannot fetch the image: ${field} image_download_source is ${JSON.stringify(value)}; expected http, local or swift`,
    )
  }
  return config.agent.image_download_source
}

/** An image that the agent does not stream lies whole in the machine's memory first. */
function refuseTooLarge(
  { node, config }: ImageContext,
  { found, declared, served }: Pick<Examined, 'found' | 'declared' | 'served'>,
): void {
  const memoryMib = Number(node.properties.memory_mb)
  const streamed = config.agent.stream_raw_images && (declared === 'raw' || (served && config.DEFAULT.force_raw_images))
  if (streamed || found.sizeBytes === null || !Number.isFinite(memoryMib) || memoryMib <= 0) return
  const neededMib = Math.ceil(found.sizeBytes / 1024 / 1024) + config.agent.memory_consumed_by_agent
  if (neededMib <= memoryMib) return
  throw new InvalidInput(
    `Cannot deploy image ${found.shown}: the ramdisk would hold it in memory, which takes ${neededMib} MiB, and the node has memory_mb ${memoryMib}; expected a raw image (image_disk_format raw), or image_download_source local`,
  )
}

/**
 * Is the chunked form of use? Not to other agents than ours, and not where the image becomes a partition. An agent that
 * has not called yet is likely ours; for one that turns out to be, the form is made when it asks.
 */
function wantsChunks({ node, config, agent }: ImageContext, info: Examined['info']): boolean {
  if (!config.ferrite.chunked_images || partitionLayout(info, config, node).image_type === 'partition') return false
  return agent?.version == null || agent.version.includes('+ferrite')
}

/** What is written bit for bit is raw to the agent, whatever lies in it. */
function formatForAgent(format: string | null): string | null {
  return format === 'gpt' || format === 'iso' ? 'raw' : format
}

/** The given checksum if the content is as it came, else one of what it became. */
function hashOf(stored: StoredImage, given: Checksum | null): Partial<ImageInfo> {
  if (given && !stored.converted) return checksumFields(given)
  const { hashes } = stored.image
  const algo = given && given.algo !== 'md5' && hashes[given.algo] !== undefined ? given.algo : 'sha256'
  return { os_hash_algo: algo, os_hash_value: hashes[algo] ?? null }
}

/** MD5 goes where every agent looks for it; anything else by its name. */
function checksumFields({ algo, value }: Checksum): Partial<ImageInfo> {
  return algo === 'md5' ? { checksum: value } : { os_hash_algo: algo, os_hash_value: value }
}

/** What the agent needs to be let in by the server of the image, and by no other. */
function credentialsFor({ reference, found }: Examined, { deploy }: Config): Partial<ImageInfo> {
  if (found.authorization !== null) {
    return { image_request_authorization: Buffer.from(found.authorization).toString('base64') }
  }
  if (reference.kind !== 'http') return {}
  if (deploy.image_server_auth_strategy === 'noauth') return {}
  const { image_server_auth_strategy, image_server_user, image_server_password } = deploy
  return { image_server_auth_strategy, image_server_user, image_server_password }
}

function proxies(driverInfo: Readonly<Record<string, unknown>>): Partial<ImageInfo> {
  const http = proxy(driverInfo, 'image_http_proxy')
  const https = proxy(driverInfo, 'image_https_proxy')
  const noProxy = textOf(driverInfo.image_no_proxy)
  if (noProxy !== null) {
    const wrong = noProxy
      .split(',')
      .map(host => host.trim())
      .find(host => !/^(\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[?[0-9a-f:.]+\]?)(:\d+)?$/i.test(host))
    if (wrong !== undefined) {
      throw new InvalidInput(
        `Cannot fetch the image: driver_info image_no_proxy has ${JSON.stringify(wrong)}; expected hosts, addresses or domains with optional ports, separated by commas, without wildcards`,
      )
    }
  }
  if (http === null && https === null) return {}
  return {
    proxies: { ...(http === null ? {} : { http }), ...(https === null ? {} : { https }) },
    ...(noProxy === null ? {} : { no_proxy: noProxy }),
  }
}

function proxy(driverInfo: Readonly<Record<string, unknown>>, name: string): string | null {
  const given = textOf(driverInfo[name])
  if (given === null) return null
  const url = URL.parse(given.includes('://') ? given : `http://${given}`)
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return given
  throw new InvalidInput(`Cannot fetch the image: driver_info ${name} is not an http or https URL`)
}

function idOf(source: unknown): string {
  return (
    String(source)
      .split(/[?#]/, 1)[0]
      ?.split('/')
      .findLast(part => part !== '') ?? 'image'
  )
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null
}
