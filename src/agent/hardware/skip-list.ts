/**
 * Devices that an operator wants left alone: `skip_block_devices` of the node's properties, a list of disks by hints and of
 * software RAID volumes by name. An entry that is not understood is an error: nothing may be erased by mistake.
 *
 * Source: openstack/ironic-python-agent `hardware.py` (form of the list).
 */
import { messageOf } from '#lib/fault.ts'
import type { AgentNode } from '#protocol/agent.ts'
import { AgentFault } from '../errors.ts'
import type { BlockDevice } from './block-devices.ts'
import { partitionsOf } from './device-use.ts'
import { arrayNameOf, memberArrayName } from './raid/md.ts'
import { matching } from './root-device.ts'

/** The list as it stands in the node, read. */
export interface SkipList {
  /** Hints; a disk that matches all hints of one of them is protected. */
  disks: Record<string, unknown>[]
  /** Names of RAID volumes. */
  volumes: string[]
}

/** @throws AgentFault ProtectedDeviceError when it is not a list of objects */
export function readSkipList(node: AgentNode): SkipList {
  const entries = node.properties.skip_block_devices ?? []
  if (!Array.isArray(entries)) throw notUnderstood(entries)
  const found: SkipList = { disks: [], volumes: [] }
  for (const entry of entries as unknown[]) {
    if (typeof entry !== 'object' || entry === null || Object.keys(entry).length === 0) throw notUnderstood(entry)
    if (!('volume_name' in entry))
      found.disks.push(entry as Record<string, unknown>) // an object, see above
    else if (typeof entry.volume_name === 'string' && entry.volume_name !== '') found.volumes.push(entry.volume_name)
    else throw notUnderstood(entry)
  }
  return found
}

/**
 * Names of the devices among `devices` that must not be touched: disks by their hints, arrays by their volume's name, and
 * disks that hold a part of such an array, whether it is running or not.
 * @throws AgentFault ProtectedDeviceError when that cannot be found out
 */
export async function protectedDevices(node: AgentNode, devices: readonly BlockDevice[]): Promise<Set<string>> {
  const { disks, volumes } = readSkipList(node)
  const found = new Set<string>()
  for (const hints of disks) {
    try {
      for (const { name } of matching(devices, hints)) found.add(name)
    } catch (error) {
      throw new AgentFault('ProtectedDeviceError', `Reading skip_block_devices: ${messageOf(error)}`, { cause: error })
    }
  }
  if (volumes.length === 0) return found
  for (const { name } of devices) {
    for (const device of [name, ...(await partitionsOf(name))]) {
      const volume = (await arrayNameOf(device)) ?? (await memberArrayName(device))
      if (volume !== null && volumes.includes(volume)) found.add(name)
    }
  }
  return found
}

function notUnderstood(entry: unknown): AgentFault {
  return new AgentFault(
    'ProtectedDeviceError',
    `Cannot read skip_block_devices of the node's properties: found ${JSON.stringify(entry)}, expected a list of objects ` +
      'with root device hints or a volume_name; nothing was changed',
  )
}
