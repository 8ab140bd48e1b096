/**
 * RAID configurations as the node's row has them: what may be wanted, and what the row says after it was built or taken
 * apart, whoever did that. Pure.
 *
 * Source: ironic/common/raid.py (behaviour); RAID reference, "After building".
 */
import { Compile } from 'typebox/compile'
import type { Node, NodePatch } from '#db/nodes.ts'
import { InvalidInput } from '#lib/fault.ts'
import { capabilitiesOf } from '#protocol/capabilities.ts'
import { TargetRaidConfig } from '#protocol/raid.ts'
import { isSoftwareRaid, logicalDisksOf, softwareRaidProblems } from '#protocol/software-raid.ts'

const schema = Compile(TargetRaidConfig)

/** @throws InvalidInput naming all that is wrong */
export function checkRaidConfig(config: unknown): void {
  const problems = schema.Check(config)
    ? isSoftwareRaid(config)
      ? softwareRaidProblems(config)
      : severalRoots(config)
    : schema.Errors(config).map(({ instancePath, message }) => `${instancePath || 'it'} ${message}`)
  if (problems.length > 0) throw new InvalidInput(`Cannot take this RAID configuration: ${problems.join('; ')}`)
}

function severalRoots(config: unknown): string[] {
  const roots = logicalDisksOf(config)?.filter(disk => disk.is_root_volume === true) ?? []
  return roots.length > 1 ? [`${roots.length} root volumes, expected one at most`] : []
}

/**
 * The part of the wanted configuration that is to be built.
 * @throws InvalidInput when there is nothing to build
 */
export function wantedRaid(
  { uuid, target_raid_config: target }: Pick<Node, 'uuid' | 'target_raid_config'>,
  { root, others }: { root: boolean; others: boolean },
): Record<string, unknown> {
  const disks = logicalDisksOf(target) ?? []
  const wanted = disks.filter(disk => (disk.is_root_volume === true ? root : others))
  if (wanted.length > 0) return { logical_disks: wanted }
  const left = [...(root ? [] : ['the root volume']), ...(others ? [] : ['the other volumes'])].join(' and ')
  throw new InvalidInput(
    `Cannot build the RAID of node ${uuid}: found nothing in its target_raid_config` +
      `${disks.length > 0 ? ` without ${left}` : ''}, expected logical_disks`,
  )
}

/** What the row says once `config` was built: the RAID, and what follows from its root volume. */
export function raidBuilt(
  { properties }: Pick<Node, 'properties'>,
  config: Readonly<Record<string, unknown>>,
  builtAt: string,
): NodePatch {
  const raid_config = { ...config, last_updated: builtAt }
  const root = logicalDisksOf(config)?.find(disk => disk.is_root_volume === true)
  if (root === undefined) return { raid_config }
  const { size_gb, raid_level, root_device_hint } = root
  const capabilities = { ...capabilitiesOf(properties.capabilities), raid_level: String(raid_level) }
  return {
    raid_config,
    properties: {
      ...properties,
      ...(size_gb === 'MAX' ? {} : { local_gb: Number(size_gb) }),
      ...(root_device_hint === undefined ? {} : { root_device: root_device_hint }),
      capabilities: Object.entries(capabilities)
        .map(([name, value]) => `${name}:${value}`)
        .join(','),
    },
  }
}

/** What the row says once there is no RAID any more. */
export function raidGone({ properties }: Pick<Node, 'properties'>): NodePatch {
  const { root_device: _, ...rest } = properties
  return { raid_config: {}, properties: rest }
}
