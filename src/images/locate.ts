/**
 * Finds an image wherever its reference says that it is: asks its source what it knows of it, and settles where it is
 * fetched, by the conductor and by the agent. It fetches no image and decides nothing about serving.
 * Source: images, sections 1, 2 and 4 (ironic/common/image_service.py, ironic/drivers/modules/deploy_utils.py restated).
 */
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import { type Checksum, checksumReference } from './checksum.ts'
import { type GlanceImage, showImage } from './glance.ts'
import { type HttpSettings, httpSettings } from './http.ts'
import { chooseOciImage, type OciReference, standsForContainer } from './oci.ts'
import { OciRegistry, type RegistryCredentials } from './oci-registry.ts'
import { openstackService } from './openstack.ts'
import { askSource, type ImageReference, type SourceImage } from './source.ts'
import { swiftTempUrl } from './swift.ts'

export interface LocateContext {
  readonly node: {
    readonly instance_info: Readonly<Record<string, unknown>>
    readonly driver_info: Readonly<Record<string, unknown>>
    readonly properties: Readonly<Record<string, unknown>>
    readonly driver_internal_info?: Readonly<Record<string, unknown>>
  }
  readonly config: Config
  readonly signal: AbortSignal
  shared<T extends object>(key: symbol, make: () => T): T
}

export type DownloadSource = 'http' | 'local' | 'swift'

export interface LocatedImage extends SourceImage {
  /** Whether the agent can fetch it from `url`; else this service has to serve it. */
  readonly agentCanFetch: boolean
  /** Value of the Authorization header that `url` wants from the agent. A secret. */
  readonly authorization: string | null
  /** What the source says; null where it says nothing, and instance_info counts. */
  readonly checksum: Checksum | null
  readonly format: string | null
  /** How it is packed where only the source can tell: other images may begin in the same way. */
  readonly unpack: readonly 'gzip'[]
  readonly containerFormat: string | null
  /** image_type, kernel and ramdisk as the source knows them. */
  readonly kind: Readonly<Record<string, unknown>>
  /** What its owner gave it in Glance, by Glance's names: kernel_id, boot_iso_id … */
  readonly properties: Readonly<Record<string, unknown>>
}

/**
 * Asks the source.
 * @throws ImageUnreachable, ImageRefused, Forbidden, InvalidInput, OpenstackUnavailable
 */
export async function locateImage(
  ctx: LocateContext,
  reference: ImageReference,
  source: DownloadSource,
): Promise<LocatedImage> {
  switch (reference.kind) {
    case 'http':
    case 'file': {
      const settings = httpSettings(ctx.config)
      const allowedPaths = ctx.config.conductor.file_url_allowed_paths
      const found = await askSource(reference, { settings, allowedPaths, signal: ctx.signal })
      return { ...nothingKnown, ...found, agentCanFetch: reference.kind === 'http' }
    }
    case 'glance':
      return locateInGlance(ctx, reference.id, source)
    case 'oci':
      return locateInRegistry(ctx, reference, source)
  }
}

const nothingKnown = {
  authorization: null,
  checksum: null,
  format: null,
  unpack: [],
  containerFormat: null,
  kind: {},
  properties: {},
}

async function locateInGlance(ctx: LocateContext, id: string, source: DownloadSource): Promise<LocatedImage> {
  const { config, signal } = ctx
  const glance = openstackService(ctx, 'glance')
  const forAdmin =
    config.DEFAULT.ignore_project_check_for_admin_tasks && ctx.node.driver_internal_info?.asked_by_admin === true
  const image = await showImage(glance, id, { signal, forAdmin })
  const about = {
    shown: `glance://${id}`,
    sizeBytes: image.size ?? null,
    // The data of an image that is active never changes.
    identity: `glance ${id} ${image.os_hash_value ?? image.checksum ?? ''}`,
    authorization: null,
    checksum: checksumOf(image, config),
    format: image.disk_format ?? null,
    unpack: [],
    containerFormat: image.container_format ?? null,
    kind: kindOf(image),
    properties: image.properties,
  }
  if (source === 'swift') {
    const settings = openSettings(config, openstackService(ctx, 'swift').tls)
    const { url } = await swiftTempUrl(ctx, id, settings)
    return { ...about, source: { kind: 'http', url, settings }, url, agentCanFetch: true }
  }
  const settings = { ...openSettings(config, glance.tls), headers: await glance.authorization() }
  return { ...about, source: { kind: 'http', url: image.dataUrl, settings }, url: image.dataUrl, agentCanFetch: false }
}

/** Of the two that Glance may tell, the newer one. */
function checksumOf({ os_hash_algo, os_hash_value, checksum }: GlanceImage, config: Config): Checksum | null {
  const told = os_hash_algo && os_hash_value ? { os_hash_algo, os_hash_value } : { checksum }
  const info = Object.fromEntries(Object.entries(told).map(([name, value]) => [`image_${name}`, value]))
  const found = checksumReference(info, { allowMd5: config.agent.allow_md5_checksum, allowFiles: false })
  return found && 'value' in found ? found : null
}

function kindOf({ properties }: GlanceImage): Record<string, unknown> {
  const { img_type: image_type, kernel_id: kernel, ramdisk_id: ramdisk } = properties
  return { ...(image_type ? { image_type } : {}), ...(kernel ? { kernel } : {}), ...(ramdisk ? { ramdisk } : {}) }
}

/** How a server is asked that is none of [deploy] image_server_user's. */
function openSettings(
  config: Config,
  { insecure, cafile }: { insecure: boolean; cafile: string | null },
): HttpSettings {
  const { verifyCa, ...settings } = httpSettings(config)
  return { ...settings, verifyCa: insecure ? false : (cafile ?? verifyCa), user: null, password: null }
}

async function locateInRegistry(
  ctx: LocateContext,
  reference: OciReference,
  source: DownloadSource,
): Promise<LocatedImage> {
  const { config } = ctx
  const { shown } = reference
  if (source === 'swift') {
    throw new InvalidInput(
      `Cannot fetch image ${shown}: image_download_source is swift, and the image is in a registry; expected http or local`,
    )
  }
  const { registry, settings, cpuArch } = openRegistry(ctx, reference)
  const image = await chooseOciImage(registry, reference, { source, cpuArch })
  const headers = registry.authorization === null ? {} : { authorization: registry.authorization }
  return {
    shown,
    url: image.blobUrl,
    source: {
      kind: 'http',
      url: image.blobUrl,
      settings: { ...settings, headers, trustedHosts: config.oci.secure_cdn_registries },
    },
    sizeBytes: image.sizeBytes,
    identity: `${image.checksum.algo}:${image.checksum.value}`,
    // Agents write what they get: a compressed image is unpacked here.
    agentCanFetch: image.compression === null,
    authorization: registry.authorization,
    checksum: image.checksum,
    format: image.diskFormat,
    unpack: image.compression === 'gzip' ? ['gzip'] : [],
    containerFormat: null,
    kind: { image_type: 'whole-disk' },
    properties: {},
  }
}

/** The reference's repository, as this node may ask it. */
function openRegistry({ config, node, signal }: LocateContext, { shown, host, repository }: OciReference) {
  const open = openSettings(config, { insecure: false, cafile: null })
  const settings = { ...open, verifyCa: config.oci.verify_ca ?? open.verifyCa }
  const registry = new OciRegistry({
    ...{ host, repository, shown, signal, settings },
    credentials: pullSecret(node, config),
    authenticationConfig: config.oci.authentication_config,
    permitHttp: config.oci.permit_fallback_to_http_transport,
  })
  const { cpu_arch } = node.properties
  return { registry, settings, cpuArch: typeof cpu_arch === 'string' ? cpu_arch : undefined }
}

/**
 * Asks the registry whether the reference stands for a container, which runs, and not for a file that was put there.
 * @throws ImageUnreachable, ImageRefused, InvalidInput
 */
export async function isContainer(ctx: LocateContext, reference: OciReference): Promise<boolean> {
  const { registry, cpuArch } = openRegistry(ctx, reference)
  return standsForContainer(registry, reference, cpuArch)
}

/** Of the instance, of the node, of the configuration. `USER:PASSWORD`, or a token by itself. */
export function pullSecret(
  { instance_info, driver_info }: LocateContext['node'],
  config: Config,
): RegistryCredentials | null {
  for (const given of [instance_info.image_pull_secret, driver_info.image_pull_secret]) {
    if (typeof given !== 'string' || given === '') continue
    const [, user = '', password = given] = /^([^:]*):(.*)$/s.exec(given) ?? []
    return { user, password }
  }
  const { image_server_user: user, image_server_password: password } = config.deploy
  return user && password ? { user, password } : null
}
