/**
 * What software RAID means for the choice of the disk to deploy to: a volume may be named as the one, or be excluded with
 * its disks. The node's own record says so, hence it holds after a reboot and for every agent.
 *
 * Source: openstack/ironic-python-agent `hardware.py` (precedence over hints).
 */
import type { AgentNode } from '#protocol/agent.ts'
import { AgentFault } from '../../errors.ts'
import type { Settings } from '../../settings.ts'
import type { BlockDevice } from '../block-devices.ts'
import { assembleArrays, listArrays } from './md.ts'
import { isSoftware, volumesOf } from './plan.ts'

/** What the conductor recorded as built, else what is to be built. */
export function raidConfigOf(node: AgentNode): unknown {
  return [node.raid_config, node.target_raid_config].find(config => isSoftwareOrNot(config))
}

/** Starts the arrays of a node that has some by its record. */
export async function assembleFor(node: AgentNode | null, settings: Settings): Promise<void> {
  if (node !== null && raidConfigOf(node) !== undefined) await assembleArrays(settings)
}

/**
 * Those of `devices` that the system may go to; one alone where the record names it.
 * @throws AgentFault DeviceNotFound when that one was built and is not there: its parts must not be taken instead
 */
export async function rootCandidates(node: AgentNode, devices: readonly BlockDevice[]): Promise<BlockDevice[]> {
  const volumes = volumesOf(raidConfigOf(node) ?? {})
  if (volumes.every(({ isRoot }) => isRoot === null)) return [...devices]
  const arrays = await listArrays()
  const excluded = new Set<string>()
  for (const { name, isRoot } of volumes) {
    if (isRoot === null) continue
    const array = arrays.find(found => found.name === name)
    if (isRoot) {
      const root = devices.filter(device => device.name === array?.device)
      if (root.length > 0) return root
      if (!isSoftwareOrNot(node.raid_config)) continue // wanted, and not built yet
      throw new AgentFault(
        'DeviceNotFound',
        `Looking for the RAID volume ${name}, the root volume of the node's raid_config, found ` +
          `${arrays.map(found => `${found.device} (${found.name})`).join(', ') || 'no array'}`,
      )
    } else if (array !== undefined) {
      for (const device of [array.device, ...array.disks, ...array.members]) excluded.add(device)
    }
  }
  return devices.filter(({ name }) => !excluded.has(name))
}

/** What cannot be read is nobody's RAID here: the choice of a disk must not fail for it. */
function isSoftwareOrNot(config: unknown): boolean {
  try {
    return isSoftware(config)
  } catch {
    return false
  }
}
