/**
 * Which disk gets the operating system. Pure: it is handed the disks and the hints. A hint that matches nothing is an
 * error, never "any disk will do".
 *
 * Source: openstack/ironic-python-agent `device_hints.py`, `hardware.py`.
 */
import type { AgentNode } from '#protocol/agent.ts'
import { chooseRootDisk, HintNotUnderstood, readRootDeviceHints } from '#protocol/root-device-hints.ts'
import { AgentFault } from '../errors.ts'
import type { BlockDevice } from './block-devices.ts'

/** The hints that count for this node: those of the instance before those of the node. */
export function hintsOf(node: AgentNode | null): Record<string, unknown> {
  const hints = node?.instance_info.root_device ?? node?.properties.root_device ?? {}
  if (typeof hints === 'object' && hints !== null && !Array.isArray(hints)) return hints as Record<string, unknown>
  throw new AgentFault(
    'DeviceNotFound',
    `Cannot choose the root disk: root_device is ${JSON.stringify(hints)}, expected an object`,
  )
}

/**
 * The disk to deploy to: the first that matches all hints; without hints the smallest of at least 4 GiB.
 * @throws AgentFault DeviceNotFound that shows what was looked for and what there is
 */
export function chooseRootDevice(devices: readonly BlockDevice[], hints: Record<string, unknown>): BlockDevice {
  const found = understood(() => chooseRootDisk(devices, hints))
  if (found !== undefined) return found
  const wanted = Object.keys(hints).length === 0 ? 'of at least 4 GiB' : `matching ${JSON.stringify(hints)}`
  const present = devices.map(({ name, size, model, serial }) => `${name} (${size} bytes, ${model}, ${serial})`)
  throw new AgentFault(
    'DeviceNotFound',
    `Looking for a root disk ${wanted}, found none among: ${present.join(', ') || 'no disks'}`,
  )
}

/** All devices that match every hint, in the order given. @throws AgentFault DeviceNotFound for a hint that is none */
export function matching(devices: readonly BlockDevice[], hints: Record<string, unknown>): BlockDevice[] {
  return understood(() => devices.filter(readRootDeviceHints(hints)))
}

function understood<T>(choose: () => T): T {
  try {
    return choose()
  } catch (error) {
    if (!(error instanceof HintNotUnderstood)) throw error
    throw new AgentFault('DeviceNotFound', error.message, { cause: error })
  }
}
