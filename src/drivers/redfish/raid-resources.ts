/** RAID controllers of a machine as its BMC tells them: drives with the room that is left on them, and volumes. */
import type { NodeContext } from '../driver.ts'
import { objectIn, textIn } from '../inspection/hook.ts'
import { Asker } from './asker.ts'
import { amountOf, anyResource, linkOf, listOf, membersOf, type Plain } from './inspect-resource.ts'
import type { RaidDrive } from './raid-plan.ts'
import { readSystem } from './system.ts'

export interface RaidVolume {
  path: string
  id: string
  name: string
  raidType: string | null
  sizeBytes: number
  drives: readonly string[]
}

export interface RaidController {
  id: string
  /** Where volumes are listed and made. */
  volumesPath: string
  /** When it makes changes; empty: it does not say. */
  applyTimes: readonly string[]
  drives: readonly RaidDrive[]
  volumes: readonly RaidVolume[]
}

/** Controllers that make volumes. */
export async function readControllers(ctx: NodeContext): Promise<RaidController[]> {
  const { client, system } = await readSystem(ctx)
  const asker = new Asker(client, ctx.signal)
  const found: RaidController[] = []
  for (const storage of await membersOf(asker, system.Storage)) {
    const volumesPath = linkOf(storage.Volumes)?.['@odata.id']
    if (volumesPath === undefined) continue
    const collection = (await client.get(volumesPath, anyResource, { signal: ctx.signal, fresh: true })).resource
    const volumes = (await membersOf(asker, collection.Members)).map(volumeOf)
    const id = textIn(storage.Id) ?? ''
    const drives = (await membersOf(asker, listOf(storage.Drives))).map(drive => driveOf(drive, id, volumes))
    const support = objectIn(collection['@Redfish.OperationApplyTimeSupport'])
    const applyTimes = listOf(support.SupportedValues).filter(time => typeof time === 'string')
    found.push({ id, volumesPath, applyTimes, drives, volumes })
  }
  return found
}

function volumeOf(volume: Plain): RaidVolume {
  const links = listOf(objectIn(volume.Links).Drives).map(one => linkOf(one)?.['@odata.id'] ?? '')
  return {
    path: textIn(volume['@odata.id']) ?? '',
    id: textIn(volume.Id) ?? '',
    name: textIn(volume.Name) ?? '',
    raidType: textIn(volume.RAIDType) ?? null,
    sizeBytes: amountOf(volume.CapacityBytes) ?? 0,
    drives: links,
  }
}

function driveOf(drive: Plain, controller: string, volumes: readonly RaidVolume[]): RaidDrive {
  const path = textIn(drive['@odata.id']) ?? ''
  const sizeBytes = amountOf(drive.CapacityBytes) ?? 0
  const isUsed = volumes.some(volume => volume.drives.includes(path))
  const usedBytes = volumes
    .filter(volume => volume.drives.includes(path))
    .reduce((sum, volume) => sum + volume.sizeBytes / Math.max(1, volume.drives.length), 0)
  return {
    path,
    id: textIn(drive.Id) ?? '',
    controller,
    sizeBytes,
    kind: textIn(drive.MediaType)?.toLowerCase() ?? null,
    protocol: textIn(drive.Protocol)?.toLowerCase() ?? null,
    freeBytes: isUsed ? Math.max(0, sizeBytes - usedBytes) : sizeBytes,
  }
}
