/**
 * What becomes of a node's disks, by the last inspection: which one gets the image and by which hint, which ones are
 * erased. The same function chooses here and in the agent; that sees the disks as they are then.
 */
import type { Node } from '#db/nodes.ts'
import { isTrue } from '#lib/truth.ts'
import type { Plan, PlannedDisk } from '#protocol/plan.ts'
import {
  chooseRootDisk,
  type HintedDevice,
  HintNotUnderstood,
  leastRootBytes,
  readRootDeviceHints,
} from '#protocol/root-device-hints.ts'
import type { PlanWorld } from './plan.ts'
import type { ChosenStep } from './steps.ts'

interface Fates {
  disks: PlannedDisk[] | null
  rootDevice: Plan['root_device']
  notes: string[]
}

/** Steps that take everything from all disks that no one spares. */
const erasing: readonly string[] = ['erase_devices', 'erase_devices_express', 'erase_devices_metadata']
const none: Fates = { disks: null, rootDevice: null, notes: [] }

export async function disksOf(
  world: Pick<PlanWorld, 'inventory'>,
  node: Node,
  { writes, steps }: { writes: boolean; steps: readonly ChosenStep[] },
): Promise<Fates> {
  const eraser = steps.find(({ step }) => erasing.includes(step))
  if (!writes && !eraser) return none
  const rootDevice = writes ? rootDeviceOf(node) : null
  const found = await world.inventory(node.uuid)
  const devices = Array.isArray(found?.inventory.disks) ? found.inventory.disks.map(deviceOf) : []
  if (devices.length === 0) {
    const note =
      'Which disks the machine has is not known: no inspection has found any. The agent chooses when it runs.'
    return { disks: null, rootDevice, notes: [note] }
  }
  const notes: string[] = []
  if (isSoftwareRaid(node)) {
    notes.push(
      'The node has, or is to have, software RAID: its volumes come before single disks, and only the agent sees them.',
    )
  }
  const root = rootDevice ? choose(devices, rootDevice.hints, notes) : undefined
  const spared = sparedBy(node, devices)
  return { disks: devices.map(device => fateOf(device)), rootDevice, notes }

  function fateOf(device: HintedDevice): PlannedDisk {
    const shown = viewOf(device)
    if (device === root) return { ...shown, fate: 'written', why: whyWritten(device, rootDevice?.hints ?? {}) }
    if (eraser && spared.has(device)) return { ...shown, fate: 'kept', why: 'properties skip_block_devices spares it' }
    if (eraser) {
      const all =
        eraser.step === 'erase_devices_metadata' ? 'its partition table and metadata are' : 'all that is on it is'
      return { ...shown, fate: 'erased', why: `${all} lost: step ${eraser.interface}.${eraser.step}` }
    }
    return { ...shown, fate: 'kept', why: 'another disk gets the image' }
  }
}

/** The instance's hints count before the node's. */
function rootDeviceOf({ instance_info, properties }: Node): NonNullable<Plan['root_device']> {
  const own = instance_info.root_device ?? undefined
  const hints = own ?? properties.root_device ?? {}
  const isObject = typeof hints === 'object' && hints !== null && !Array.isArray(hints)
  const record = isObject ? (hints as Record<string, unknown>) : {} // what is no object is among the refusals
  const from = own !== undefined ? 'instance_info' : Object.keys(record).length > 0 ? 'properties' : 'default'
  return { hints: record, from }
}

function choose(
  devices: readonly HintedDevice[],
  hints: Record<string, unknown>,
  notes: string[],
): HintedDevice | undefined {
  try {
    const root = chooseRootDisk(devices, hints)
    if (!root) notes.push('None of the disks that the last inspection found would be taken: the deployment would fail.')
    return root
  } catch (error) {
    if (!(error instanceof HintNotUnderstood)) throw error
    notes.push(error.message)
    return undefined
  }
}

function whyWritten(device: HintedDevice, hints: Record<string, unknown>): string {
  const lost = 'the image takes its place, and all that is on it is lost'
  const given = Object.entries(hints).map(([name, hint]) => `${name} ${JSON.stringify(hint)}`)
  if (given.length === 0)
    return `it is the smallest of at least ${leastRootBytes / 2 ** 30} GiB, and no hint names another: ${lost}`
  return `it is the first that matches ${given.join(', ')}: ${lost} (${device.name})`
}

/** By hints alone: which disks are part of a named volume, only the agent sees. */
function sparedBy({ properties }: Node, devices: readonly HintedDevice[]): Set<HintedDevice> {
  const entries: unknown = properties.skip_block_devices
  const spared = new Set<HintedDevice>()
  for (const entry of Array.isArray(entries) ? entries : []) {
    if (typeof entry !== 'object' || entry === null || 'volume_name' in entry) continue
    try {
      for (const device of devices.filter(readRootDeviceHints(entry as Record<string, unknown>))) spared.add(device)
    } catch (error) {
      if (!(error instanceof HintNotUnderstood)) throw error
    }
  }
  return spared
}

function isSoftwareRaid({ raid_config, target_raid_config }: Node): boolean {
  const volumes = [raid_config, target_raid_config].flatMap(config => {
    const disks: unknown = (config as Record<string, unknown> | null)?.logical_disks
    return Array.isArray(disks) ? (disks as { controller?: unknown }[]) : []
  })
  return volumes.some(({ controller }) => controller === 'software')
}

/** A disk of an inventory, whoever wrote it: an agent, ours or not, or the inspection by a BMC, which knows less. */
function deviceOf(disk: unknown): HintedDevice {
  const from = (typeof disk === 'object' && disk !== null ? disk : {}) as Record<string, unknown>
  const text = (name: string) => {
    const value = from[name]
    return typeof value === 'string' && value !== '' ? value : null
  }
  const texts = (...names: string[]) => [...new Set(names.map(text).filter(value => value !== null))]
  return {
    name: text('name') ?? '',
    model: text('model'),
    size: Number(from.size ?? 0),
    rotational: from.rotational === true || isTrue(from.rotational) === true,
    vendor: text('vendor'),
    wwn_with_extension: text('wwn_with_extension'),
    wwn_vendor_extension: text('wwn_vendor_extension'),
    hctl: text('hctl'),
    by_path: text('by_path'),
    tran: text('tran'),
    serials: texts('serial'),
    wwns: texts('wwn', 'wwn_with_extension'),
  }
}

function viewOf({ name, serials, wwns, model, vendor, by_path, size, rotational }: HintedDevice) {
  return {
    name: name === '' ? null : name,
    serial: serials[0] ?? null,
    wwn: wwns[0] ?? null,
    model,
    vendor,
    by_path,
    size_bytes: Number.isSafeInteger(size) && size > 0 ? size : null,
    rotational,
  }
}
