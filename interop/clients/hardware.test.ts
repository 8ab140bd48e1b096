/** `baremetal node …`: traits, settings of the firmware, boot mode, console, VIFs, vendor methods, what inspection found. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { forClients } from '#lab/host-packages.ts'
import { Baremetal } from './baremetal.ts'
import { whyMissing } from './packages.ts'
import { whyUnknown } from './programs.ts'
import { type RunningService, startService } from './service.ts'

const skip = await whyMissing(forClients)

describe('baremetal node: its hardware', { skip }, () => {
  let service: RunningService
  let client: Baremetal
  let node: string
  before(async () => {
    service = await startService()
    client = new Baremetal(service)
    node = String((await client.show('node create --driver fake-hardware --name n1')).uuid)
    await client.ok('node manage n1 --wait')
  })
  after(() => service[Symbol.asyncDispose]())

  test('traits', async () => {
    const traits = async () => (await client.list('node trait list n1')).flatMap(row => Object.values(row)).sort()
    assert.deepEqual(await traits(), [])
    await client.ok('node add trait n1 CUSTOM_B CUSTOM_A HW_CPU_X86_VMX')
    assert.deepEqual(await traits(), ['CUSTOM_A', 'CUSTOM_B', 'HW_CPU_X86_VMX'])
    assert.deepEqual(((await client.show('node show n1 --fields traits')).traits as unknown[]).length, 3)
    await client.ok('node remove trait n1 CUSTOM_A')
    await client.fails(/CUSTOM_A/, 'node remove trait n1 CUSTOM_A')
    await client.fails(/400|lower/, 'node add trait n1 lower')
    await client.ok('node remove trait n1 --all')
    assert.deepEqual(await traits(), [])
  })

  test('traits, by the newer names of the commands', { skip: skip || whyUnknown('node trait add') }, async () => {
    await client.ok('node trait add n1 CUSTOM_A')
    await client.ok('node trait remove n1 CUSTOM_A')
    assert.deepEqual(await client.list('node trait list n1'), [])
  })

  test('BIOS settings: none that anybody read', async () => {
    assert.deepEqual(await client.list('node bios setting list n1'), [])
    assert.deepEqual(await client.list('node bios setting list n1 --long'), [])
    await client.refused(/404/, 'node bios setting show n1 hyperthreading')
  })

  test('boot mode and secure boot', async () => {
    await client.ok('node boot mode set n1 uefi')
    await client.ok('node secure boot on n1')
    await client.ok('node secure boot off n1')
    await client.fails(/sideways/, 'node boot mode set n1 sideways')
  })

  test('console', async () => {
    await client.ok('node console enable n1')
    await shows('console_enabled', true)
    assert.deepEqual(await client.show('node console show n1'), { console_enabled: true, console_info: null })
    await client.ok('node console disable n1')
    await shows('console_enabled', false)
  })

  test('VIFs', async () => {
    const vif = '8a4e5d1c-90b7-4f26-8c3a-b1d2e3f40516'
    await client.ok(`port create 52:54:00:aa:00:01 --node ${node}`)
    await client.ok('node set n1 --network-interface noop')
    assert.deepEqual(await client.list('node vif list n1'), [])
    // The interface noop agrees to everything and keeps nothing.
    await client.ok(`node vif attach n1 ${vif}`)
    assert.deepEqual(await client.list('node vif list n1'), [])
    await client.ok(`node vif detach n1 ${vif}`)
    await client.fails(/nobody.*404/s, `node vif attach nobody ${vif}`)
  })

  test('vendor methods: none, and each call names its own', async () => {
    assert.deepEqual(await client.list('node passthru list n1'), [])
    assert.deepEqual(await client.list('driver passthru list fake-hardware'), [])
    await client.refused(/no vendor method "eject".*400/s, 'node passthru call n1 eject --arg a=1')
    await client.refused(/no vendor method "eject".*400/s, 'node passthru call n1 eject --http-method GET')
    await client.refused(/no vendor method "eject".*400/s, 'driver passthru call fake-hardware eject')
  })

  test('RAID: properties of logical disks, and a wanted configuration', async () => {
    await client.refused(/400|404/, 'driver raid property list redfish')
    const config = { logical_disks: [{ size_gb: 100, raid_level: '1' }] }
    await client.ok('node set n1 --target-raid-config', JSON.stringify(config))
    assert.deepEqual((await client.show('node show n1 --fields target_raid_config')).target_raid_config, config)
    await client.ok('node unset n1 --target-raid-config')
    assert.deepEqual((await client.show('node show n1 --fields target_raid_config')).target_raid_config, {})
  })

  test('firmware and inventory', { skip: skip || whyUnknown('node firmware list') }, async () => {
    assert.deepEqual(await client.list('node firmware list n1'), [])
    await client.refused(/404/, 'node inventory save n1')
  })

  async function shows(field: string, value: unknown): Promise<void> {
    let found: unknown
    for (let left = 60; left > 0 && found !== value; left--) {
      found = (await client.show(`node show n1 --fields ${field}`))[field]
    }
    assert.equal(found, value)
  }
})
