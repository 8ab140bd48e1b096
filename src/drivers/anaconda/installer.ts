/**
 * What a node's installation takes: kernel, ramdisk and second stage of the installer, the template of its kickstart, and
 * the system that it installs, which is a repository of packages or the image of a system (liveimg). What instance_info
 * does not name, the image's owner may, where the image is one of Glance.
 *
 * Source: deploy interfaces, "anaconda" (ironic/common/pxe_utils.py, image_service.py restated); Anaconda boot options
 * inst.repo, inst.stage2, inst.ks.
 */
import { rm } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { putLink } from '#boot/files.ts'
import { fileOfImage } from '#boot/glance-file.ts'
import { type BootFile, checkBootFile } from '#boot/ramdisk-files.ts'
import { shownUrl } from '#images/faults.ts'
import { ask, httpSettings } from '#images/http.ts'
import { storeOf } from '#images/instance.ts'
import { type LocatedImage, locateImage } from '#images/locate.ts'
import { imageReference } from '#images/source.ts'
import { verbatim } from '#images/verbatim.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { NodeContext } from '../driver.ts'

/** What image_source turned out to be. */
export interface SourceKind {
  /** A repository rather than one file. */
  readonly isPath: boolean
  readonly url: string
  /** What Glance, a registry or this host's files know of it; null where the installer fetches it by itself. */
  readonly image: LocatedImage | null
}

/** What is installed; its URL is the one that the installer is told. */
export interface Source extends SourceKind {
  /** Hex of the SHA-256 of the file; null when nobody gave one. */
  readonly sha256: string | null
}

/** Files of the installer; a repository brings its second stage along. */
export interface InstallerFiles {
  readonly kernel: BootFile
  readonly ramdisk: BootFile
  readonly stage2: BootFile | null
  /** Of the kickstart; null for that of the configuration, or ours. */
  readonly template: BootFile | null
}

/** Of instance_info, else of the image. @throws InvalidInput naming what both lack */
export function installerFiles({ node }: Pick<NodeContext, 'node'>, { isPath, image }: SourceKind): InstallerFiles {
  const given = (name: string): BootFile | null => {
    const location = node.instance_info[name]
    return typeof location === 'string' && location !== '' ? { location, from: `instance_info/${name}` } : null
  }
  const told = (property: string) => image && fileOfImage(image, property)
  const pairs = [
    { kernel: given('kernel'), ramdisk: given('ramdisk') },
    { kernel: told('kernel_id'), ramdisk: told('ramdisk_id') },
  ] as const
  // The kernel of one would not know the modules in the ramdisk of the other.
  const { kernel, ramdisk } = pairs.find(pair => pair.kernel && pair.ramdisk) ?? pairs[0]
  const stage2 = given('stage2') ?? told('stage2_id')
  if (!kernel || !ramdisk || !(stage2 || isPath)) {
    const wanted = ['kernel', 'ramdisk', ...(isPath ? [] : ['stage2'])]
    const lacking = wanted.filter(name => !given(name))
    const untold = wanted.map(name => `${name}_id`).filter(property => !told(property))
    throw new InvalidInput(
      `Cannot install node ${node.uuid}: instance_info has no ${lacking.join(', no ')}` +
        (image ? `, and ${image.shown} no property ${untold.join(', ')}; ` : '; ') +
        'expected the installer as http, https or file URLs or images of Glance' +
        (isPath ? '' : ' (stage2 is left out only where image_source is a repository, a URL that ends with "/")'),
    )
  }
  return { kernel, ramdisk, stage2, template: given('ks_template') ?? told('ks_template') }
}

/** @throws InvalidInput, when one of them is named wrongly or is not on this host */
export async function checkInstallerFiles(
  ctx: NodeContext,
  { kernel, ramdisk, stage2 }: InstallerFiles,
): Promise<void> {
  for (const file of [kernel, ramdisk, stage2]) if (file) await checkBootFile(ctx, file)
}

/** Asks where image_source leads to. @throws InvalidInput, ImageUnreachable, Forbidden, OpenstackUnavailable */
export async function examineSource(ctx: NodeContext): Promise<SourceKind> {
  const reference = imageReference(ctx.node.instance_info.image_source, 'instance_info image_source')
  if (reference.kind === 'http') {
    return { isPath: await isRepository(ctx, reference.url), url: reference.url, image: null }
  }
  const image = await locateImage(ctx, reference, 'local')
  return { isPath: false, url: image.url, image }
}

/** Says its server that the URL is a repository, unless the URL does? */
async function isRepository(ctx: NodeContext, url: string): Promise<boolean> {
  const { status, headers, body } = await ask('HEAD', url, httpSettings(ctx.config), { signal: ctx.signal })
  await body.dump()
  if (status >= 400 && ![403, 405, 501].includes(status)) {
    throw new InvalidInput(
      `Cannot install node ${ctx.node.uuid}: image_source ${shownUrl(url)} answers ${status}; ` +
        'expected a repository or the image of a system',
    )
  }
  return url.endsWith('/') || /^text\/html\b/.test(String(headers['content-type'] ?? ''))
}

/** The source as the installer reaches it; what this service has to serve is fetched, checked and put in place first. */
export async function publishSource(ctx: NodeContext): Promise<Source> {
  const { node, config } = ctx
  const info = node.instance_info
  const source = await examineSource(ctx)
  const { image: found } = source
  const given = info.image_os_hash_algo === 'sha256' ? info.image_os_hash_value : info.image_checksum
  const sha256 = typeof given === 'string' && /^[0-9a-f]{64}$/i.test(given) ? given.toLowerCase() : null
  if (!found) return { ...source, sha256 }

  const request = verbatim(found, sha256 === null ? found.checksum : { algo: 'sha256', value: sha256 })
  const name = `liveimg${extensionOf(ctx, found)}`
  const path = join(config.deploy.http_root, node.uuid, name)
  return await storeOf(ctx).withImage(
    request,
    async stored => {
      await putLink(path, stored.path, config.pxe.file_permission)
      const url = `${config.deploy.http_url}/${node.uuid}/${name}`
      return { ...source, url, sha256: stored.image.hashes.sha256 ?? null }
    },
    { signal: ctx.signal },
  )
}

/** Takes back what publishSource put in place. */
export async function releaseSource({ node, config }: Pick<NodeContext, 'node' | 'config'>): Promise<void> {
  const folder = join(config.deploy.http_root, node.uuid)
  for (const extension of ['', ...extensions]) await rm(join(folder, `liveimg${extension}`), { force: true })
}

/** Anaconda tells an archive from a file system by its name. */
const extensions = ['.img', '.tar', '.tbz', '.tgz', '.txz', '.tar.gz', '.tar.bz2', '.tar.xz']

function extensionOf(
  { node, log }: NodeContext,
  { properties: { disk_file_extension: told }, shown }: LocatedImage,
): string {
  if (extensions.some(known => known === told)) return String(told)
  if (told) {
    log.warn(
      { expected: extensions },
      `property disk_file_extension of ${shown} is ${JSON.stringify(told)}, which Anaconda does not know: it will mount the image`,
    )
  }
  const source = String(node.instance_info.image_source)
  const path = (URL.parse(source)?.pathname ?? source).toLowerCase()
  const known = extensions.filter(each => path.endsWith(each)).sort((a, b) => b.length - a.length)
  return known[0] ?? (extname(path) === '' ? '' : '.img')
}
