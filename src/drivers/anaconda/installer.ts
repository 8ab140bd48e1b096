/**
 * What a node's installation takes: kernel, ramdisk and second stage of the installer, and the system that it installs,
 * which is a repository of packages or the image of a system (liveimg).
 *
 * Source: deploy interfaces, "anaconda" (ironic/common/pxe_utils.py, image_service.py restated); Anaconda boot options
 * inst.repo, inst.stage2, inst.ks.
 */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { putLink } from '#boot/files.ts'
import { type BootFile, checkBootFile } from '#boot/ramdisk-files.ts'
import { shownUrl } from '#images/faults.ts'
import { ask, httpSettings } from '#images/http.ts'
import { storeOf } from '#images/instance.ts'
import { locateImage } from '#images/locate.ts'
import { imageReference } from '#images/source.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { NodeContext } from '../driver.ts'

/** What is installed, as the installer is told. */
export interface Source {
  readonly url: string
  /** A repository rather than one file. */
  readonly isPath: boolean
  /** Hex of the SHA-256 of the file; null when nobody gave one. */
  readonly sha256: string | null
}

/** Files of the installer; a repository brings its second stage along. */
export interface InstallerFiles {
  readonly kernel: BootFile
  readonly ramdisk: BootFile
  readonly stage2: BootFile | null
}

/** @throws InvalidInput naming what instance_info lacks */
export function installerFiles({ node }: Pick<NodeContext, 'node'>, { isPath }: { isPath: boolean }): InstallerFiles {
  const file = (name: string): BootFile | null => {
    const location = node.instance_info[name]
    return typeof location === 'string' && location !== '' ? { location, from: `instance_info/${name}` } : null
  }
  const [kernel, ramdisk, stage2] = [file('kernel'), file('ramdisk'), file('stage2')]
  const missing = Object.entries({ kernel, ramdisk, ...(isPath ? {} : { stage2 }) }).filter(([, found]) => !found)
  if (!kernel || !ramdisk || missing.length > 0) {
    throw new InvalidInput(
      `Cannot install node ${node.uuid}: instance_info has no ${missing.map(([name]) => name).join(', no ')}; expected ` +
        'the installer as http, https or file URLs or images of Glance' +
        (isPath ? '' : ' (stage2 is left out only where image_source is a repository, a URL that ends with "/")'),
    )
  }
  return { kernel, ramdisk, stage2 }
}

/** @throws InvalidInput, when one of them is named wrongly or is not on this host */
export async function checkInstallerFiles(
  ctx: NodeContext,
  { kernel, ramdisk, stage2 }: InstallerFiles,
): Promise<void> {
  for (const file of [kernel, ramdisk, stage2]) if (file) await checkBootFile(ctx, file)
}

/** Is the source a repository? Asked of its server, unless its URL says so. @throws InvalidInput, ImageUnreachable */
export async function isRepository(ctx: NodeContext): Promise<boolean> {
  const reference = imageReference(ctx.node.instance_info.image_source, 'instance_info image_source')
  if (reference.kind !== 'http') return false
  const { status, headers, body } = await ask('HEAD', reference.url, httpSettings(ctx.config), { signal: ctx.signal })
  await body.dump()
  if (status >= 400 && ![403, 405, 501].includes(status)) {
    throw new InvalidInput(
      `Cannot install node ${ctx.node.uuid}: image_source ${shownUrl(reference.url)} answers ${status}; ` +
        'expected a repository or the image of a system',
    )
  }
  return reference.url.endsWith('/') || /^text\/html\b/.test(String(headers['content-type'] ?? ''))
}

/** The source as the installer reaches it; what this service has to serve is fetched, checked and put in place first. */
export async function publishSource(ctx: NodeContext): Promise<Source> {
  const { node, config } = ctx
  const info = node.instance_info
  const reference = imageReference(info.image_source, 'instance_info image_source')
  const given = info.image_os_hash_algo === 'sha256' ? info.image_os_hash_value : info.image_checksum
  const sha256 = typeof given === 'string' && /^[0-9a-f]{64}$/i.test(given) ? given.toLowerCase() : null
  if (reference.kind === 'http') return { url: reference.url, isPath: await isRepository(ctx), sha256 }

  const found = await locateImage(ctx, reference, 'local')
  const request = {
    shown: found.shown,
    source: found.source,
    expected: sha256 === null ? found.checksum : ({ algo: 'sha256', value: sha256 } as const),
    identity: found.identity ?? randomUUID(),
    // Tar files and images of file systems are none of the formats that are looked for.
    convertToRaw: false,
    decompress: [],
    inspect: null,
    conversion: { memoryLimitMib: 0, attempts: 1, growthFactor: 1 },
    chunked: false,
  }
  const name = `liveimg${extensionOf(String(info.image_source))}`
  const path = join(config.deploy.http_root, node.uuid, name)
  return await storeOf(ctx).withImage(
    request,
    async stored => {
      await putLink(path, stored.path, config.pxe.file_permission)
      const url = `${config.deploy.http_url}/${node.uuid}/${name}`
      return { url, isPath: false, sha256: stored.image.hashes.sha256 ?? null }
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

function extensionOf(source: string): string {
  const path = (URL.parse(source)?.pathname ?? source).toLowerCase()
  const known = extensions.filter(each => path.endsWith(each)).sort((a, b) => b.length - a.length)
  return known[0] ?? (extname(path) === '' ? '' : '.img')
}
