/**
 * The RAID configuration that an operator wants. What disks and controllers really offer is for the driver that builds
 * it to say. Source: RAID reference, "target_raid_config"; ironic/drivers/raid_config_schema.json (behaviour).
 */
import { Type } from 'typebox'

const described = {
  raid_level: Type.Enum(['JBOD', '0', '1', '2', '5', '6', '1+0', '5+0', '6+0'], {
    description: 'RAID level: JBOD, 0, 1, 2, 5, 6, 1+0, 5+0 or 6+0. Required.',
  }),
  size_gb: Type.Union([Type.Integer({ minimum: 0 }), Type.Literal('MAX')], {
    description: 'Size in GiB (integer), or MAX for all that is left. Required.',
  }),
  volume_name: Type.String({ description: 'Name of the volume. Optional; made up by the driver otherwise.' }),
  is_root_volume: Type.Boolean({ description: 'The instance boots from it; at most one volume. Optional.' }),
  share_physical_disks: Type.Boolean({ description: 'Other volumes may use its disks too. Default: false.' }),
  disk_type: Type.Enum(['hdd', 'ssd'], { description: 'Kind of disks: hdd or ssd. Optional.' }),
  interface_type: Type.Enum(['sata', 'scsi', 'sas'], { description: 'sata, scsi or sas. Optional.' }),
  number_of_physical_disks: Type.Integer({
    minimum: 1,
    description: 'How many disks to use. Default: the least that the RAID level needs.',
  }),
  controller: Type.String({
    description: 'Controller to use, as the driver names it; "software" for RAID by the operating system. Optional.',
  }),
  physical_disks: Type.Union(
    [
      Type.Array(Type.String(), { minItems: 1 }),
      Type.Array(Type.Record(Type.String(), Type.Unknown()), { minItems: 2 }),
    ],
    {
      description: 'Disks to use, as the driver names them, or hints for software RAID. Needs a controller. Optional.',
    },
  ),
}

const { raid_level, size_gb, ...optional } = described

const LogicalDisk = Type.Object(
  { raid_level, size_gb, ...Type.Partial(Type.Object(optional)).properties },
  { additionalProperties: false },
)

/** `{}` (none wanted), or `{logical_disks: [...]}`. */
export const TargetRaidConfig = Type.Object(
  { logical_disks: Type.Optional(Type.Array(LogicalDisk, { minItems: 1 })) },
  { additionalProperties: false },
)

/** What may be said of a logical disk: key to description. */
export const logicalDiskProperties: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(described).map(([name, schema]) => [name, 'description' in schema ? String(schema.description) : '']),
)
