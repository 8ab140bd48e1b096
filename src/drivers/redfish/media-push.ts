/**
 * Images that are sent to a BMC instead of being fetched by it, for BMCs that reach no server of ours: the slot names a
 * WebSocket, and over it the BMC reads the image block by block for as long as the machine has it. So an image is there
 * while this process is, and a machine that loses it in the middle of its boot has to boot again.
 *
 * Source: openbmc/docs, designs/virtual-media.md ("proxy mode"); openbmc/bmcweb, OpenBMCVirtualMedia.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { messageOf } from '#lib/fault.ts'
import type { NodeContext } from '../driver.ts'
import type { RedfishClient } from './client.ts'
import type { Slot } from './media-slots.ts'
import { serveNbd } from './nbd-server.ts'

interface Push {
  stream: Duplex
  /** Why it ended; null while it lasts. */
  ended: string | null
}

const KEY = Symbol('images that are sent')

/** By node and path of the slot. */
class Pushes extends Map<string, Push> implements AsyncDisposable {
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stream } of this.values()) stream.destroy()
    this.clear()
  }
}

const pushesOf = ({ shared }: Pick<NodeContext, 'shared'>): Pushes => shared(KEY, () => new Pushes())
const keyOf = ({ node }: NodeContext, path: string) => `${node.uuid} ${path}`

/** Can images be sent to this slot? */
export const takesPush = (slot: Slot): boolean => Boolean(slot.resource.Oem?.OpenBMC?.WebSocketEndpoint)

/**
 * Begins to send the image and returns; whether it shows the slot tells.
 * @param url a file URL of this host
 */
export async function pushMedia(ctx: NodeContext, client: RedfishClient, slot: Slot, url: string): Promise<void> {
  const endpoint = slot.resource.Oem?.OpenBMC?.WebSocketEndpoint ?? ''
  stopPush(ctx, slot.path)
  const file = await open(fileURLToPath(url))
  let stream: Duplex
  try {
    stream = await client.openSocket(endpoint, ctx.signal)
  } catch (error) {
    await file.close()
    throw error
  }
  const push: Push = { stream, ended: null }
  pushesOf(ctx).set(keyOf(ctx, slot.path), push)
  void send(ctx, push, file)
}

async function send({ log, node }: NodeContext, push: Push, file: FileHandle): Promise<void> {
  // A read that fails says it as well.
  push.stream.on('error', () => undefined)
  try {
    await serveNbd(push.stream, file)
    push.ended = 'it said goodbye'
  } catch (error) {
    push.ended = messageOf(error)
  } finally {
    push.stream.destroy()
    await file.close()
    log.info({ node: node.uuid }, `an image is not sent any more: ${push.ended}`)
  }
}

/** What ended the last one; undefined while it lasts, or where there was none. */
export function whyPushEnded(ctx: NodeContext, path: string): string | undefined {
  return pushesOf(ctx).get(keyOf(ctx, path))?.ended ?? undefined
}

/** Is an image sent to the node's BMC by this process? */
export function isPushing(ctx: NodeContext): boolean {
  return [...pushesOf(ctx)].some(([key, { ended }]) => key.startsWith(`${ctx.node.uuid} `) && ended === null)
}

/** For the machine it is as if the medium were pulled out. */
export function stopPush(ctx: NodeContext, path: string): void {
  const pushes = pushesOf(ctx)
  pushes.get(keyOf(ctx, path))?.stream.destroy()
  pushes.delete(keyOf(ctx, path))
}

/** The same for all of the node. */
export function stopPushes(ctx: NodeContext): void {
  for (const key of [...pushesOf(ctx).keys()]) {
    const [uuid, path = ''] = key.split(' ', 2)
    if (uuid === ctx.node.uuid) stopPush(ctx, path)
  }
}
