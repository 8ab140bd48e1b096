/**
 * What a configuration of RAID by the operating system must be like, as both sides read it: the conductor refuses early
 * what the agent would refuse. Which disks there are is the agent's to say. Pure.
 *
 * Source: openstack/ironic-python-agent `hardware.py`, `raid_utils.py` (rules).
 */

/** Least number of disks by RAID level, as mdadm calls it. */
export const leastDisksOf: Readonly<Record<string, number>> = { '0': 2, '1': 2, '10': 2, '5': 3, '6': 4 }

/** As mdadm has it: 0, 1, 10, 5, 6. */
export const mdLevel = (level: unknown): string => (level === '1+0' ? '10' : String(level))

/** The logical disks of a configuration; none where it has none; null where that is no list of objects. */
export function logicalDisksOf(config: unknown): Record<string, unknown>[] | null {
  const list = typeof config === 'object' && config !== null && 'logical_disks' in config ? config.logical_disks : []
  return Array.isArray(list) && list.every(one => typeof one === 'object' && one !== null) ? list : null
}

/** Whether this configuration asks for RAID by the operating system at all. */
export function isSoftwareRaid(config: unknown): boolean {
  return logicalDisksOf(config)?.some(({ controller }) => controller === 'software') ?? false
}

export function isVolumeName(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.-]{1,32}$/.test(value)
}

/**
 * All that is wrong with a configuration, for people.
 * @param options.mustHaveNames whether volumes are protected by their names
 */
export function softwareRaidProblems(config: unknown, { mustHaveNames = false } = {}): string[] {
  const disks = logicalDisksOf(config)
  if (disks === null) return ['logical_disks is no list of objects']
  const wrong: string[] = []
  if (disks.length !== 1 && disks.length !== 2) wrong.push(`${disks.length} logical disks, expected one or two`)
  for (const [index, disk] of disks.entries()) {
    wrong.push(...problemsOf(disk, { index, mustHaveNames }).map(text => `logical disk ${index + 1}: ${text}`))
  }
  const names = disks.map(({ volume_name }) => volume_name).filter(isVolumeName)
  const [twice] = names.filter((name, at) => names.indexOf(name) < at)
  if (twice !== undefined) wrong.push(`two logical disks have the volume_name ${twice}`)
  if (names.includes('esp')) wrong.push('the volume_name esp is taken by the EFI system partition')
  if (disks.filter(({ is_root_volume }) => is_root_volume).length > 1)
    wrong.push('two logical disks have is_root_volume')
  if (disks.filter(({ size_gb }) => size_gb === 'MAX').length > 1) wrong.push('two logical disks have size_gb MAX')
  return wrong
}

function problemsOf(
  { controller, raid_level, size_gb, volume_name, is_root_volume, physical_disks }: Record<string, unknown>,
  { index, mustHaveNames }: { index: number; mustHaveNames: boolean },
): string[] {
  const wrong: string[] = []
  const level = mdLevel(raid_level)
  if (controller !== 'software') {
    wrong.push(`controller ${JSON.stringify(controller)}, expected "software" for all or none`)
  }
  if (!Object.hasOwn(leastDisksOf, level)) {
    wrong.push(`raid_level ${JSON.stringify(raid_level)}, expected 0, 1, 1+0, 5 or 6`)
  } else if (index === 0 && level !== '1') wrong.push(`raid_level ${raid_level}, expected 1 for the first`)
  if (size_gb !== 'MAX' && !(Number.isInteger(size_gb) && Number(size_gb) > 0)) {
    wrong.push(`size_gb ${JSON.stringify(size_gb)}, expected a positive whole number or MAX`)
  }
  if (volume_name != null && !isVolumeName(volume_name)) {
    wrong.push(`volume_name ${JSON.stringify(volume_name)}, expected up to 32 letters, digits and . _ -`)
  }
  if (volume_name == null && mustHaveNames) {
    wrong.push('no volume_name, which all need while skip_block_devices has one')
  }
  if (is_root_volume != null && typeof is_root_volume !== 'boolean')
    wrong.push('is_root_volume is neither true nor false')
  if (physical_disks != null && !areHints(physical_disks)) {
    wrong.push('physical_disks is not a list of at least two objects with root device hints')
  }
  return wrong
}

/** Root device hints, one set for each disk. */
export function areHints(value: unknown): value is Record<string, unknown>[] {
  const isObject = (one: unknown) => typeof one === 'object' && one !== null && !Array.isArray(one)
  return Array.isArray(value) && value.length >= 2 && value.every(isObject)
}
