/**
 * Virtual media by hand: images that somebody attaches to a machine and takes off again, whatever the node is doing. An image
 * from the web goes through this host, by the node's own way to its BMC, unless the caller says that the BMC fetches it.
 *
 * Source: ironic/conductor/manager.py (do_attach_virtual_media), drivers/modules/image_utils.py (prepare_remote_image), restated.
 */
import { isFetchedByBmc, shareLogin } from '#boot/media-places.ts'
import { publishAttached, removeMedia } from '#boot/node-media.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { AttachedImage, VirtualMedia } from '../bmc-interfaces.ts'
import type { NodeContext } from '../driver.ts'
import { ejectMedia, insertMedia } from './media-insert.ts'
import { stopPushes } from './media-push.ts'
import { type Image, imageOf, transportOf } from './media-settings.ts'
import { isFull, readSlots } from './media-slots.ts'

export const virtualMedia: VirtualMedia = {
  async list(ctx) {
    const slots = await readSlots(ctx)
    return slots.map(slot => ({ media_types: slot.resource.MediaTypes ?? [], inserted: isFull(slot) }))
  },

  async attach(ctx, device, image) {
    if (!goesThroughHere(ctx, image)) return await insertMedia(ctx, device, imageAt(ctx, image.url))
    // Some firmware looks at the end of the name.
    const name = `${device}.${device === 'cdrom' ? 'iso' : 'img'}`
    await insertMedia(ctx, device, imageOf(ctx, await publishAttached(ctx, { url: image.url, name }, transportOf(ctx))))
  },

  async detach(ctx, devices) {
    await ejectMedia(ctx, devices)
    // What another drive still shows stays.
    if (!(await readSlots(ctx)).some(isFull)) await removeMedia(ctx.config, ctx.node.uuid, 'attached')
  },

  forget: stopPushes,
}

/** @throws InvalidInput where that is wanted and cannot be */
function goesThroughHere({ node }: NodeContext, { url, local }: AttachedImage): boolean {
  if (isFetchedByBmc(url, 'HTTP')) {
    // What has a user is for the BMC: nothing here logs in at other people's servers.
    const hasUser = /^[a-z]+:\/\/[^/]*@/i.test(url)
    if (local && hasUser) {
      throw new InvalidInput(
        `Cannot attach the image to node ${node.uuid}: found a user in image_url with image_download_source local; expected http, by which the BMC logs in`,
      )
    }
    return local ?? !hasUser
  }
  if (!local) return false
  throw new InvalidInput(
    `Cannot attach the image to node ${node.uuid}: found image_download_source local for an image on a share, which only the ` +
      'BMC reads; expected http, or none',
  )
}

/** A user in the URL goes where a BMC looks for it, and is in no message then. */
function imageAt({ config }: NodeContext, text: string): Image {
  const [, scheme = '', user, password, rest = ''] =
    /^([a-z]+:\/\/)(?:([^/@:]*)(?::([^/@]*))?@)?(.*)$/is.exec(text) ?? []
  const url = `${scheme}${rest}`
  const given = user ? { username: decodeURIComponent(user), password: decodeURIComponent(password ?? '') } : null
  const login = given ?? shareLogin(config, url)
  const share = (['NFS', 'CIFS'] as const).find(protocol => isFetchedByBmc(url, protocol))
  return { url, protocol: share ?? null, ...(login && { login }) }
}
