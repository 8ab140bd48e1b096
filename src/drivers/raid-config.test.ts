import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRaidConfig, raidBuilt, raidGone, wantedRaid } from './raid-config.ts'

const mirror = { raid_level: '1', size_gb: 100, controller: 'software', is_root_volume: true }
const stripes = { raid_level: '0', size_gb: 'MAX', controller: 'software', volume_name: 'data' }

test('what hardware and software can build is taken', () => {
  checkRaidConfig({})
  checkRaidConfig({ logical_disks: [mirror, stripes] })
  checkRaidConfig({ logical_disks: [{ raid_level: '6+0', size_gb: 1, disk_type: 'ssd', controller: 'RAID.Slot.1' }] })
})

const refused: [what: string, config: object, message: RegExp][] = [
  ['no disks', { logical_disks: [] }, /logical_disks must not have fewer than 1 items/],
  ['a level that there is not', { logical_disks: [{ ...mirror, raid_level: '7' }] }, /logical_disks\/0\/raid_level/],
  [
    'a key that nobody knows',
    { logical_disks: [{ ...mirror, colour: 'red' }] },
    /logical_disks\/0 must not have additional/,
  ],
  ['another key beside', { logical_disks: [mirror], more: 1 }, /must not have additional/],
  [
    'software RAID that cannot be made',
    {
      logical_disks: [
        { ...mirror, raid_level: '5' },
        { ...stripes, raid_level: 'JBOD' },
      ],
    },
    /disk 1: raid_level 5, expected 1 for the first; logical disk 2: raid_level "JBOD"/,
  ],
  [
    'software and hardware at once',
    { logical_disks: [mirror, { raid_level: '1', size_gb: 5 }] },
    /disk 2: controller undefined, expected "software" for all or none/,
  ],
  [
    'two root volumes of a controller',
    { logical_disks: [1, 2].map(size_gb => ({ raid_level: '1', size_gb, is_root_volume: true })) },
    /2 root volumes, expected one at most/,
  ],
]
for (const [what, config, message] of refused) {
  test(`refused: ${what}`, () => assert.throws(() => checkRaidConfig(config), message))
}

test('root volume and the others can be built apart, and nothing is no configuration', () => {
  const node = { uuid: 'u', target_raid_config: { logical_disks: [mirror, stripes] } }
  assert.deepEqual(wantedRaid(node, { root: true, others: true }), node.target_raid_config)
  assert.deepEqual(wantedRaid(node, { root: true, others: false }), { logical_disks: [mirror] })
  assert.deepEqual(wantedRaid(node, { root: false, others: true }), { logical_disks: [stripes] })
  const nothing = { uuid: 'u', target_raid_config: {} }
  assert.throws(() => wantedRaid(nothing, { root: true, others: true }), /found nothing in its target_raid_config,/)
  const rootOnly = { uuid: 'u', target_raid_config: { logical_disks: [mirror] } }
  assert.throws(() => wantedRaid(rootOnly, { root: false, others: true }), /without the root volume, expected/)
})

test('a root volume that was built is where the instance goes, and what schedulers look for', () => {
  const properties = { local_gb: 10, cpu_arch: 'x86_64', capabilities: 'boot_mode:uefi,raid_level:5' }
  const config = { logical_disks: [{ ...mirror, root_device_hint: { wwn: '0x1' } }, stripes] }
  assert.deepEqual(raidBuilt({ properties }, config, '2026-01-02T03:04:05+00:00'), {
    raid_config: { ...config, last_updated: '2026-01-02T03:04:05+00:00' },
    properties: {
      local_gb: 100,
      cpu_arch: 'x86_64',
      root_device: { wwn: '0x1' },
      capabilities: 'boot_mode:uefi,raid_level:1',
    },
  })
  const data = { logical_disks: [stripes] }
  assert.deepEqual(raidBuilt({ properties }, data, 'now'), { raid_config: { ...data, last_updated: 'now' } })
  const all = { logical_disks: [{ ...mirror, size_gb: 'MAX' }] }
  assert.equal(raidBuilt({ properties }, all, 'now').properties?.local_gb, 10, 'MAX says nothing of the size')
})

test('without RAID nothing is a root device by it', () => {
  const properties = { local_gb: 10, root_device: { wwn: '0x1' } }
  assert.deepEqual(raidGone({ properties }), { raid_config: {}, properties: { local_gb: 10 } })
})
