/**
 * The layout that instance_info asks for around a partition image, as the agent takes it; nothing for an image of a
 * whole disk. Pure.
 * Source: deploy interfaces, "direct", partition images (ironic/drivers/modules/deploy_utils.py restated).
 */
import type { Config } from '#config/options.ts'
import { InvalidInput } from '#lib/fault.ts'
import type { ImageInfo } from '#protocol/agent.ts'
import { capabilitiesOf } from '#protocol/capabilities.ts'

type Info = Readonly<Record<string, unknown>>

/** What is known of the machine that the layout is for. */
export interface LayoutNode {
  readonly properties: Info
  readonly instance_info: Info
  readonly driver_internal_info?: Info
}

/**
 * @param info instance_info, with what the image's source adds to it
 * @throws InvalidInput when the layout is incomplete, malformed, or given for a whole disk
 */
export function partitionLayout(info: Info, config: Config, node: LayoutNode): Partial<ImageInfo> {
  const swap = sizeOf(info, 'swap_mb')
  const ephemeral = sizeOf(info, 'ephemeral_gb') ?? 0
  if (isWholeDisk(info)) {
    if (swap || ephemeral)
      throw new InvalidInput(
        'Cannot deploy the image: instance_info asks for swap_mb or ephemeral_gb, but the image is of a whole disk; expected image_type partition',
      )
    return {}
  }
  const root = sizeOf(info, 'root_gb')
  if (root === null || root === 0)
    throw new InvalidInput(
      'Cannot deploy the image: it is a partition image and instance_info root_gb is not set; expected the size of the root partition in GiB',
    )
  return {
    image_type: 'partition',
    ...bootOf(node),
    ...Object.fromEntries(['kernel', 'ramdisk'].filter(name => info[name]).map(name => [name, String(info[name])])),
    root_gb: root,
    root_mb: root * 1024,
    swap_mb: swap ?? 0,
    ephemeral_mb: ephemeral * 1024,
    ephemeral_format:
      typeof info.ephemeral_format === 'string' ? info.ephemeral_format : config.pxe.default_ephemeral_format,
    preserve_ephemeral:
      info.preserve_ephemeral === true || /^(1|true|yes|on)$/i.test(String(info.preserve_ephemeral ?? '')),
  }
}

/** As the agent works it out for itself from the node; others may want to be told. */
function bootOf({ properties, instance_info, driver_internal_info: internal }: LayoutNode): Partial<ImageInfo> {
  const mode = internal?.deploy_boot_mode
  const label =
    capabilitiesOf(instance_info.capabilities).disk_label ?? capabilitiesOf(properties.capabilities).disk_label
  return {
    boot_option: 'local',
    ...(typeof mode === 'string' ? { deploy_boot_mode: mode } : {}),
    ...(mode === 'uefi' ? { disk_label: 'gpt' } : label === undefined ? {} : { disk_label: label }),
  }
}

/** image_type if it is given; else an image without kernel and ramdisk is of a whole disk. */
export function isWholeDisk(info: Info): boolean {
  const type = info.image_type
  if (type === 'whole-disk' || type === 'partition') return type === 'whole-disk'
  if (type !== undefined && type !== null)
    throw new InvalidInput(
      `Cannot deploy the image: instance_info image_type is ${JSON.stringify(type)}; expected whole-disk or partition`,
    )
  return !info.kernel && !info.ramdisk
}

function sizeOf(info: Info, name: string): number | null {
  const value = info[name]
  if (value === undefined || value === null || value === '') return null
  const count = Number(value)
  if (Number.isSafeInteger(count) && count >= 0) return count
  throw new InvalidInput(
    `Cannot deploy the image: instance_info ${name} is ${JSON.stringify(value)}; expected a number without fraction`,
  )
}
