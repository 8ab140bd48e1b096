/**
 * Kernels, ramdisks and ISOs that Glance keeps, and those that the owner of an image names beside it. They are fetched once
 * into the store of images, checked against the hash that Glance knows, and linked among the downloaded boot files; the
 * store may drop its own name of one at any time.
 *
 * Source: deploy interfaces, "ramdisk" (ironic/drivers/modules/deploy_utils.py, common/pxe_utils.py restated).
 */
import { join } from 'node:path'
import type { NodeContext } from '#drivers/driver.ts'
import { storeOf } from '#images/instance.ts'
import { type LocatedImage, locateImage } from '#images/locate.ts'
import { verbatim } from '#images/verbatim.ts'
import { putLink } from './files.ts'
import type { BootFile } from './ramdisk-files.ts'

/** Glance is asked in the name of our process. */
export type GlanceWorld = Pick<NodeContext, 'node' | 'config' | 'signal' | 'shared'>

/** What Glance says of it. @throws ImageUnreachable, OpenstackUnavailable, InvalidInput */
export async function locateGlanceFile(world: GlanceWorld, id: string): Promise<LocatedImage> {
  return await locateImage(world, { kind: 'glance', id }, 'local')
}

/** A file that the owner of an image names in a property of it; null where there is no such property. */
export function fileOfImage({ properties, shown }: LocatedImage, property: string): BootFile | null {
  const location = properties[property]
  return typeof location === 'string' && location !== '' ? { location, from: `property ${property} of ${shown}` } : null
}

/** The path of the file on this host. @throws ImageUnreachable, OpenstackUnavailable, ImageChecksumMismatch … */
export async function fetchGlanceFile(ctx: GlanceWorld & Pick<NodeContext, 'log'>, id: string): Promise<string> {
  const request = verbatim(await locateGlanceFile(ctx, id))
  const { tftp_master_path, file_permission } = ctx.config.pxe
  const path = join(tftp_master_path, `glance-${id}`)
  await storeOf(ctx).withImage(request, stored => putLink(path, stored.path, file_permission), { signal: ctx.signal })
  return path
}
