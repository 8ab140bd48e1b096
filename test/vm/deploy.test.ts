/**
 * Real machines from "a BMC address is known" to "the wanted system runs": enrol, manage, inspect, clean, deploy, and back
 * again. One with UEFI gets a Debian and comes to its login prompt, one with a BIOS gets images that leave their disk
 * alone, so that it can be compared byte by byte. Needs root and QEMU.
 */
import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buildDebianImage, type DebianImage } from '#lab/debian-image.ts'
import { bootMessage, type DiskImage, hashesOfGpt, hashOfStart, makeImage } from './disk-image.ts'
import { World } from './world.ts'

describe('a machine with UEFI', () => {
  let world: World
  let image: DebianImage

  before(async () => {
    image = await buildDebianImage({ log: line => console.log(line) })
    // The time between the power button and the first instruction is enough to look at the disk before it is used.
    const imageFolders = [dirname(image.raw)]
    world = await World.open({ name: 'deploy-uefi', firmware: 'uefi', powerDelayMs: 3000, imageFolders })
  })
  after(() => world?.close())

  it('is manageable when its BMC answers', async () => {
    await world.enrol()
    assert.equal((await world.node()).provision_state, 'enroll')
    const node = await world.bring('manage', 'manageable')
    assert.deepEqual([node.power_state, node.boot_mode], ['power off', 'uefi'])
    assert.deepEqual(await portsOf(world), [])
  })

  it('is inspected: its ports come from the BMC, its inventory from the ramdisk', async t => {
    const began = performance.now()
    await world.ask('inspect')
    // The port must be there before anything can boot, so the BMC is the only one who can have told.
    await world.seen('a node that waits for its ramdisk', node => node.provision_state === 'inspect wait')
    assert.deepEqual(await portsOf(world), [world.machine.nics[0]?.mac])
    const node = await world.reached('manageable')
    t.diagnostic(`inspected in ${seconds(began)} s`)
    assert.deepEqual(await portsOf(world), [world.machine.nics[0]?.mac])
    const properties = node.properties as Record<string, unknown> // an object by the API's schema
    assert.equal(properties.cpu_arch, 'x86_64')
    const { inventory } = await world.service.api.get(`/v1/nodes/${world.uuid}/inventory`)
    const { disks, memory, system_vendor } = inventory as {
      disks: { name: string; size: number; serial: string }[]
      memory: { physical_mb: number }
      system_vendor: { serial_number: string }
    } // as the agent's protocol says; checked below
    assert.deepEqual(
      disks.map(disk => [disk.name, disk.size, disk.serial]),
      [['/dev/vda', 4 * 1024 ** 3, world.machine.disks[0]?.serial]],
    )
    assert.equal(memory.physical_mb, 1024)
    assert.equal(system_vendor.serial_number, world.machine.serial_number)
    assert.equal((await world.status()).power, 'Off')
  })

  it('is cleaned before it is given to anybody', async t => {
    const handle = await open(world.disk, 'r+')
    await handle.write(Buffer.from([0x55, 0xaa]), 0, 2, 510) // some former owner's partition table
    await handle.close()
    const began = performance.now()
    await world.bring('provide', 'available')
    t.diagnostic(`cleaned in ${seconds(began)} s`)
    assert.deepEqual(await startOf(world.disk), Buffer.alloc(512))
    assert.equal((await world.status()).power, 'Off')
  })

  it('is deployed: the image is on the disk, then its login prompt shows the host name of the config drive', async t => {
    const { raw, manifest } = image
    await world.chooseImage({ file: raw, sizeBytes: manifest.raw.size_bytes, sha256: manifest.raw.sha256 })
    const before = (await world.status()).counters
    const from = await world.serialSize()
    const began = performance.now()
    await world.ask('active', { configdrive: { meta_data: { hostname: 'web-1' } } })
    const isWritten = (step: unknown, power: string) => {
      const written = ['tear_down_agent', 'switch_to_tenant_network', 'boot_instance']
      return written.includes(String((step as { step?: string }).step)) && power === 'Off'
    }
    await world.seen('the machine off, its disk written', (node, { power }) => isWritten(node.deploy_step, power))
    const found = await frozen(world, () => hashesOfGpt(raw, world.disk))
    const { counters } = await world.status()
    assert.equal(counters.power_ons, before.power_ons + 1, 'the disk was read before the instance used it')
    assert.deepEqual(found.disk, found.image)

    const node = await world.reached('active')
    t.diagnostic(`deployed in ${seconds(began)} s`)
    assert.deepEqual([node.power_state, node.last_error, node.reservation], ['power on', null, null])
    await world.says(/^web-1 login: /m, from)
    // The firmware was told of the loader, rather than left to find it.
    await world.says(/Boot entry "ironic1" is \\EFI\\BOOT\\BOOTX64\.EFI on partition 2 of \/dev\/vda/, from)
    t.diagnostic(`login prompt after ${seconds(began)} s`)
    const after = (await world.status()).counters
    assert.equal(after.power_ons, before.power_ons + 2)
    assert.equal(after.guest_offs, before.guest_offs + 1, 'the agent switched the machine off by itself')
    assert.deepEqual([after.forced_offs, after.resets], [before.forced_offs, before.resets])
  })
})

describe('a machine with a BIOS', () => {
  let world: World
  let blue: DiskImage
  let green: DiskImage

  before(async () => {
    world = await World.open({ name: 'deploy-bios', firmware: 'bios' })
    blue = await makeImage(join(world.imageFolder, 'blue.raw'), 'BLUE', 64)
    green = await makeImage(join(world.imageFolder, 'green.raw'), 'GREEN', 96)
  })
  after(() => world?.close())

  it('becomes available without a boot when nothing is to be cleaned', async () => {
    await world.enrol()
    await world.bring('manage', 'manageable')
    await world.service.api.create('/v1/ports', { node_uuid: world.uuid, address: world.machine.nics[0]?.mac })
    await world.change('/automated_clean', false)
    await world.bring('provide', 'available')
    assert.equal((await world.status()).counters.power_ons, 0)
  })

  for (const [verb, name] of [
    ['active', 'BLUE'],
    ['rebuild', 'GREEN'],
  ] as const) {
    it(`runs what was written to its disk: ${verb}`, async t => {
      const image = name === 'BLUE' ? blue : green
      const began = performance.now()
      await world.chooseImage(image)
      const from = await world.serialSize()
      await world.bring(verb, 'active')
      t.diagnostic(`${verb} took ${seconds(began)} s`)
      await world.says(bootMessage(name), from)
      assert.equal(await hashOfStart(world.disk, image.sizeBytes), image.sha256)
    })
  }

  it('is switched off and cleaned when its instance is deleted', async t => {
    await world.change('/automated_clean', true)
    const began = performance.now()
    const node = await world.bring('deleted', 'available')
    t.diagnostic(`undeployed and cleaned in ${seconds(began)} s`)
    assert.deepEqual([node.instance_info, node.instance_uuid, node.power_state], [{}, null, 'power off'])
    assert.deepEqual(await startOf(world.disk), Buffer.alloc(512), 'nothing would boot from it')
    assert.equal((await world.status()).power, 'Off')
  })
})

/** Does something while the service stands still. */
async function frozen<T>(world: World, work: () => Promise<T>): Promise<T> {
  const { pid } = world.service
  assert.ok(pid)
  process.kill(pid, 'SIGSTOP')
  try {
    return await work()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

async function portsOf(world: World): Promise<unknown[]> {
  const query = { node: world.uuid }
  const ports = await world.service.api.list('/v1/ports', 'ports', { query, limit: undefined })
  return ports.map(port => port.address)
}

async function startOf(disk: string): Promise<Buffer> {
  const handle = await open(disk)
  const start = Buffer.alloc(512)
  await handle.read(start, 0, 512, 0)
  await handle.close()
  return start
}

const seconds = (began: number) => ((performance.now() - began) / 1000).toFixed(1)
