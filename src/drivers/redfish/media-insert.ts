/**
 * Puts images into the slots of virtual media and takes them out, in the ways that firmware knows, and looks whether it
 * came true.
 *
 * Source: DMTF DSP2046, VirtualMedia (actions; PATCH where there are none); openstack/sushy virtual_media.py and
 * ironic/drivers/modules/redfish/boot.py (which slots are tried, what is added when firmware asks for it; restated).
 */
import type { MediaDevice } from '#protocol/management.ts'
import { HardwareFault, type NodeContext, Unsupported } from '../driver.ts'
import { allowableValues } from './action-info.ts'
import type { RedfishClient } from './client.ts'
import { BmcRefused, BmcUnreachable } from './faults.ts'
import { pushMedia, stopPush, takesPush, whyPushEnded } from './media-push.ts'
import type { Image } from './media-settings.ts'
import { holds, isFull, mediaTypes, readSlots, type Slot, slotReader } from './media-slots.ts'
import { readSystem } from './system.ts'
import { awaitTask } from './tasks.ts'

/** The image was taken and does not show, or no slot takes it. */
export class MediaNotInserted extends HardwareFault {
  override readonly code = 'media-not-inserted'
}

/**
 * Shows the machine this image, in the first slot that takes it. What was in such slots before goes out first: firmware
 * refuses a second image, and may show an old one as inserted for a while.
 * @throws Unsupported when there is no slot for it; MediaNotInserted with what each slot said
 */
export async function insertMedia(ctx: NodeContext, device: MediaDevice, image: Image): Promise<void> {
  const { client } = await readSystem(ctx)
  const slots = (await readSlots(ctx)).filter(slot => holds(slot, device))
  if (slots.length === 0) {
    throw new Unsupported(
      `Cannot show the machine at ${client.origin} a ${device} image: its BMC has no virtual media for ${mediaTypes[device].join(' or ')}`,
    )
  }
  for (const slot of slots) if (isFull(slot)) await eject(ctx, client, slot)
  const said: string[] = []
  for (const slot of slots) {
    try {
      await checkTaken(ctx, client, slot, image)
      await persistently(ctx, () => insert(ctx, client, slot, image))
      return await seeInserted(ctx, client, slot, image)
    } catch (error) {
      // What does not show is not sent any longer.
      stopPush(ctx, slot.path)
      if (!(error instanceof HardwareFault)) throw error
      const isOfMedia = error instanceof BmcRefused || error instanceof MediaNotInserted
      // One that is stuck at an image which it cannot fetch still answers to other requests.
      if (!isOfMedia && !(error instanceof BmcUnreachable && (await answers(ctx, client, slot)))) throw error
      said.push(isOfMedia ? error.message : `${error.message}; it does answer else: can it reach that URL?`)
    }
  }
  throw new MediaNotInserted(`Cannot insert ${device} image ${image.url}: ${said.join('; ')}`)
}

async function answers(ctx: NodeContext, client: RedfishClient, { path }: Slot): Promise<boolean> {
  const answer = client.get(path, slotReader, { signal: ctx.signal, fresh: true })
  return answer.then(
    () => true,
    () => false,
  )
}

/** Takes images out: those of a kind of drive, or all. A slot that is empty is left alone, but nothing is sent to it. */
export async function ejectMedia(ctx: NodeContext, devices: readonly MediaDevice[] | null): Promise<void> {
  const { client } = await readSystem(ctx)
  for (const slot of await readSlots(ctx)) {
    if (devices !== null && !devices.some(device => holds(slot, device))) continue
    if (isFull(slot)) await eject(ctx, client, slot)
    else stopPush(ctx, slot.path)
  }
}

/** An eject that is still under way makes an insertion fail for a moment. */
async function persistently(ctx: NodeContext, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof BmcRefused) || error.httpStatus < 500 || attempt >= 3) throw error
      ctx.log.info({ attempt, said: error.said }, 'the BMC could not change its virtual media yet')
      await ctx.clock.sleep(3000, ctx.signal)
    }
  }
}

/** What a BMC says that it cannot do it is not asked for. @throws MediaNotInserted */
async function checkTaken(ctx: NodeContext, client: RedfishClient, slot: Slot, image: Image): Promise<void> {
  if (image.protocol === 'PUSH') {
    if (takesPush(slot)) return
    throw new MediaNotInserted(
      `${slot.path} of the BMC at ${client.origin} has no Oem/OpenBMC/WebSocketEndpoint, which images are sent to; ` +
        'expected another vmedia_transport_protocol',
    )
  }
  const action = slot.resource.Actions?.['#VirtualMedia.InsertMedia']
  const told = [
    ['TransferProtocolType', image.protocol, 'vmedia_transport_protocol'],
    ['TransferMethod', image.method ?? null, 'vmedia_transfer_method'],
  ] as const
  for (const [parameter, value, setting] of told) {
    if (value === null) continue
    const allowed = await allowableValues(client, action, parameter, ctx.signal)
    if (allowed === null || allowed.some(one => one.toUpperCase() === value.toUpperCase())) continue
    throw new MediaNotInserted(
      `${slot.path} of the BMC at ${client.origin} takes no image by ${parameter} ${value}; it takes ` +
        `${allowed.join(', ') || 'none'}: expected ${setting} to be one of these`,
    )
  }
}

type Body = Readonly<Record<string, unknown>>

async function insert(ctx: NodeContext, client: RedfishClient, slot: Slot, image: Image): Promise<void> {
  if (image.protocol === 'PUSH') return await pushMedia(ctx, client, slot, image.url)
  const target = slot.resource.Actions?.['#VirtualMedia.InsertMedia']?.target
  const named = {
    ...(image.protocol === null ? {} : { TransferProtocolType: image.protocol }),
    ...(image.method ? { TransferMethod: image.method } : {}),
    ...(image.login ? { UserName: image.login.username, Password: image.login.password } : {}),
  }
  if (target === undefined) {
    // Without an action the slot itself is changed, and firmware that works so wants all of it.
    const body = { Image: image.url, ...named, Inserted: true, WriteProtected: true }
    await awaitTask(ctx, client, await client.patch(slot.path, body, { signal: ctx.signal, etag: slot.etag }))
    return
  }
  // Inserted and WriteProtected are the default, and refused by some.
  let body: Body = { Image: image.url, ...named }
  const action = slot.resource.Actions?.['#VirtualMedia.InsertMedia']
  for (;;) {
    try {
      await awaitTask(ctx, client, await client.post(target, body, ctx.signal))
      return
    } catch (error) {
      if (!(error instanceof BmcRefused)) throw error
      const methods = await allowableValues(client, action, 'TransferMethod', ctx.signal)
      const more = asked(error, body, { image, methods })
      if (more === undefined) throw error
      ctx.log.info({ bmc: client.origin, added: Object.keys(more) }, 'the BMC wants more to insert an image')
      body = { ...body, ...more }
    }
  }
}

/** What firmware demands beside the image, by its refusal; undefined when that is another matter. */
function asked(
  { said, httpStatus }: BmcRefused,
  body: Body,
  { image, methods }: { image: Image; methods: readonly string[] | null },
): Body | undefined {
  if (httpStatus < 400 || httpStatus > 500) return undefined
  if (!body.TransferProtocolType && said.includes('TransferProtocolType')) {
    return { TransferProtocolType: image.url.startsWith('https:') ? 'HTTPS' : 'HTTP' }
  }
  if (!body.TransferMethod && said.includes('TransferMethod')) {
    return { TransferMethod: methods?.includes('Stream') === false && methods[0] ? methods[0] : 'Stream' }
  }
  // Nobody needs to log in at our server; any name will do.
  if (!body.UserName && /UserName|Password/.test(said)) return { UserName: 'none', Password: 'none' }
  return undefined
}

/** How long a BMC may take until an image shows that it accepted. */
const showLimitMs = 60_000
const lookMs = 1000

async function seeInserted(ctx: NodeContext, client: RedfishClient, slot: Slot, image: Image): Promise<void> {
  const endMs = ctx.clock.now() + showLimitMs
  for (;;) {
    const { resource } = await client.get(slot.path, slotReader, { signal: ctx.signal, fresh: true })
    // Firmware that tells nothing of its slot is taken at its word.
    if (resource.Inserted !== false && (resource.Inserted || resource.Image || resource.Image === undefined)) return
    const ended = image.protocol === 'PUSH' ? whyPushEnded(ctx, slot.path) : undefined
    if (ended !== undefined) {
      throw new MediaNotInserted(`the BMC at ${client.origin} let go of the image sent to ${slot.path}: ${ended}`)
    }
    if (ctx.clock.now() >= endMs) {
      throw new MediaNotInserted(
        `the BMC at ${client.origin} accepted ${image.url} and ${slot.path} is empty ${showLimitMs / 1000} s later; ` +
          `expected the image there${image.protocol === 'PUSH' ? '' : ': can the BMC reach that URL?'}`,
      )
    }
    await ctx.clock.sleep(lookMs, ctx.signal)
  }
}

async function eject(ctx: NodeContext, client: RedfishClient, slot: Slot): Promise<void> {
  // An image that is sent is gone with its connection; one that another conductor sends is not.
  stopPush(ctx, slot.path)
  const target = slot.resource.Actions?.['#VirtualMedia.EjectMedia']?.target
  await persistently(ctx, async () => {
    try {
      if (target === undefined) {
        const options = { signal: ctx.signal, etag: slot.etag }
        await awaitTask(ctx, client, await client.patch(slot.path, { Image: null, Inserted: false }, options))
      } else {
        await awaitTask(ctx, client, await client.post(target, {}, ctx.signal))
      }
    } catch (error) {
      // Some refuse to take out what another client has just taken out, or what went with a reset.
      if (!(error instanceof BmcRefused)) throw error
      const { resource } = await client.get(slot.path, slotReader, { signal: ctx.signal, fresh: true })
      if (isFull({ ...slot, resource })) throw error
    }
  })
}
