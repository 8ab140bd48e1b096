/**
 * Virtual media: the slots in which a BMC shows images to its machine as drives, as it tells of them. What is put in and
 * out is `media-insert.ts`'s business.
 *
 * Source: DMTF DSP2046, VirtualMedia; ironic/drivers/modules/redfish/boot.py (where slots are looked for, restated);
 * openbmc/bmcweb, OpenBMCVirtualMedia (the address that images are sent to).
 */
import { type Static, Type } from 'typebox'
import type { MediaDevice } from '#protocol/management.ts'
import type { NodeContext } from '../driver.ts'
import { Asker, type Link } from './asker.ts'
import { Reference, reader } from './client.ts'
import { Action, Maybe, Text } from './maybe.ts'
import { type Located, managersOf, readSystem } from './system.ts'

/** What a slot must be for to hold such a drive. */
export const mediaTypes: Readonly<Record<MediaDevice, readonly string[]>> = {
  cdrom: ['CD', 'DVD'],
  floppy: ['Floppy'],
  disk: ['USBStick'],
}

const InsertAction = Maybe(
  Type.Object({
    target: Type.Optional(Type.String()),
    '@Redfish.ActionInfo': Text,
  }),
)

const SlotResource = Type.Object({
  Id: Text,
  MediaTypes: Maybe(Type.Array(Type.String())),
  Inserted: Maybe(Type.Boolean()),
  Image: Text,
  Actions: Maybe(Type.Object({ '#VirtualMedia.InsertMedia': InsertAction, '#VirtualMedia.EjectMedia': Action })),
  Oem: Maybe(Type.Object({ OpenBMC: Maybe(Type.Object({ WebSocketEndpoint: Text })) })),
})
export const slotReader = reader('virtual media', SlotResource)
const withMedia = reader('resource', Type.Object({ VirtualMedia: Maybe(Reference) }))

/** A slot as the BMC tells it now. */
export interface Slot {
  path: string
  etag: string | null
  resource: Static<typeof SlotResource>
}

/** All slots: those of the system, else of the managers. */
export async function readSlots(ctx: NodeContext): Promise<Slot[]> {
  const located = await readSystem(ctx)
  const { client } = located
  const asker = new Asker(client, ctx.signal)
  for (const link of await collections(located, asker)) {
    const slots: Slot[] = []
    for (const path of await asker.members(link)) {
      const { resource, etag } = await client.get(path, slotReader, { signal: ctx.signal, fresh: true })
      slots.push({ path, etag, resource })
    }
    if (slots.length > 0) return slots
  }
  return []
}

async function collections(located: Located, asker: Asker): Promise<Link[]> {
  const found: Link[] = [located.system.VirtualMedia]
  if (located.system.VirtualMedia) return found
  for (const path of await managersOf(located, asker)) found.push((await asker.get(path, withMedia))?.VirtualMedia)
  return found
}

export function holds(slot: Slot, device: MediaDevice): boolean {
  return (slot.resource.MediaTypes ?? []).some(type => mediaTypes[device].includes(type))
}

/** An image counts whatever `Inserted` says: some firmware keeps that for drives that the machine has opened. */
export function isFull({ resource }: Slot): boolean {
  return resource.Inserted === true || (resource.Inserted !== false && Boolean(resource.Image))
}
