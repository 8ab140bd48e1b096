/**
 * Disks as a BMC knows them: storage controllers with their drives, and of older BMCs simple storage.
 *
 * Source: DMTF DSP2046, Storage, Drive, Volume, SimpleStorage; Ironic ironic/drivers/modules/redfish/inspect.py (names,
 * and which disk local_gb is of; behaviour restated). Beyond it: serial number, model and maker of a disk, by which root
 * device hints know it.
 */
import { objectIn, textIn } from '../inspection/hook.ts'
import type { Asker } from './asker.ts'
import { amountOf, known, listOf, membersOf, type Plain, statusOf } from './inspect-resource.ts'

export interface FoundStorage {
  /** For the inventory. */
  readonly disks: readonly Plain[]
  readonly controllers: readonly Plain[]
  /** Of the smallest disk that holds a system; 0 where there is none. */
  readonly localGb: number
}

const gib = 2 ** 30
/** What is smaller holds no system: a card of the BMC, an empty reader. */
const leastBytes = 4 * gib

export async function readStorage(asker: Asker, system: Plain): Promise<FoundStorage> {
  const storages = await membersOf(asker, system.Storage)
  const volumes: number[] = []
  const drives: Plain[] = []
  const controllers: Plain[] = []
  for (const storage of storages) {
    const own = await membersOf(asker, listOf(storage.Drives))
    drives.push(...own)
    controllers.push(controllerOf(storage, own))
    volumes.push(...sizesOf(await membersOf(asker, storage.Volumes)))
  }
  const simple = (await membersOf(asker, system.SimpleStorage)).flatMap(one => listOf(one.Devices).map(objectIn))
  const parts = drives.length > 0 ? drives : simple
  const sizes = [smallest(volumes) ?? smallest(sizesOf(drives)), smallest(sizesOf(simple))]
  const least = smallest(sizes.filter(size => size !== undefined))
  return {
    disks: parts.map(diskOf),
    controllers,
    localGb: least === undefined ? 0 : Math.max(0, Math.floor(least / gib) - 1),
  }
}

function sizesOf(parts: readonly Plain[]): number[] {
  return parts.map(part => amountOf(part.CapacityBytes)).filter(size => size !== undefined)
}

function smallest(sizes: readonly number[]): number | undefined {
  const usable = sizes.filter(size => size >= leastBytes)
  return usable.length > 0 ? Math.min(...usable) : undefined
}

function diskOf(part: Plain): Plain {
  const media = textIn(part.MediaType)
  return {
    name: textIn(part.Name) ?? textIn(part.Id) ?? null,
    size: amountOf(part.CapacityBytes) ?? null,
    ...known({
      serial: textIn(part.SerialNumber),
      model: textIn(part.Model),
      vendor: textIn(part.Manufacturer),
      rotational: media === undefined ? undefined : media === 'HDD',
    }),
  }
}

function controllerOf(storage: Plain, drives: readonly Plain[]): Plain {
  const texts = (value: unknown) => listOf(value).filter(one => typeof one === 'string')
  return {
    id: textIn(storage.Id) ?? '',
    name: textIn(storage.Name) ?? null,
    storage_controllers: listOf(storage.StorageControllers)
      .map(objectIn)
      .map(one => ({
        member_id: textIn(one.MemberId) ?? null,
        name: textIn(one.Name) ?? null,
        raid_types: texts(one.SupportedRAIDTypes),
        speed_gbps: amountOf(one.SpeedGbps) ?? null,
        controller_protocols: texts(one.SupportedControllerProtocols),
        device_protocols: texts(one.SupportedDeviceProtocols),
        ...known({ status: statusOf(one.Status) }),
      })),
    drives: drives.map(drive => ({
      name: textIn(drive.Name) ?? null,
      size: amountOf(drive.CapacityBytes) ?? null,
      id: textIn(drive.Id) ?? null,
      media_type: textIn(drive.MediaType) ?? null,
      serial_number: textIn(drive.SerialNumber) ?? null,
      manufacturer: textIn(drive.Manufacturer) ?? null,
      model: textIn(drive.Model) ?? null,
      revision: textIn(drive.Revision) ?? null,
      ...known({ protocol: textIn(drive.Protocol), status: statusOf(drive.Status) }),
    })),
  }
}
