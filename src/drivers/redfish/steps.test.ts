/** BIOS settings, firmware and RAID as steps: what becomes of the machine, also when the conductor dies at any moment. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInput } from '#lib/fault.ts'
import { imageServer, killedEverywhere, type StepWorld, stepWorld } from '../../../test/redfish-steps.ts'
import type { Step } from '../step.ts'
import bios, { BiosNotApplied } from './bios.ts'
import firmware from './firmware.ts'
import { managementSteps } from './management-steps.ts'
import raid from './raid.ts'
import { BmcTaskFailed } from './tasks.ts'

function stepOf(steps: readonly Step[], name: string): Step {
  const step = steps.find(one => one.step === name)
  assert.ok(step, name)
  return step
}
const applyBios = stepOf(bios.steps, 'apply_configuration')
const setting = (name: string, value: unknown) => ({ settings: [{ name, value }] })

test('BIOS settings are in force after the step, wherever the conductor dies, and the machine is as it was', async () => {
  const args = {
    settings: [
      { name: 'ProcTurbo', value: 'Disabled' },
      { name: 'PowerDelay', value: '30' },
      { name: 'QuietBoot', value: 'false' },
    ],
  }
  const check = async ({ board, hardware, db, ctx }: StepWorld, isOn: boolean) => {
    const { current } = board.bios
    assert.deepEqual([current.get('ProcTurbo'), current.get('PowerDelay')], ['Disabled', 30])
    assert.equal(current.get('QuietBoot'), false)
    assert.equal(hardware.power(), isOn ? 'On' : 'Off')
    const rows = await db.selectFrom('bios_settings').selectAll().where('node_uuid', '=', ctx.node.uuid).execute()
    const delay = rows.find(row => row.name === 'PowerDelay')
    assert.deepEqual([delay?.value, delay?.attribute_type, delay?.upper_bound], ['30', 'Integer', 60])
  }
  const run = (world: StepWorld, dieAt: number) => world.run(applyBios, args, { dieAt })
  const count = await killedEverywhere({ isOn: true }, run, world => check(world, true))
  assert.ok(count > 5, `${count} records`)
  await using off = await stepWorld({ isOn: false })
  await run(off, 0)
  await check(off, false)
})

test('settings that are there already cost no start; those that firmware drops fail the step', async () => {
  await using world = await stepWorld({ isOn: true })
  await world.run(applyBios, setting('ProcTurbo', 'Enabled'))
  assert.deepEqual(world.changes, [])

  world.board.bios.dropped.add('ProcTurbo')
  await using other = await stepWorld({ isOn: true, redfish: { boot_mode_config_timeout: 60 } })
  other.board.bios.dropped.add('ProcTurbo')
  await assert.rejects(other.run(applyBios, setting('ProcTurbo', 'Disabled')), (error: Error) => {
    assert.ok(error instanceof BiosNotApplied)
    assert.match(error.message, /not applied within 60 s: ProcTurbo is "Enabled", expected "Disabled"/)
    return true
  })
})

test('wrong settings are named, all of them, before anything is changed', async () => {
  await using world = await stepWorld()
  const args = {
    settings: [
      { name: 'ProcTurbo', value: 'Fast' },
      { name: 'PowerDelay', value: 61 },
      { name: 'QuietBoot', value: 'perhaps' },
      { name: 'AssetText', value: 'x'.repeat(17) },
      { name: 'BoardRevision', value: 'B2' },
      { value: 1 },
    ],
  }
  await assert.rejects(world.run(applyBios, args), (error: Error) => {
    assert.ok(error instanceof InvalidInput)
    for (const name of ['ProcTurbo', 'PowerDelay', 'QuietBoot', 'AssetText', 'BoardRevision', 'settings\\[5\\]']) {
      assert.match(error.message, new RegExp(name))
    }
    return true
  })
  for (const settings of [undefined, [], {}, 'x'])
    await assert.rejects(world.run(applyBios, { settings }), InvalidInput)
  assert.deepEqual(world.changes, [])
})

test('a factory reset brings the settings of the registry back', async () => {
  await using world = await stepWorld()
  world.board.bios.current.set('PowerDelay', 7)
  await world.run(stepOf(bios.steps, 'factory_reset'))
  assert.equal(world.board.bios.current.get('PowerDelay'), 0)
  assert.equal(world.hardware.power(), 'Off')
})

test('all components take their firmware, wherever the conductor dies', async () => {
  const image = (component: string, version: string) => JSON.stringify({ component, version })
  const files = { bios: image('bios', '2.0'), bmc: image('bmc', '1.1.0'), nic: image('nic', '8.0') }
  await using images = await imageServer(files)
  const settings = [
    { component: 'bmc', url: `${images.url}/bmc` },
    { component: 'bios', url: `${images.url}/bios` },
    { component: 'nic:LABNIC0001', url: `${images.url}/nic` },
  ]
  const redfish = { firmware_update_validation_interval: 1, firmware_update_required_successes: 1 }
  const count = await killedEverywhere(
    { isOn: true, redfish },
    (world, dieAt) => world.run(stepOf(firmware.steps, 'update'), { settings }, { dieAt }),
    async ({ board, db, ctx }) => {
      assert.deepEqual(board.firmware.versions, { bios: '2.0', bmc: '1.1.0', nic: '8.0' })
      const rows = await db
        .selectFrom('firmware_components')
        .select(['component', 'current_version'])
        .where('node_uuid', '=', ctx.node.uuid)
        .execute()
      const versions = rows.map(row => `${row.component} ${row.current_version}`).sort()
      assert.deepEqual(versions, ['bios 2.0', 'bmc 1.1.0', 'nic:NIC.1 8.0'])
    },
  )
  assert.ok(count > 12, `${count} records`)
})

test('firmware that is not there, or not of this machine, is refused with what is', async () => {
  await using images = await imageServer({ broken: 'no image' })
  await using world = await stepWorld({ isOn: true })
  const update = stepOf(firmware.steps, 'update')
  const run = (component: unknown, url: unknown) => world.run(update, { settings: [{ component, url }] })
  await assert.rejects(run('nic:other', `${images.url}/x`), /knows the components bios, bmc, nic:NIC\.1/)
  await assert.rejects(run('gpu', `${images.url}/x`), /is for "gpu", expected bios, bmc or nic:ID/)
  await assert.rejects(run('bios', 'not a url'), /has no url/)
  assert.deepEqual(world.changes, [])
  await assert.rejects(run('bios', `${images.url}/missing`), /HTTP 404/)
  assert.equal(world.board.firmware.versions.bios, '1.0')
})

test('the older step checks images before a BMC gets them', async () => {
  await using images = await imageServer({ image: JSON.stringify({ component: 'bios', version: '3.0' }) })
  await using world = await stepWorld({ isOn: true, redfish: { firmware_update_validation_interval: 1 } })
  const step = stepOf(managementSteps, 'update_firmware')
  const url = `${images.url}/image`
  const run = (checksum: string) => world.run(step, { firmware_images: [{ url, checksum }] })
  await assert.rejects(run('0'.repeat(64)), /its sha256 is [0-9a-f]{64}, expected 0{64}/)
  await assert.rejects(run('abc'), /expected 40, 64 or 128 hex digits/)
  await assert.rejects(world.run(step, { firmware_images: [{ url }] }), /firmware_images\[0\] has no checksum/)
  assert.equal(world.board.firmware.versions.bios, '1.0')
})

const gib = 1024 ** 3
const root = { raid_level: '1', size_gb: 100, is_root_volume: true, volume_name: 'root' }
const data = { raid_level: '5', size_gb: 500, disk_type: 'hdd', volume_name: 'data' }

test('volumes are made at once or at a start, wherever the conductor dies, each exactly once', async () => {
  const args = { raid_config: { logical_disks: [{ ...root, disk_type: 'ssd' }, data] } }
  for (const applyTimes of [['Immediate', 'OnReset'], ['OnReset']] as const) {
    await killedEverywhere(
      { isOn: true },
      async (world, dieAt) => {
        world.board.volumes.applyTimes = applyTimes
        world.board.volumes.durationMs = applyTimes.length === 1 ? 3000 : 0
        await world.run(stepOf(raid.steps, 'apply_configuration'), args, { dieAt })
      },
      async ({ board, ctx }) => {
        const made = board.volumes.volumes.map(({ name, raidType, sizeBytes, drives }) => [
          name,
          raidType,
          sizeBytes / gib,
          drives.length,
        ])
        assert.deepEqual(made.sort(), [
          ['data', 'RAID5', 500, 3],
          ['root', 'RAID1', 100, 2],
        ])
        assert.equal(ctx.node.properties.local_gb, 100)
        const { logical_disks } = ctx.node.raid_config as { logical_disks: { raid_level: string; size_gb: number }[] } // as raid.ts writes it
        assert.deepEqual(logical_disks.map(disk => `${disk.raid_level} ${disk.size_gb}`).sort(), ['1 100', '5 500'])
      },
    )
  }
})

test('what was there is deleted first where that is asked for; a failed task fails the step', async () => {
  await using world = await stepWorld({ isOn: true, node: { target_raid_config: { logical_disks: [data] } } })
  const create = stepOf(raid.steps, 'create_configuration')
  await world.run(stepOf(raid.steps, 'apply_configuration'), {
    raid_config: { logical_disks: [{ ...root, disk_type: 'hdd' }] },
  })
  await using again = await stepWorld({ isOn: true, node: { target_raid_config: { logical_disks: [data] } } })
  again.board.volumes.volumes.push(...world.board.volumes.volumes)
  await again.run(create, { delete_existing: true })
  assert.deepEqual(
    again.board.volumes.volumes.map(volume => volume.name),
    ['data'],
  )

  await using failing = await stepWorld({ isOn: true })
  failing.board.volumes.durationMs = 1000
  const push = failing.board.volumes.volumes.push
  failing.board.volumes.volumes.push = () => {
    throw new Error('two drives are gone')
  }
  const args = { raid_config: { logical_disks: [data] } }
  await assert.rejects(failing.run(stepOf(raid.steps, 'apply_configuration'), args), (error: Error) => {
    assert.ok(error instanceof BmcTaskFailed)
    assert.match(error.message, /Volume data .* failed: .*two drives are gone/)
    return true
  })
  failing.board.volumes.volumes.push = push
})

test('a RAID that cannot be had is refused with the drives that there are', async () => {
  await using world = await stepWorld({ isOn: true })
  const apply = stepOf(raid.steps, 'apply_configuration')
  const refused: [object, RegExp][] = [
    [
      { raid_level: '6', size_gb: 10, disk_type: 'ssd' },
      /no drives fit; found Disk\.0 \(RAID\.1, hdd, 1000 GiB free\)/,
    ],
    [{ raid_level: '1', size_gb: 10_000 }, /no drives fit/],
    [{ raid_level: 'JBOD', size_gb: 10 }, /raid_level JBOD, expected one of 0, 1, 5/],
    [{ raid_level: '0', size_gb: 'MAX' }, /MAX, which needs physical_disks/],
    [{ raid_level: '0', size_gb: 5, controller: 'software' }, /software RAID, which the agent makes/],
    [{ raid_level: '1', size_gb: 5, physical_disks: ['Disk.0', 'none'], controller: 'RAID.1' }, /no drives fit/],
    [{ raid_level: '1' }, /lacks raid_level or size_gb/],
  ]
  for (const [disk, message] of refused) {
    await assert.rejects(world.run(apply, { raid_config: { logical_disks: [disk] }, delete_existing: false }), message)
  }
  assert.deepEqual(world.changes, [])
})

test('MAX takes all of the drives that are named', async () => {
  await using world = await stepWorld({ isOn: true })
  const disk = {
    raid_level: '1+0',
    size_gb: 'MAX',
    controller: 'RAID.1',
    physical_disks: ['Disk.0', 'Disk.1', 'Disk.2', 'Disk.3'],
  }
  await world.run(stepOf(raid.steps, 'apply_configuration'), { raid_config: { logical_disks: [disk] } })
  assert.deepEqual(
    world.board.volumes.volumes.map(one => [one.raidType, one.sizeBytes / gib]),
    [['RAID10', 2000]],
  )
})

test('keys of secure boot go and come back', async () => {
  await using world = await stepWorld()
  await world.run(stepOf(managementSteps, 'clear_secure_boot_keys'))
  assert.equal(world.board.secureBoot.keys, 'none')
  await world.run(stepOf(managementSteps, 'reset_secure_boot_keys_to_default'))
  assert.equal(world.board.secureBoot.keys, 'default')
})
