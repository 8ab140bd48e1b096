import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { type FakePrograms, fakePrograms } from '../../fake-programs.ts'
import { type LoopDisk, makeLoopDisk, needsRoot } from '../../loop-disk.ts'
import type { BlockDevice } from '../block-devices.ts'
import { runStep } from '../test-run.ts'
import { fatesOf } from './delete.ts'
import { FakeMdadm } from './fake-mdadm.ts'
import { planVolumes, readRaidConfig } from './plan.ts'
import { rootCandidates } from './root-volume.ts'

const GIB_MIB = 1024
const node = { uuid: 'u', properties: {}, instance_info: {} }
const mirror = { raid_level: '1', size_gb: 'MAX', controller: 'software' }

describe('software RAID on loop devices, with a program that answers as mdadm does', { skip: needsRoot }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'ferrite-raid-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  let fakes: FakePrograms
  let disks: LoopDisk[] = []
  let devices: string[] = []
  let mdadm: FakeMdadm
  beforeEach(async () => {
    fakes = await fakePrograms()
    mdadm = new FakeMdadm()
    fakes.add('mdadm', mdadm.program)
    disks = [1, 2, 3].map(() => makeLoopDisk(4 * GIB_MIB))
    devices = disks.map(({ device }) => device)
  })
  afterEach(async () => {
    await fakes.remove()
    for (const disk of disks) disk.remove()
  })

  const run = (step: string, more: Record<string, unknown> = {}, args = {}) =>
    runStep({ devices, stateDir: dir, flags: ['--efi-dir', join(dir, 'no-efi')] }, step, { ...node, ...more }, args)
  const table = (device: string) => {
    const { partitiontable } = JSON.parse(execFileSync('sfdisk', ['--json', device]).toString())
    const mib = (sectors: number) => sectors / 2048
    const rows = partitiontable.partitions as { start: number; size: number; type: string }[]
    return {
      label: partitiontable.label,
      rows: rows.map(({ start, size, type }) => [mib(start), mib(start + size), type]),
    }
  }
  const hasTable = (device: string) => execFileSync('wipefs', ['--noheadings', device]).toString() !== ''

  test('two volumes: a mirror of 1 GiB, and what is left as RAID 5; room for GRUB on a GPT', async () => {
    const config = {
      logical_disks: [
        { ...mirror, size_gb: 1, volume_name: 'root' },
        { ...mirror, raid_level: '5', volume_name: 'large' },
      ],
    }
    const properties = { capabilities: 'disk_label:gpt' }
    assert.deepEqual(await run('create_configuration', { target_raid_config: config, properties }), config)
    const part = (number: number) => devices.map(device => `${device}p${number}`)
    assert.deepEqual(
      mdadm.arrays.map(({ device, name, members }) => [device, name, members]),
      [
        ['/dev/md0', 'root', part(1)],
        ['/dev/md1', 'large', part(2)],
      ],
    )
    const [create] = fakes.calls.filter(call => call.startsWith('mdadm --create'))
    assert.equal(
      create,
      `mdadm --create /dev/md0 --force --run --metadata=1 --level 1 --name root --raid-devices 3 ${part(1).join(' ')}`,
    )
    const raid = 'A19D880F-05FC-4D3B-A006-743F0F84911E'
    const { label, rows } = table(devices[0] ?? '')
    assert.equal(label, 'gpt')
    assert.deepEqual(rows[0], [8, 1024, raid])
    assert.deepEqual([rows[1]?.[0], rows[1]?.[2]], [1024, raid])
    assert.ok(Number(rows[1]?.[1]) > 4 * GIB_MIB - 2)

    // Once more: they are there, and nothing is touched.
    const before = fakes.calls.length
    await run('create_configuration', { target_raid_config: config, properties })
    assert.ok(!fakes.calls.slice(before).some(call => /--(create|zero|stop|add)/.test(call)))
  })

  test('the MAX volume lies last wherever it stands; UEFI leaves room for its partition, an MBR for nothing', async () => {
    const logical_disks = [
      { ...mirror, volume_name: 'a' },
      { ...mirror, raid_level: '1+0', size_gb: 2 },
    ]
    const uefi = { target_raid_config: { logical_disks }, properties: { capabilities: 'boot_mode:uefi' } }
    await run('create_configuration', uefi)
    assert.deepEqual(
      table(devices[0] ?? '').rows.map(([start]) => start),
      [551, 2048],
    )
    assert.deepEqual(
      mdadm.arrays.map(({ name }) => name),
      ['md0', 'a'],
    )
    await run('delete_configuration')
    await run('create_configuration', { target_raid_config: { logical_disks: [mirror] } })
    const { label, rows } = table(devices[0] ?? '')
    assert.deepEqual([label, rows.length, rows[0]?.[0], rows[0]?.[2]], ['dos', 1, 1, 'fd'])
  })

  test('disks by hints; those that are taken, missing, read-only, in use or not empty', async () => {
    const [first = '', second = '', third = ''] = devices
    const pair = (...names: string[]) => ({
      logical_disks: [{ ...mirror, physical_disks: names.map(name => ({ name })) }],
    })
    const rejects = (config: unknown, message: RegExp) =>
      assert.rejects(run('create_configuration', { target_raid_config: config }), {
        type: 'SoftwareRAIDError',
        message,
      })
    await rejects(pair(first, first), /no disk left for .* with \/dev\/loop\d+ taken; nothing was changed/)
    execFileSync('sfdisk', ['--quiet', second], { input: 'label: gpt\nsize=8M\n' })
    execFileSync('partx', ['--update', second])
    await rejects(pair(first, second), /there are partitions already \(\/dev\/loop\d+p1\)/)
    execFileSync('mkfs.ext4', ['-qF', third])
    execFileSync('mount', [third, dir])
    try {
      await assert.rejects(run('create_configuration', { target_raid_config: pair(first, third) }), /in use by a mount/)
    } finally {
      execFileSync('umount', [dir])
    }
    const properties = { skip_block_devices: [{ name: third }, { name: second }] }
    await assert.rejects(
      run('create_configuration', { target_raid_config: { logical_disks: [mirror] }, properties }),
      /RAID level 1 needs 2 disks, found \/dev\/loop\d+;/,
    )
    assert.equal(mdadm.arrays.length, 0)
    assert.ok(!hasTable(first))
    execFileSync('wipefs', ['--all', '--force', third])
    await run('create_configuration', { target_raid_config: pair(third, first) })
    assert.deepEqual(mdadm.arrays[0]?.members, [`${third}p1`, `${first}p1`])
    assert.ok(hasTable(second))
  })

  test('a member that is left out is added, as often as it takes within limits', async () => {
    const forgets = `${devices[1]}p1`
    Object.assign(mdadm, { forgets, addFailures: 1 })
    await run('create_configuration', { target_raid_config: { logical_disks: [mirror] } })
    assert.deepEqual(new Set(mdadm.arrays[0]?.members), new Set(devices.map(device => `${device}p1`)))
    await run('delete_configuration')
    mdadm.addFailures = 9
    await assert.rejects(run('create_configuration', { target_raid_config: { logical_disks: [mirror] } }), {
      message: /was made without .*p1 of \/dev\/loop\d+, which cannot be added: .*add new device failed/s,
    })
  })

  test('deleting stops arrays, forgets members of arrays that do not run, and leaves other disks alone', async () => {
    const [first = '', second = '', third = ''] = devices
    execFileSync('mkfs.ext4', ['-qF', third])
    const logical_disks = [{ ...mirror, physical_disks: [{ name: first }, { name: second }] }]
    await run('create_configuration', { target_raid_config: { logical_disks } })
    // As after a boot that did not start it.
    mdadm.arrays = []
    assert.equal(await run('delete_configuration'), undefined)
    assert.equal(mdadm.superblocks.size, 0)
    assert.ok(!hasTable(first) && !hasTable(second) && hasTable(third))

    await run('create_configuration', { target_raid_config: { logical_disks } })
    mdadm.busy = '/dev/md0'
    await assert.rejects(run('delete_configuration'), {
      type: 'SoftwareRAIDError',
      message: /left some of it: \/dev\/md0 of .*Cannot get exclusive access/s,
    })
    mdadm.busy = null
    await run('delete_configuration')
    assert.ok(!hasTable(first) && hasTable(third))
  })

  test('an array that the operator protects stays, while erasing as while deleting', async () => {
    const [first = '', second = '', third = ''] = devices
    const physical_disks = [{ name: first }, { name: second }]
    const target_raid_config = { logical_disks: [{ ...mirror, volume_name: 'large', physical_disks }] }
    await run('create_configuration', { target_raid_config })
    const properties = { skip_block_devices: [{ volume_name: 'large' }] }
    await run('delete_configuration', { properties })
    assert.equal(mdadm.arrays.length, 1)
    // Running or not: what tells is the superblock of the members.
    mdadm.arrays = []
    const done = (await run('erase_devices_metadata', { properties })) as Record<string, string>
    assert.match(done[first] ?? '', /protected/)
    assert.equal(done[third], 'erased')
    assert.equal(mdadm.superblocks.size, 2)
    await assert.rejects(run('create_configuration', { target_raid_config: { logical_disks: [mirror] }, properties }), {
      message: /no volume_name, which all need while skip_block_devices has one/,
    })
  })

  test('apply_configuration deletes first, unless told not to, and nothing for what cannot be made', async () => {
    const config = (name: string) => ({ logical_disks: [{ ...mirror, volume_name: name }] })
    await run('apply_configuration', {}, { raid_config: config('one') })
    await assert.rejects(
      run('apply_configuration', {}, { raid_config: { logical_disks: [{ ...mirror, raid_level: '7' }] } }),
    )
    for (const bad of [undefined, 'x', 5]) {
      await assert.rejects(run('apply_configuration', {}, { raid_config: bad }), /expected an object/)
    }
    assert.equal(mdadm.arrays[0]?.name, 'one')
    await assert.rejects(
      run('apply_configuration', {}, { raid_config: config('two'), delete_existing: false }),
      /there are partitions already/,
    )
    assert.deepEqual(await run('apply_configuration', {}, { raid_config: config('two') }), config('two'))
    assert.deepEqual(
      mdadm.arrays.map(({ name }) => name),
      ['two'],
    )
  })

  test('the root volume of the record is taken before all hints; volumes that are none are excluded', async () => {
    mdadm.arrays = [
      { device: '/dev/md5', name: 'root', level: '1', members: devices.slice(0, 2) },
      { device: '/dev/md6', name: 'data', level: '0', members: devices.slice(2) },
    ]
    const found = [...devices, '/dev/md5', '/dev/md6'].map(name => ({ name })) as BlockDevice[] // names alone are read
    const volume = (volume_name: string, is_root_volume?: boolean) => ({
      ...mirror,
      volume_name,
      ...(is_root_volume === undefined ? {} : { is_root_volume }),
    })
    const names = async (...logical_disks: object[]) =>
      (await rootCandidates({ ...node, raid_config: { logical_disks } }, found)).map(({ name }) => name)
    assert.deepEqual(await names(volume('root', true), volume('data')), ['/dev/md5'])
    assert.deepEqual(await names(volume('root'), volume('data', false)), [...devices.slice(0, 2), '/dev/md5'])
    assert.equal((await names(volume('root'), volume('data'))).length, 5)
    await assert.rejects(names(volume('lost', true)), {
      type: 'DeviceNotFound',
      message: /Looking for the RAID volume lost, .* found \/dev\/md5 \(root\), \/dev\/md6 \(data\)/,
    })
    const wanted = { logical_disks: [volume('lost', true)] }
    assert.equal((await rootCandidates({ ...node, target_raid_config: wanted }, found)).length, 5)
  })
})

test('what is no configuration for software RAID, or not for these disks, is named at once', () => {
  const read =
    (...logical_disks: unknown[]) =>
    () =>
      readRaidConfig({ logical_disks }, node)
  for (const [attempt, message] of [
    [read(mirror, mirror, { ...mirror, size_gb: 1 }), /3 logical disks.*two logical disks have size_gb MAX/],
    [read({ ...mirror, controller: 'perc' }), /logical disk 1: controller "perc"/],
    [read({ ...mirror, raid_level: '0' }), /raid_level 0, expected 1 for the first/],
    [read({ ...mirror, raid_level: '2' }), /raid_level "2", expected 0, 1/],
    [read({ ...mirror, size_gb: 0 }), /size_gb 0/],
    [read({ ...mirror, size_gb: '10' }), /size_gb "10"/],
    [read({ ...mirror, physical_disks: ['a', 'b'] }), /physical_disks is not a list/],
    [read({ ...mirror, physical_disks: [{ name: 'a' }] }), /physical_disks is not a list/],
    [read({ ...mirror, volume_name: '--oops rm' }), /volume_name "--oops rm"/],
    [read({ ...mirror, volume_name: 'esp' }), /taken by the EFI/],
    [read({ ...mirror, volume_name: 'a' }, { ...mirror, size_gb: 1, volume_name: 'a' }), /have the volume_name a/],
    [read({ ...mirror, is_root_volume: true }, { ...mirror, size_gb: 1, is_root_volume: true }), /is_root_volume/],
    [read({ ...mirror, is_root_volume: 'yes' }), /neither true nor false/],
    [read('x'), /logical_disks is/],
    [() => readRaidConfig({ logical_disks: {} }, node), /logical_disks is/],
  ] satisfies [() => unknown, RegExp][]) {
    assert.throws(attempt, { type: 'SoftwareRAIDError', message })
  }
  const disks = (...names: string[]) => names.map(name => ({ name })) as BlockDevice[] // names alone are read
  const [one, ...rest] = readRaidConfig(
    {
      logical_disks: [
        { ...mirror, size_gb: 1 },
        { ...mirror, raid_level: '6' },
      ],
    },
    node,
  )
  assert.ok(one)
  assert.throws(() => planVolumes([one, ...rest], disks('a', 'b', 'c')), /RAID level 6 needs 4 disks, found a, b, c/)
  assert.equal(planVolumes([one, ...rest], disks('a', 'b', 'c', 'd')).disks.length, 4)
})

test('arrays beside a protected one are emptied, the mirror of the EFI system partition and protected disks kept', () => {
  const array = (device: string, name: string, ...disks: string[]) => ({
    device,
    name,
    uuid: null,
    members: disks,
    disks,
  })
  const arrays = [
    array('md0', 'root', 'a', 'b'),
    array('md1', 'large', 'a', 'b'),
    array('md2', 'esp', 'a', 'b'),
    array('md3', 'other', 'c', 'd'),
    array('md4', 'theirs', 'e', 'f'),
  ]
  assert.deepEqual(Object.fromEntries(fatesOf(arrays, { volumes: ['large'], spared: new Set(['a', 'b', 'e']) })), {
    md0: 'empty',
    md1: 'keep',
    md2: 'keep',
    md3: 'delete',
    md4: 'keep',
  })
})
