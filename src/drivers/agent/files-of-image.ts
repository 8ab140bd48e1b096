/**
 * Instances that are named by an image of Glance alone, as Nova does: what its owner says that it boots (boot_iso_id, or
 * kernel_id and ramdisk_id) is asked for once and noted on the node, and holds as long as image_source stays that image.
 *
 * Source: deploy interfaces, "ramdisk" (ironic/drivers/modules/ramdisk.py, supports_deploy and
 * _resolve_image_info_from_glance, restated). Unlike Ironic, instance_info is left as it was given: a rebuild with another
 * image finds nothing that has to be taken back first.
 */
import { fileOfImage, locateGlanceFile } from '#boot/glance-file.ts'
import type { BootFile } from '#boot/ramdisk-files.ts'
import type { Node } from '#db/nodes.ts'
import { glanceId } from '#images/glance.ts'
import { isTrue } from '#lib/truth.ts'
import type { FlowContext, NodeContext } from '../driver.ts'

/** What boots, by instance_info's names. */
type Files = { readonly boot_iso: BootFile } | { readonly kernel: BootFile; readonly ramdisk: BootFile }

/** What an image is for, and what it names. */
export interface ImageOfFiles {
  /** Does its owner say that it is to be booted rather than written? */
  readonly isForRamdisk: boolean
  /** null when the image names neither an ISO nor a pair. */
  readonly files: Files | null
}

/**
 * What the image of Glance in image_source says; null where instance_info says itself what boots, or names no such image.
 * @throws ImageUnreachable, OpenstackUnavailable, InvalidInput
 */
export async function askImageForFiles(ctx: NodeContext): Promise<ImageOfFiles | null> {
  const { image_source: source, boot_iso, kernel } = ctx.node.instance_info
  if (boot_iso || kernel || typeof source !== 'string') return null
  const id = glanceId(source)
  if (id === undefined) return null
  const image = await locateGlanceFile(ctx, id)
  const file = (property: string) => fileOfImage(image, property)
  const [iso, kernelFile, ramdisk] = [file('boot_iso_id'), file('kernel_id'), file('ramdisk_id')]
  return {
    isForRamdisk: isTrue(image.properties.ironic_ramdisk_deploy) === true,
    files: iso ? { boot_iso: iso } : kernelFile && ramdisk ? { kernel: kernelFile, ramdisk } : null,
  }
}

/** Notes on the node what its image names, for all boots to come. Under the flow's lease, inside `once`. */
export async function noteFilesOfImage(ctx: FlowContext): Promise<void> {
  const { files } = (await askImageForFiles(ctx)) ?? { files: null }
  const { files_of_image: _, ...internal } = ctx.node.driver_internal_info
  const { image_source } = ctx.node.instance_info
  const noted = files === null ? {} : { files_of_image: { image_source, ...locations(files) } }
  await ctx.flow.write({ driver_internal_info: { ...internal, ...noted } })
}

/** What was noted for the image that instance_info names now, by instance_info's names; null where nothing was. */
export function notedFiles(node: Pick<Node, 'driver_internal_info' | 'instance_info'>): Record<string, unknown> | null {
  const { files_of_image: noted } = node.driver_internal_info
  if (typeof noted !== 'object' || noted === null || !('image_source' in noted)) return null
  const { image_source, ...files } = noted
  return image_source === node.instance_info.image_source ? files : null
}

/** The same as instance_info would have it. */
export function locations(files: Files): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, { location }]: [string, BootFile]) => [name, location]))
}
