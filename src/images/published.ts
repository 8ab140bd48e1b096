/**
 * What of the store a node's agent may fetch: links under the node's name in [pxe] images_path, and to these below [deploy]
 * http_root, where this service or another server serves them. The plain image, and beside it the chunked form.
 *
 * Source: images, section 4, "Serving" (ironic/drivers/modules/deploy_utils.py restated).
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Config } from '#config/options.ts'
import type { ChunkedImage } from '#protocol/chunked-image.ts'
import type { StoredChunks } from './chunked/stored-form.ts'
import { ImageNotPrepared } from './faults.ts'
import { ask, httpSettings } from './http.ts'

export interface PublishContext {
  readonly node: { readonly uuid: string }
  readonly config: Config
  readonly signal: AbortSignal
}

/** @param path of the image in the store @returns the URL that an agent gets */
export async function publishImage(ctx: PublishContext, path: string): Promise<string> {
  return await publish(ctx, path, 'disk')
}

/** The chunked form beside the plain one: what agents of ours find under a key that others ignore. */
export async function publishChunks(ctx: PublishContext, stored: StoredChunks): Promise<ChunkedImage> {
  return {
    manifest_url: await publish(ctx, stored.manifestPath, 'manifest'),
    manifest_sha256: stored.manifestSha256,
    data_url: await publish(ctx, stored.dataPath, 'chunks'),
  }
}

/** Takes back what was published for the node; the store keeps the image for others. */
export async function releaseInstanceImage({ node, config }: Pick<PublishContext, 'node' | 'config'>): Promise<void> {
  for (const name of publishedNames) await rm(placesOf(node.uuid, name, config).linkPath, { force: true })
  await rm(dirname(placesOf(node.uuid, 'disk', config).filePath), { recursive: true, force: true })
}

const publishedNames = ['disk', 'manifest', 'chunks'] as const
type PublishedName = (typeof publishedNames)[number]

/** A stored file under the node's name, and a link to it below the HTTP root. */
async function publish(ctx: PublishContext, path: string, name: PublishedName): Promise<string> {
  const { config, node } = ctx
  const { filePath, linkPath, url } = placesOf(node.uuid, name, config)
  await mkdir(dirname(filePath), { recursive: true })
  await mkdir(dirname(linkPath), { recursive: true })
  await replace(filePath, fresh =>
    link(path, fresh).catch(error => {
      // Stores on another file system are copied from; where the file system can, without copying.
      if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error
      return copyFile(path, fresh, constants.COPYFILE_FICLONE)
    }),
  )
  await replace(linkPath, fresh => symlink(resolve(filePath), fresh))
  if (!config.ferrite.http_serve) await checkServed(ctx, url)
  return url
}

/** Another server than ours serves http_root: better to hear here than from the ramdisk that it does not. */
async function checkServed({ config, signal }: PublishContext, url: string): Promise<void> {
  const { status, body } = await ask('HEAD', url, httpSettings(config), { signal })
  await body.dump()
  if (status === 200) return
  throw new ImageNotPrepared(
    `Cannot serve the image: ${url} answers ${status}; expected the server of [deploy] http_url to serve [deploy] http_root (${config.deploy.http_root}) and to follow symbolic links`,
  )
}

async function replace(path: string, make: (path: string) => Promise<void>): Promise<void> {
  const fresh = `${path}.${randomUUID()}`
  try {
    await make(fresh)
    await rename(fresh, path)
  } finally {
    // A rename between two links of one file leaves both.
    await rm(fresh, { force: true })
  }
}

function placesOf(
  uuid: string,
  name: PublishedName,
  { pxe, deploy }: Config,
): { filePath: string; linkPath: string; url: string } {
  // The plain image's address is as Ironic's.
  const served = name === 'disk' ? uuid : `${uuid}.${name}`
  return {
    filePath: join(pxe.images_path, uuid, name),
    linkPath: join(deploy.http_root, deploy.http_image_subdir, served),
    url: `${deploy.http_url}/${deploy.http_image_subdir}/${served}`,
  }
}
