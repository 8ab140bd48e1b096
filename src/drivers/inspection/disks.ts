/**
 * Hooks about disks: root-device finds the disk that the node's hints mean, raid-device learns which disk a RAID
 * controller has just made.
 *
 * Source: Ironic ironic/drivers/modules/inspector/hooks/root_device.py, raid_device.py (behaviour restated).
 */
import { messageOf } from '#lib/fault.ts'
import { type HintedDevice, readRootDeviceHints } from '#protocol/root-device-hints.ts'
import type { FlowContext } from '../driver.ts'
import { type Hook, InspectionFailed, objectIn, objectsIn, type Plain, textIn } from './hook.ts'

const gib = 2 ** 30

export const rootDevice: Hook = {
  run({ ctx, inventory, pluginData, properties }) {
    const hints = objectIn(properties.root_device)
    if (Object.keys(hints).length > 0) pluginData.root_disk = hinted(ctx, objectsIn(inventory.disks), hints, properties)
    const { size } = objectIn(pluginData.root_disk)
    const whole = typeof size === 'number' && size > 0 ? Math.floor(size / gib) : 0
    if (whole === 0) ctx.log.warn({ node: ctx.node.uuid }, 'no root disk of 1 GiB or more was found')
    // A gibibyte is left for partitions and their rounding.
    const local_gb = whole > 0 && ctx.config.inspector.disk_partitioning_spacing ? whole - 1 : whole
    pluginData.local_gb = local_gb
    properties.local_gb = local_gb
  },
}

function hinted(
  ctx: FlowContext,
  disks: readonly Readonly<Plain>[],
  hints: Readonly<Plain>,
  properties: Readonly<Plain>,
): Readonly<Plain> {
  const skipped = objectsIn(properties.skip_block_devices).map(one => matcher(ctx, 'skip_block_devices', one))
  const usable = disks.filter(disk => !skipped.some(matches => matches(disk)))
  const matches = matcher(ctx, 'root_device', hints)
  const found = usable.find(matches)
  if (found) return found
  const names = usable.map(disk => disk.name).join(', ') || 'none'
  throw new InspectionFailed(
    `no disk fits properties/root_device ${JSON.stringify(hints).slice(0, 500)}: found ${names}`,
  )
}

function matcher({ node }: FlowContext, where: string, hints: Readonly<Plain>): (disk: Readonly<Plain>) => boolean {
  try {
    const matches = readRootDeviceHints(hints)
    return disk => matches(deviceOf(disk))
  } catch (error) {
    throw new InspectionFailed(`cannot use properties/${where} of node ${node.uuid}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function deviceOf(disk: Readonly<Plain>): HintedDevice {
  const text = (name: string) => textIn(disk[name]) ?? null
  const several = (...names: string[]) => names.map(text).filter(one => one !== null)
  return {
    name: text('name') ?? '',
    model: text('model'),
    size: typeof disk.size === 'number' ? disk.size : 0,
    rotational: disk.rotational === true,
    vendor: text('vendor'),
    wwn_with_extension: text('wwn_with_extension'),
    wwn_vendor_extension: text('wwn_vendor_extension'),
    hctl: text('hctl'),
    by_path: text('by_path'),
    tran: text('tran'),
    serials: several('serial'),
    wwns: several('wwn'),
  }
}

export const raidDevice: Hook = {
  async run({ ctx, inventory, properties, previous }) {
    const { log, node } = ctx
    if ('root_device' in properties) return
    const now = serials(inventory)
    const before = await previous()
    if (now.length === 0 || before === undefined) return
    const known = serials(before)
    const added = now.filter(one => !known.includes(one))
    const [only] = added
    if (only !== undefined && added.length === 1) properties.root_device = { serial: only }
    else log.warn({ node: node.uuid, disks: added.length }, 'the root device cannot be told: expected one new disk')
  },
}

function serials(inventory: Readonly<Plain>): string[] {
  return objectsIn(inventory.disks)
    .map(disk => textIn(disk.serial))
    .filter(one => one !== undefined)
}
